"""``VirtualNIC``: one OVS-backed NIC of one server."""

from pydantic import ConfigDict, Field

from provider.api.emulatednic import Reachability
from provider.api.managed import ManagedSpec, ManagedStatus, Reference, Selector
from provider.api.meta import KubeObject
from provider.api.schema import API_MODEL_CONFIG, ApiModel, CidrAddress, MacAddress, ObjectName, cel, validations


class VirtualNICParameters(ApiModel):
    """Which network, where."""

    model_config = ConfigDict(
        **API_MODEL_CONFIG,
        json_schema_extra=validations(
            cel(
                "has(self.serverClaimRef) || has(self.serverClaimSelector)",
                "give serverClaimRef (a name) or serverClaimSelector (how to find it)",
            ),
            cel("self.network == oldSelf.network", "network is immutable: make a new NIC instead"),
            cel("self.index == oldSelf.index", "index is immutable: unplug the NIC and plug it elsewhere"),
        ),
    )

    server_claim_ref: Reference | None = Field(default=None, description="ServerClaim that holds the server.")
    server_claim_selector: Selector | None = Field(default=None, description="How to find the ServerClaim.")
    network: ObjectName = Field(description="Network to join; it must allow this namespace.")
    index: int = Field(ge=0, le=31, description="Which of the server's NIC slots, counted from 0.")
    mac_address: MacAddress | None = Field(default=None, description="MAC; without one, a stable one is derived.")
    address: CidrAddress | None = Field(
        default=None, description="Address with prefix; without one, a free address of the network."
    )
    force_unplug: bool = Field(
        default=False,
        description="When the NIC is removed, take it away though the operating system does not let go of it.",
    )


class VirtualNICSpec(ManagedSpec):
    """Desired NIC."""

    for_provider: VirtualNICParameters = Field(description="Which network, where.")


class VirtualNICObservation(ApiModel):
    """The NIC as the DPU of the server reports it."""

    server_name: str | None = Field(default=None, description="Server that the NIC is shown to.")
    dpu_name: str | None = Field(default=None, description="DPU that shows it.")
    emulated_nic: str | None = Field(default=None, description="EmulatedNIC in the DPU's namespace.")
    mac_address: str | None = Field(default=None, description="MAC address of the NIC.")
    addresses: list[str] = Field(default_factory=list, description="Addresses with prefix, such as 10.20.0.11/24.")
    gateway: str | None = Field(default=None, description="Gateway of the network, if it has one.")
    name_servers: list[str] = Field(default_factory=list, description="DNS servers of the network.")
    mtu: int | None = Field(default=None, description="Largest packet of the network, in bytes.")
    ofport: int | None = Field(default=None, description="OpenFlow port number that OVS gave the port.")
    link_up: bool | None = Field(default=None, description="Whether the server has its end of the link up.")
    reachability: Reachability | None = Field(
        default=None, description="Whether the machine answers on this NIC, as the DPU's agent saw it."
    )


class VirtualNICStatus(ManagedStatus):
    """Observed NIC."""

    at_provider: VirtualNICObservation = Field(default=VirtualNICObservation(), description="What was seen.")


class VirtualNIC(KubeObject):
    """A network interface of a server, emulated by its DPU."""

    spec: VirtualNICSpec
    status: VirtualNICStatus = VirtualNICStatus()
