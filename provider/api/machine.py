"""``BareMetalMachine``: what a tenant asks for."""

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field

from provider.api.conditions import Condition
from provider.api.meta import KubeObject
from provider.api.schema import (
    API_MODEL_CONFIG,
    SIZE_GROWS,
    ApiModel,
    CidrAddress,
    DnsLabel,
    LabelSelector,
    LocalSecretReference,
    MacAddress,
    ObjectName,
    Quantity,
    SshPublicKey,
    cel,
    list_map,
    validations,
)

MAX_DISKS, MAX_NETWORK_INTERFACES = 16, 8

RunStrategy = Literal["Always", "Manual", "Halted"]
PrintableStatus = Literal[
    "Pending",
    "Unschedulable",
    "Provisioning",
    "Starting",
    "Running",
    "Stopping",
    "Stopped",
    "Migrating",
    "Deleting",
    "Failed",
    "Unknown",
]


class MachineDisk(ApiModel):
    """One disk of the machine: a cloud volume that its DPU shows to it as a PCIe disk."""

    model_config = ConfigDict(
        **API_MODEL_CONFIG,
        json_schema_extra=validations(
            cel(
                "!(has(self.boot) && self.boot) || has(self.image)",
                "a boot disk needs an image: name a MachineImage in image",
            ),
            cel(
                SIZE_GROWS,
                "a disk cannot shrink: write the present size or a larger one",
            ),
            cel(
                "has(self.image) == has(oldSelf.image) && (!has(self.image) || self.image == oldSelf.image)",
                "image is immutable: add a disk with another name instead",
            ),
            cel(
                "has(self.storageClass) == has(oldSelf.storageClass)"
                " && (!has(self.storageClass) || self.storageClass == oldSelf.storageClass)",
                "storageClass is immutable: add a disk with another name instead",
            ),
            cel(
                "(has(self.boot) && self.boot) == (has(oldSelf.boot) && oldSelf.boot)",
                "boot is immutable: the machine boots from the disk that it was made with",
            ),
        ),
    )

    name: DnsLabel = Field(description="Name of the disk, unique within the machine.")
    boot: bool | None = Field(
        default=None, description="Whether the firmware boots from this disk. Exactly one disk has boot: true."
    )
    image: ObjectName | None = Field(
        default=None, description="MachineImage that the disk starts as a copy-on-write clone of; blank without one."
    )
    size: Quantity = Field(
        description="Size of the disk, such as 20Gi. It can grow while the machine runs; it never shrinks."
    )
    storage_class: ObjectName | None = Field(
        default=None, description="StorageClass of the volume; without one, that of the ClusterProviderConfig."
    )
    keep: bool | None = Field(
        default=None,
        description="Whether the volume outlives the machine. Defaults to false for the boot disk, to true for others.",
    )

    @property
    def kept(self) -> bool:
        """Whether the volume outlives the machine, defaults applied."""
        return not self.boot if self.keep is None else self.keep


class MachineNetworkInterface(ApiModel):
    """One NIC of the machine: a port of its DPU's Open vSwitch."""

    model_config = ConfigDict(
        **API_MODEL_CONFIG,
        json_schema_extra=validations(
            cel("self.network == oldSelf.network", "network is immutable: add an interface with another name instead"),
            cel(
                "has(self.address) == has(oldSelf.address) && (!has(self.address) || self.address == oldSelf.address)",
                "address is immutable: add an interface with another name instead",
            ),
            cel(
                "has(self.mac) == has(oldSelf.mac) && (!has(self.mac) || self.mac == oldSelf.mac)",
                "mac is immutable: add an interface with another name instead",
            ),
        ),
    )

    name: DnsLabel = Field(description="Name of the interface, unique within the machine.")
    network: ObjectName = Field(description="Network to join; it must allow this namespace.")
    address: CidrAddress | None = Field(
        default=None,
        description="IPv4 address with prefix, such as 10.20.0.11/24; without one, a free address of the network.",
    )
    mac: MacAddress | None = Field(default=None, description="MAC address; without one, a stable one is derived.")


class CloudInit(ApiModel):
    """What the machine's operating system is told at its first boot, by cloud-init's NoCloud data source."""

    ssh_authorized_keys: list[SshPublicKey] = Field(
        default_factory=list, max_length=32, description="Public SSH keys of the default user, in authorized_keys form."
    )
    user_data_secret_ref: LocalSecretReference | None = Field(
        default=None, description="Secret of this namespace whose key userData holds cloud-init user data."
    )


