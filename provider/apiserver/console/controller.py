"""Consoles of servers: what should be kept is decided from the cache, whenever something about a server changes."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

from provider.api.resources import BAREMETALMACHINE, POWERSTATE, SERVER, SERVERCLAIM
from provider.api.server import Server
from provider.api.serverclaim import ServerClaim
from provider.apiserver.console.frames import Close
from provider.apiserver.console.keepers import MOVED, Keepers
from provider.apiserver.console.ownership import Ownership, lease_name
from provider.apiserver.console.planning import Facts, Keep, Plan, Seal, Take, Wait, Yield, has_power, plan
from provider.apiserver.console.replicas import LOOK_EVERY_S
from provider.controllers.indexes import SERVERS_BY_CLAIM
from provider.planning.tenancy import holds, machine_of
from provider.runtime.attribution import machine_uid_of
from provider.runtime.cache import Cache
from provider.runtime.controller import Json, Key, Outcome, RequeueAfter, Settled, Watch

_UNKNOWN_YET_S = 0.5


@dataclass(frozen=True, slots=True)
class _Held:
    """A machine that exists holds the server."""

    claim_uid: str
    power_states: Sequence[Json]


class ConsolesController:
    """A controller of kind Server (``provider.runtime.controller``)."""

    name = "consoles"
    resource = SERVER
    workers = 4

    def __init__(self, cache: Cache, ownership: Ownership, keepers: Keepers) -> None:
        self._cache = cache
        self._ownership = ownership
        self._keepers = keepers
        self._one_at_a_time: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()
        self.watches: Sequence[Watch] = [
            Watch(SERVERCLAIM, self._of_claim),
            Watch(POWERSTATE, self._of_child),
            Watch(BAREMETALMACHINE, self._of_machine),
        ]
        ownership.changed = self._owners_changed

    async def reconcile(self, key: Key) -> Outcome:
        """Keep the console of one server, or let go of it. Also called by whoever is about to look."""
        lock = self._one_at_a_time.setdefault(key, asyncio.Lock())
        async with lock:
            if not self._ownership.is_known:
                return RequeueAfter(_UNKNOWN_YET_S)
            raw = self._cache.get(SERVER, key)
            if raw is None:
                await self._keepers.drop(key.name, Close.ENDED, "the server was removed")
                return Settled()
            server = Server.parse(raw)
            held = self._held(server)
            return await self._carry_out(self._plan(server, held), server, held)

    # ---- decide

    def _plan(self, server: Server, held: _Held | None) -> Plan:
        name = server.metadata.name
        return plan(
            Facts(
                held=held is not None,
                free=server.spec.claim_ref is None,
                visited=self._keepers.is_visited(server, held.claim_uid if held else None),
                power=held is not None and has_power(held.power_states),
                owner=self._ownership.owner(name),
                our_turn=self._ownership.is_our_turn(name),
            )
        )

    def _held(self, server: Server) -> _Held | None:
        """The claim that holds the server, and the power that its machine asks for; None without such a machine."""
        reference = server.spec.claim_ref
        raw = None if reference is None else self._cache.get(SERVERCLAIM, Key(reference.namespace, reference.name))
        claim = None if raw is None else ServerClaim.parse(raw)
        machine = None if claim is None else machine_of(claim.metadata)
        if claim is None or machine is None or not holds(server, claim):
            return None
        found = self._cache.get(BAREMETALMACHINE, Key(machine.namespace, machine.name))
        if found is None or found["metadata"]["uid"] != machine.uid:
            return None
        states = self._cache.by_owner(POWERSTATE, machine.uid)
        return _Held(
            claim.metadata.uid, [each for each in states if each["metadata"]["namespace"] == machine.namespace]
        )

    # ---- do

    async def _carry_out(self, plan: Plan, server: Server, held: _Held | None) -> Outcome:
        name, claim_uid = server.metadata.name, held.claim_uid if held else None
        match plan:
            case Seal():
                await self._keepers.drop(name, Close.ENDED, "no machine holds the server any more")
            case Yield():
                await self._keepers.drop(name, Close.GOING_AWAY, MOVED)
            case Keep(connect):
                await self._keepers.keep(server, claim_uid, connect=connect)
            case Take(connect):
                if not await self._ownership.take(server):
                    return RequeueAfter(LOOK_EVERY_S)
                await self._keepers.keep(server, claim_uid, connect=connect)
            case Wait():
                return RequeueAfter(LOOK_EVERY_S)
        return Settled()

    # ---- which servers a change concerns

    def _of_claim(self, claim: Json) -> Iterable[Key]:
        return [Key.of(server) for server in self._cache.by(SERVERS_BY_CLAIM, claim["metadata"]["uid"])]

    def _of_machine(self, machine: Json) -> Iterable[Key]:
        return self._of_machine_uid(machine["metadata"]["uid"])

    def _of_child(self, child: Json) -> Iterable[Key]:
        uid = machine_uid_of(child)
        return [] if uid is None else self._of_machine_uid(uid)

    def _of_machine_uid(self, uid: str) -> Iterable[Key]:
        return [key for claim in self._cache.by_owner(SERVERCLAIM, uid) for key in self._of_claim(claim)]

    def _owners_changed(self, leases: set[str]) -> None:
        for server in self._cache.list(SERVER):
            if lease_name(server["metadata"]["name"]) in leases:
                self._cache.touch(SERVER, Key.of(server))
