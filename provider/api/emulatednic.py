"""``EmulatedNIC``: one NIC that a DPU must show its server. Written by the provider, realised by the DPU's agent."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from provider.api.emulation import EmulatedStatus, MachineReference, TraceParent
from provider.api.meta import KubeObject
from provider.api.schema import ApiModel, DeviceName, MacAddress


class Reachability(ApiModel):
    """Whether the machine answers ARP. Written on change only; that it is fresh, the agent's Lease says."""

    state: Literal["Reachable", "Unreachable"] = Field(description="Whether the machine answers.")
    since: datetime = Field(description="When that was first so.")
    address: str | None = Field(default=None, description="Address that was asked for.")


class EmulatedNetwork(ApiModel):
    """The network as the DPU needs to know it."""

    name: str = Field(description="Name of the Network.")
    vlan: int = Field(ge=1, le=4094, description="VLAN tag (IEEE 802.1Q).")
    mtu: int = Field(default=1500, ge=576, le=9216, description="Largest packet, in bytes.")


class EmulatedNICSpec(ApiModel):
    """The NIC that the server must see."""

    machine_ref: MachineReference = Field(description="The machine that the NIC is shown to.")
    claim_uid: str = Field(description="UID of the ServerClaim under which the server is held.")
    nic_slot: int = Field(ge=1, le=32, description="PCIe slot.")
    representor: DeviceName = Field(description="Network device of the DPU behind that slot.")
    mac: MacAddress = Field(description="MAC address of the NIC.")
    network: EmulatedNetwork = Field(description="Network that the NIC joins.")
    addresses: list[str] = Field(default_factory=list, description="The machine's addresses, with prefix.")
    force_unplug: bool = Field(
        default=False, description="Whether its removal waits for no operating system to let go of it."
    )
    trace: TraceParent | None = Field(default=None, description="Where spans about the NIC belong.")


class EmulatedNICStatus(EmulatedStatus):
    """What the DPU shows."""

    ofport: int | None = Field(default=None, description="OpenFlow port number that OVS gave the port.")
    link_up: bool | None = Field(default=None, description="Whether the server has its end of the link up.")
    reachability: Reachability | None = Field(default=None, description="Whether the machine answers ARP.")


class EmulatedNIC(KubeObject):
    """A NIC as one DPU must show it."""

    spec: EmulatedNICSpec
    status: EmulatedNICStatus = EmulatedNICStatus()
