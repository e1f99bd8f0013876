"""VirtualNICs: a place on a network, given to a server's DPU."""

from collections.abc import Iterable, Sequence

from provider.api.names import LABEL_MACHINE_UID, dpu_namespace, emulated_nic
from provider.api.network import Network
from provider.api.resources import EMULATEDNIC, NAMESPACE, NETWORK, POWERSTATE, SERVER, SERVERCLAIM, VIRTUALNIC
from provider.api.virtualnic import VirtualNIC
from provider.controllers.agents import Agents
from provider.controllers.indexes import (
    DEVICES_BY_NAME,
    NIC_DEVICES_BY_IDENTITY,
    NICS_BY_IDENTITY,
    identity,
    on_network,
)
from provider.controllers.kind import ObjectKind
from provider.controllers.references import ReferenceField
from provider.controllers.routes import Routes, nobody
from provider.controllers.surroundings import Surroundings
from provider.planning.tenancy import Hold
from provider.planning.virtualnic import Neighbour, NICPlan, World, identities, plan
from provider.runtime.cache import Index
from provider.runtime.context import Runtime
from provider.runtime.controller import Json, Key, Watch


class VirtualNICKind(ObjectKind[VirtualNIC]):
    """The external resource is an EmulatedNIC in the DPU's namespace.

    One worker: an address that one NIC has just taken must be seen by the next one.
    """

    resource = VIRTUALNIC
    references: tuple[ReferenceField, ...] = (ReferenceField("serverClaim", SERVERCLAIM),)
    workers = 1

    def __init__(self, runtime: Runtime, surroundings: Surroundings, agents: Agents) -> None:
        super().__init__(runtime)
        self._surroundings = surroundings
        self._agents = agents
        routes = Routes(runtime.cache, VIRTUALNIC)
        self.watches = [
            *routes.by_machine(SERVERCLAIM, POWERSTATE, EMULATEDNIC),
            Watch(SERVER, routes.by_server),
            Watch(NETWORK, self._on_network),
            routes.by_leaving_machine(),
            Watch(NAMESPACE, nobody),
        ]

    def parse(self, raw: Json) -> VirtualNIC:
        """The model of an object."""
        return VirtualNIC.parse(raw)

    def external_name(self, obj: VirtualNIC) -> str:
        """Name of the EmulatedNIC."""
        return emulated_nic(obj.metadata.uid)

    async def observe(self, obj: VirtualNIC) -> World:
        """Hold, network, neighbours, device, and what stands in the way."""
        hold = self._surroundings.hold(obj.metadata, obj.spec.for_provider.server_claim_ref)
        dpu_name = hold.dpu_name if isinstance(hold, Hold) else obj.status.at_provider.dpu_name
        device = self._device(obj, dpu_name)
        if device is not None:
            dpu_name = device["metadata"]["namespace"].removeprefix(dpu_namespace(""))
        raw = self._cache.get(NETWORK, Key(None, obj.spec.for_provider.network))
        network = None if raw is None else Network.parse(raw)
        return World(
            nic=obj,
            hold=hold,
            network=network,
            device=device,
            neighbours=() if network is None or obj.metadata.deleting else self._neighbours(obj, network, device),
            agent_lost=self._agents.lost(dpu_name) if dpu_name else None,
            departure=self._surroundings.departure(obj.metadata),
            trace=self._trace(),
        )

    def plan(self, world: World) -> NICPlan:
        """What to do about it."""
        return plan(world)

    def _device(self, obj: VirtualNIC, dpu_name: str | None) -> Json | None:
        name = emulated_nic(obj.metadata.uid)
        device = self._cache.get(EMULATEDNIC, Key(dpu_namespace(dpu_name), name)) if dpu_name else None
        if device is not None:
            return device
        # Wherever it is: claim and status may both be lost, and the device must still be found and taken away.
        found = self._cache.list(EMULATEDNIC, None, {LABEL_MACHINE_UID: obj.metadata.controller_uid or ""})
        return next((other for other in found if other["metadata"]["name"] == name), None)

    def _neighbours(self, obj: VirtualNIC, network: Network, device: Json | None) -> tuple[Neighbour, ...]:
        """Who has an address on the network; and who may join it and was promised one by its owner.

        Where this NIC knows its address, those are enough who have that as well. Whoever is to be given another one has
        to know of all.
        """
        name, wanted = network.metadata.name, identities(obj, device)
        if wanted is not None:
            rivals = tuple(self._with(obj, network, [identity(name, each) for each in wanted]))
            if not rivals or obj.spec.for_provider.address is not None:
                return rivals
        return tuple(self._with(obj, network, [on_network(name)]))

    def _with(self, obj: VirtualNIC, network: Network, values: Sequence[str]) -> Iterable[Neighbour]:
        own = emulated_nic(obj.metadata.uid)
        for raw in self._found(NIC_DEVICES_BY_IDENTITY, values):
            spec, name = raw["spec"], raw["metadata"]["name"]
            if name != own:
                yield Neighbour(name.removeprefix(emulated_nic("")), tuple(spec.get("addresses", ())), spec["mac"])
        for raw in self._found(NICS_BY_IDENTITY, values):
            metadata, parameters = raw["metadata"], raw["spec"]["forProvider"]
            if self._has_device(raw, own) or metadata.get("deletionTimestamp"):
                continue
            if network.allows(metadata["namespace"]) and parameters.get("address"):
                addresses, mac = (parameters["address"],), parameters.get("macAddress", "")
                yield Neighbour(metadata["uid"], addresses, mac, asked=True)

    def _found(self, index: Index, values: Iterable[str]) -> Iterable[Json]:
        found = {Key.of(raw): raw for value in values for raw in self._cache.by(index, value)}
        return found.values()

    def _has_device(self, nic: Json, own: str) -> bool:
        """Whether the NIC is this one, or has a device on the network that it asks for: that says what it has."""
        name = emulated_nic(nic["metadata"]["uid"])
        network = nic["spec"]["forProvider"]["network"]
        devices = self._cache.by(DEVICES_BY_NAME, name)
        return name == own or any(each["spec"]["network"]["name"] == network for each in devices)

    def _on_network(self, network: Json) -> list[Key]:
        name = network["metadata"]["name"]
        return [Key.of(nic) for nic in self._cache.by(NICS_BY_IDENTITY, on_network(name))]