class MachineSpec(ApiModel):
    """What the tenant wants."""

    model_config = ConfigDict(
        **API_MODEL_CONFIG,
        json_schema_extra=validations(
            cel(
                "has(self.instanceType) != has(self.serverSelector)",
                "give either instanceType or serverSelector, not both and not neither",
            ),
            cel(
                "has(self.instanceType) == has(oldSelf.instanceType)"
                " && (!has(self.instanceType) || self.instanceType == oldSelf.instanceType)",
                "instanceType is immutable: make a new machine instead",
            ),
            cel(
                "has(self.serverSelector) == has(oldSelf.serverSelector)"
                " && (!has(self.serverSelector) || self.serverSelector == oldSelf.serverSelector)",
                "serverSelector is immutable: make a new machine instead",
            ),
            cel(
                "has(self.cloudInit) == has(oldSelf.cloudInit)"
                " && (!has(self.cloudInit) || self.cloudInit == oldSelf.cloudInit)",
                "cloudInit is immutable, for it is read at the first boot only: make a new machine instead",
            ),
        ),
    )

    run_strategy: RunStrategy = Field(
        default="Always",
        description="Always: powered on, and on again whenever it is found off. Halted: powered off, disks and NICs "
        "kept. Manual: the power is left as it is.",
    )
    termination_grace_period_seconds: int = Field(
        default=60,
        ge=0,
        le=3600,
        description="How long the operating system has to shut down, when the machine is stopped or deleted, before "
        "the power is cut; 0 cuts it at once.",
    )
    instance_type: ObjectName | None = Field(
        default=None, description="InstanceType that a server must fit. Give this or serverSelector."
    )
    server_selector: LabelSelector | None = Field(
        default=None, description="Labels of the servers to choose from. Give this or instanceType."
    )
    disks: list[MachineDisk] = Field(
        min_length=1,
        max_length=MAX_DISKS,
        description="Disks of the machine, by name. Exactly one has boot: true.",
        json_schema_extra=list_map("name")
        | validations(
            cel(
                "self.filter(d, has(d.boot) && d.boot).size() == 1",
                "exactly one disk must have boot: true; set it on the disk that holds the operating system",
            ),
            cel(
                "self.all(d, self.exists_one(other, other.name == d.name))",
                "two disks have the same name: give each disk a name of its own",
            ),
            cel(
                "oldSelf.all(old, !has(old.boot) || !old.boot || self.exists(d, d.name == old.name))",
                "the boot disk cannot be removed or renamed: make a new machine instead",
            ),
        ),
    )
    network_interfaces: list[MachineNetworkInterface] = Field(
        default_factory=list,
        max_length=MAX_NETWORK_INTERFACES,
        description="Network interfaces of the machine, by name. One that is added is shown to a running machine at "
        "once; its operating system is told the address when it is next powered on. Without one nobody can see the "
        "machine answer, and it stays Starting.",
        json_schema_extra=list_map("name")
        | validations(
            cel(
                "self.all(n, self.exists_one(other, other.name == n.name))",
                "two interfaces have the same name: give each interface a name of its own",
            )
        ),
    )
    cloud_init: CloudInit | None = Field(default=None, description="First-boot configuration for the operating system.")


class TimelineEntry(ApiModel):
    """When one step of the provisioning was done."""

    step: str = Field(description="Name of the step.")
    at: datetime = Field(description="When it was done.")


class MachineStatus(ApiModel):
    """What was seen. Written by the composition function alone, save Ready and Synced, which are the engine's."""

    printable_status: PrintableStatus | None = Field(default=None, description="The machine's state in one word.")
    server_name: str | None = Field(default=None, description="Server that the machine runs on.")
    addresses: list[str] = Field(default_factory=list, description="Addresses of its network interfaces.")
    power_state: str | None = Field(default=None, description="Power of the server as its BMC last reported it.")
    timeline: list[TimelineEntry] = Field(
        default_factory=list,
        description="Steps of the provisioning that are done, in order.",
        json_schema_extra=list_map("step"),
    )
    trace_id: str | None = Field(default=None, description="OpenTelemetry trace of the provisioning.")
    conditions: list[Condition] = Field(
        default_factory=list,
        description="Ready, Synced, and Progressing, which names the first child that fails and why.",
        json_schema_extra=list_map("type"),
    )


class BareMetalMachine(KubeObject):
    """A bare-metal server asked for as one asks for a VM: its disks are cloud volumes and its NICs virtual."""

    spec: MachineSpec
    status: MachineStatus | None = None
