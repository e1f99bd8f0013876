"""ServerClaims: the scheduler's eyes and hands."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from provider.api.meta import ObjectMeta
from provider.api.resources import (
    EMULATEDDISK,
    EMULATEDNIC,
    POWERSTATE,
    SERVER,
    SERVERCLAIM,
    VIRTUALDISK,
    VIRTUALNIC,
    VOLUME,
)
from provider.api.server import Server
from provider.api.serverclaim import ServerClaim
from provider.controllers.indexes import CLAIMS_BY_SERVER, DISK_DEVICES_BY_CLAIM, FREE, NIC_DEVICES_BY_CLAIM
from provider.controllers.inventory import Inventory
from provider.controllers.kind import ObjectKind
from provider.controllers.powercommand import command
from provider.controllers.powerreading import PowerReadings
from provider.controllers.routes import Routes
from provider.controllers.surroundings import Surroundings
from provider.execution.errors import PowerActionFailed
from provider.planning.action import Action, SwitchPower
from provider.planning.powerworld import ASK_AGAIN_S, Fault
from provider.planning.serverclaim import ServerClaimPlan, World, misfit, plan
from provider.planning.tenancy import holds
from provider.runtime.context import Runtime
from provider.runtime.controller import Json, Key, Watch

_CHILDREN = (POWERSTATE, VIRTUALDISK, VIRTUALNIC, VOLUME)
_DEVICES = (EMULATEDDISK, EMULATEDNIC)


class ServerClaimKind(ObjectKind[ServerClaim]):
    """Binds by writing ``Server.spec.claimRef``."""

    resource = SERVERCLAIM
    workers = 8

    def __init__(
        self, runtime: Runtime, inventory: Inventory, surroundings: Surroundings, readings: PowerReadings
    ) -> None:
        super().__init__(runtime)
        self._inventory = inventory
        self._surroundings = surroundings
        self._readings = readings
        # Not truth: after a restart the power is cut once more.
        self._cut_at: dict[Key, datetime] = {}
        routes = Routes(runtime.cache, SERVERCLAIM)
        self.watches = [Watch(SERVER, self._concerned), *routes.by_machine(*_CHILDREN, *_DEVICES)]

    def parse(self, raw: Json) -> ServerClaim:
        """The model of an object."""
        return ServerClaim.parse(raw)

    async def observe(self, obj: ServerClaim) -> World:
        """The claim, the servers, and who still stands on the claim."""
        if obj.metadata.deleting:
            return await self._leaving(obj)
        return World(obj, tuple(self._candidates(obj)))

    def plan(self, world: World) -> ServerClaimPlan:
        """What to do about it."""
        return plan(world)

    async def carry_out(self, action: Action, obj: ServerClaim) -> None:
        """Write, or cut the power of the server that is to be let go of, if it still is."""
        if not isinstance(action, SwitchPower):
            await super().carry_out(action, obj)
            return
        server = self._held(obj)
        if server is None:
            subject = f"the server of ServerClaim {obj.metadata.name}"
            raise PowerActionFailed("switch the power of", subject=subject, cause="it is no longer held")
        await command(self._runtime, self._readings, server, action)
        self._cut_at[Key(obj.metadata.namespace, obj.metadata.name)] = self._runtime.clock()

    def forget(self, key: Key) -> None:
        """Let go of what was kept for an object that is gone."""
        self._cut_at.pop(key, None)

    def _candidates(self, obj: ServerClaim) -> Sequence[Server]:
        """No more servers than the decision needs; of a claim that finds none, all, for the reasons to be told."""
        bound = self._inventory.concerning(obj)
        if any(holds(server, obj) for server in bound):
            return bound
        if obj.status.at_provider.server_uid is not None:
            return self._inventory.all()
        free = self._inventory.free()
        return free if any(misfit(server, obj) is None for server in free) else self._inventory.all()

    async def _leaving(self, obj: ServerClaim) -> World:
        """The power is read when nothing but the server is left: once, if it is off."""
        world = World(obj, tuple(self._inventory.concerning(obj)), tuple(self._dependents(obj.metadata)))
        server = self._held(obj)
        if server is None or world.dependents:
            return world
        answer = await self._readings.read(server, fresh=True)
        if isinstance(answer, Fault):
            return replace(world, fault=answer)
        cut_at = self._cut_at.get(Key(obj.metadata.namespace, obj.metadata.name))
        cutting = cut_at is not None and self._runtime.clock() - cut_at < timedelta(seconds=ASK_AGAIN_S)
        return replace(world, reading=answer, cutting=cutting)

    def _held(self, obj: ServerClaim) -> Server | None:
        return next((server for server in self._inventory.concerning(obj) if holds(server, obj)), None)

    def _dependents(self, claim: ObjectMeta) -> Iterable[str]:
        for resource in _CHILDREN:
            for child in self._surroundings.siblings(claim, resource):
                yield f"{resource.kind} {child['metadata']['name']}"
        # Whatever became of the objects that asked for them: no server is handed on while its DPU shows our devices.
        for index in (DISK_DEVICES_BY_CLAIM, NIC_DEVICES_BY_CLAIM):
            for device in self._cache.by(index, claim.uid):
                yield f"{index.resource.kind} {Key.of(device)}"

    def _concerned(self, server: Json) -> list[Key]:
        """The claim that holds the server, and those that believe so; of a free one, all that have none yet."""
        reference = server["spec"].get("claimRef")
        keys = {Key(reference.get("namespace"), reference["name"])} if reference else set()
        bound = self._cache.by(CLAIMS_BY_SERVER, server["metadata"]["uid"])
        waiting = () if reference else self._cache.by(CLAIMS_BY_SERVER, FREE)
        return [*keys, *(Key.of(claim) for claim in (*bound, *waiting))]
