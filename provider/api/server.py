"""``Server``: one physical box of the inventory. ``spec.claimRef`` is the one place that says who holds it."""

from typing import Literal

from pydantic import ConfigDict, Field

from provider.api.meta import KubeObject
from provider.api.schema import (
    API_MODEL_CONFIG,
    ApiModel,
    DeviceName,
    DpuName,
    LocalSecretReference,
    ObjectReference,
    Quantity,
    cel,
    list_map,
    validations,
)


class BMC(ApiModel):
    """How the server's baseboard management controller is reached."""

    protocol: Literal["ipmi"] = Field(default="ipmi", description="Protocol that the BMC speaks.")
    address: str = Field(
        min_length=1,
        max_length=253,
        description="Address or DNS name of the BMC.",
        json_schema_extra=validations(
            cel(
                "self.matches('^[-.:0-9A-Za-z]+$')",
                "must be an address or a DNS name, such as 10.0.0.5 or bmc-7.example",
            )
        ),
    )
    port: int = Field(default=623, ge=1, le=65535, description="UDP port of the BMC.")
    secret_ref: LocalSecretReference = Field(
        description="Secret of the installation namespace with keys username and password."
    )


class DPUReference(ApiModel):
    """The DPU that sits in the server."""

    name: DpuName = Field(description="Name of the DPU: of its Node, and of its namespace metalplane-dpu-NAME.")


class NICSlot(ApiModel):
    """A PCIe slot for a NIC, and the port that stands for it on the DPU's Open vSwitch."""

    slot: int = Field(ge=1, le=32, description="PCIe slot.")
    representor: DeviceName = Field(description="Network device of the DPU behind that slot.")


class ServerCapacity(ApiModel):
    """What the server has."""

    cpus: int = Field(ge=1, description="Number of CPUs.")
    memory: Quantity = Field(description="Memory, such as 256Gi.")


class ServerSpec(ApiModel):
    """The server as the operator describes it, and who holds it."""

    model_config = ConfigDict(
        **API_MODEL_CONFIG,
        json_schema_extra=validations(
            cel(
                "!has(self.nicSlots) || self.nicSlots.all(n, n.slot <= self.slots)",
                "a NIC slot lies beyond slots: raise slots or lower the NIC slot's number",
            ),
            cel(
                "!has(self.nicSlots)"
                " || self.nicSlots.all(n, self.nicSlots.exists_one(other, other.representor == n.representor))",
                "two NIC slots have the same representor: name the network device that is behind each",
            ),
        ),
    )

    bmc: BMC = Field(description="How the server's BMC is reached.")
    dpu: DPUReference = Field(description="The DPU that sits in the server.")
    slots: int = Field(default=8, ge=1, le=32, description="PCIe slots that the DPU can fill, counted from 1.")
    nic_slots: list[NICSlot] = Field(
        default_factory=list,
        max_length=16,
        description="Slots that are for NICs; the others are for disks.",
        json_schema_extra=list_map("slot"),
    )
    capacity: ServerCapacity = Field(description="What the server has.")
    allowed_namespaces: list[str] = Field(
        default=["*"], max_length=256, description="Namespaces whose machines may hold the server; '*' is any."
    )
    unschedulable: bool = Field(default=False, description="Whether new machines are kept off the server.")
    claim_ref: ObjectReference | None = Field(
        default=None, description="The ServerClaim that holds the server, with its UID. Written by the scheduler."
    )


class Server(KubeObject):
    """A physical server with a DPU in it."""

    spec: ServerSpec

    def allows(self, namespace: str) -> bool:
        """Whether machines of ``namespace`` may hold the server."""
        return "*" in self.spec.allowed_namespaces or namespace in self.spec.allowed_namespaces

    def disk_slots(self) -> frozenset[int]:
        """Slots that a disk may take."""
        return frozenset(range(1, self.spec.slots + 1)) - {nic.slot for nic in self.spec.nic_slots}
