"""``VirtualDisk``: one volume, or the cloud-init seed, shown to one server as a PCIe disk."""

from typing import Literal

from pydantic import ConfigDict, Field

from provider.api.managed import ManagedSpec, ManagedStatus, Reference, Selector
from provider.api.meta import KubeObject
from provider.api.schema import (
    API_MODEL_CONFIG,
    OBJECT_NAME_PATTERN,
    ApiModel,
    LocalSecretReference,
    SshPublicKey,
    cel,
    validations,
)

DiskBus = Literal["virtio-blk"]


class SeedParameters(ApiModel):
    """The content of a cloud-init NoCloud seed disk. Its network part comes from the machine's VirtualNICs."""

    hostname: str = Field(
        max_length=63,
        description="Name that the operating system gives itself.",
        json_schema_extra=validations(
            cel(
                f"self.matches('{OBJECT_NAME_PATTERN}')",
                "must be a host name: lower-case letters, digits, dashes and dots, such as bm-01",
            )
        ),
    )
    ssh_authorized_keys: list[SshPublicKey] = Field(
        default_factory=list, max_length=32, description="Public SSH keys of the default user."
    )
    user_data_secret_ref: LocalSecretReference | None = Field(
        default=None, description="Secret of this namespace whose key userData holds cloud-init user data."
    )


class VirtualDiskParameters(ApiModel):
    """Which volume, where."""

    model_config = ConfigDict(
        **API_MODEL_CONFIG,
        json_schema_extra=validations(
            cel(
                "has(self.serverClaimRef) || has(self.serverClaimSelector)",
                "give serverClaimRef (a name) or serverClaimSelector (how to find it)",
            ),
            cel(
                "(has(self.volumeRef) || has(self.volumeSelector)) != has(self.seed)",
                "give either a volume (volumeRef or volumeSelector) or a seed, not both and not neither",
            ),
            cel(
                "!has(self.seed) || !has(self.readOnly) || self.readOnly",
                "a seed can only be read: leave readOnly out, or write true",
            ),
            cel("self.slot == oldSelf.slot", "slot is immutable: unplug the disk and plug it elsewhere"),
        ),
    )

    server_claim_ref: Reference | None = Field(default=None, description="ServerClaim that holds the server.")
    server_claim_selector: Selector | None = Field(default=None, description="How to find the ServerClaim.")
    volume_ref: Reference | None = Field(default=None, description="Volume to show.")
    volume_selector: Selector | None = Field(default=None, description="How to find the Volume.")
    seed: SeedParameters | None = Field(default=None, description="A cloud-init seed to show instead of a volume.")
    slot: int = Field(ge=1, le=32, description="PCIe slot of the disk; the boot disk sits in slot 1.")
    boot_index: int | None = Field(
        default=None, ge=1, description="Place in the firmware's boot order; without one it is not booted from."
    )
    bus: DiskBus = Field(default="virtio-blk", description="What the disk looks like to the server.")
    read_only: bool | None = Field(
        default=None, description="Whether the server may only read: a volume if so said, a seed always."
    )
    force_unplug: bool = Field(
        default=False,
        description="When the disk is removed, take it away though the operating system does not let go of it: what "
        "that has not written yet is lost.",
    )

    @property
    def only_read(self) -> bool:
        """Whether the server may only read, defaults applied."""
        return self.seed is not None or bool(self.read_only)


class VirtualDiskSpec(ManagedSpec):
    """Desired disk."""

    for_provider: VirtualDiskParameters = Field(description="Which volume, where.")


class VirtualDiskObservation(ApiModel):
    """The disk as the DPU of the server reports it."""

    server_name: str | None = Field(default=None, description="Server that the disk is shown to.")
    dpu_name: str | None = Field(default=None, description="DPU that shows it.")
    volume_attachment: str | None = Field(default=None, description="VolumeAttachment that records the hold.")
    emulated_disk: str | None = Field(default=None, description="EmulatedDisk in the DPU's namespace.")
    slot: int | None = Field(default=None, description="PCIe slot that the disk is plugged into.")
    bdev: str | None = Field(default=None, description="SPDK bdev behind the disk.")
    serial: str | None = Field(default=None, description="Serial number that the operating system sees.")
    size_bytes: int | None = Field(default=None, description="Size that the operating system sees, in bytes.")


class VirtualDiskStatus(ManagedStatus):
    """Observed disk."""

    at_provider: VirtualDiskObservation = Field(default=VirtualDiskObservation(), description="What was seen.")


class VirtualDisk(KubeObject):
    """A PCIe disk of a server, emulated by its DPU."""

    spec: VirtualDiskSpec
    status: VirtualDiskStatus = VirtualDiskStatus()
