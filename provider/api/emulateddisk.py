"""``EmulatedDisk``: one disk that a DPU must show its server. Written by the provider, realised by the DPU's agent."""

from pydantic import ConfigDict, Field

from provider.api.emulation import EmulatedStatus, MachineReference, TraceParent
from provider.api.meta import KubeObject
from provider.api.schema import API_MODEL_CONFIG, ApiModel, LocalSecretReference, cel, validations
from provider.api.virtualdisk import DiskBus


class CSISource(ApiModel):
    """An attached CSI volume: all that NodeStageVolume would be told (CSI spec, NodeStageVolumeRequest)."""

    driver: str = Field(description="Name of the CSI driver.")
    volume_handle: str = Field(description="The driver's handle of the volume.")
    volume_attributes: dict[str, str] = Field(default_factory=dict, description="The driver's volume_context.")
    publish_context: dict[str, str] = Field(description="What ControllerPublishVolume answered.")
    stage_secret_ref: LocalSecretReference | None = Field(
        default=None, description="Secret of this namespace for NodeStageVolume."
    )


class SeedSource(ApiModel):
    """A NoCloud seed: keys user-data, meta-data, network-config and vendor-data of a Secret of this namespace."""

    secret_ref: LocalSecretReference = Field(description="The Secret.")
    digest: str | None = Field(
        default=None, description="Of what the Secret holds; another content is shown once the server is off."
    )


class DiskSource(ApiModel):
    """What is behind the disk."""

    model_config = ConfigDict(
        **API_MODEL_CONFIG,
        json_schema_extra=validations(cel("has(self.csi) != has(self.seed)", "give either csi or seed")),
    )

    csi: CSISource | None = Field(default=None, description="A CSI volume.")
    seed: SeedSource | None = Field(default=None, description="A cloud-init seed.")


class EmulatedDiskSpec(ApiModel):
    """The disk that the server must see."""

    machine_ref: MachineReference = Field(description="The machine that the disk is shown to.")
    claim_uid: str = Field(description="UID of the ServerClaim under which the server is held.")
    slot: int = Field(ge=1, le=32, description="PCIe slot.")
    boot_index: int | None = Field(default=None, ge=1, description="Place in the firmware's boot order.")
    bus: DiskBus = Field(default="virtio-blk", description="What the disk looks like to the server.")
    read_only: bool = Field(default=False, description="Whether the server may only read.")
    source: DiskSource = Field(description="What is behind the disk.")
    force_unplug: bool = Field(
        default=False, description="Whether its removal waits for no operating system to let go of it."
    )
    trace: TraceParent | None = Field(default=None, description="Where spans about the disk belong.")


class EmulatedDiskStatus(EmulatedStatus):
    """What the DPU shows."""

    bdev: str | None = Field(default=None, description="SPDK bdev behind the disk.")
    controller: str | None = Field(default=None, description="SPDK vhost controller of the disk.")
    function_id: str | None = Field(default=None, description="The emulated PCIe function.")
    serial: str | None = Field(default=None, description="Serial number that the operating system sees.")
    size_bytes: int | None = Field(default=None, description="Size that the operating system sees, in bytes.")
    sessions: int | None = Field(default=None, description="Connections of the server to the vhost controller.")


class EmulatedDisk(KubeObject):
    """A disk as one DPU must show it."""

    spec: EmulatedDiskSpec
    status: EmulatedDiskStatus = EmulatedDiskStatus()
