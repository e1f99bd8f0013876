"""The keepers of this replica: at most one for each server, under the claim that it was made for."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from provider.api.server import Server
from provider.apiserver.console.errors import ConsoleUnavailable
from provider.apiserver.console.frames import Close
from provider.apiserver.console.keeper import Keeper
from provider.bmc.console import ConsoleController, SerialSession
from provider.bmc.endpoint import Endpoint
from provider.bmc.errors import BMCError
from provider.controllers.bmcendpoints import BMCEndpoints

_AT_ONCE = 16
"""So many logins at BMCs at a time, when a replica starts or takes over."""

CHANGED_HANDS = "the server changed hands"
MOVED = "another replica has the console now: connect again"
_LEAVING = "this replica goes away: connect again"


class ConsoleFactory(Protocol):
    """Where consoles come from."""

    def console(self, endpoint: Endpoint) -> ConsoleController:
        """The console of the server behind an endpoint; nothing is sent before it is opened."""
        ...


@dataclass(frozen=True, slots=True)
class _Kept:
    server_uid: str
    claim_uid: str | None
    keeper: Keeper


Objection = Callable[[Server, str | None], Awaitable[str | None]]


class Keepers:
    """``objection`` says why the console of a server may not be opened under a claim, or None."""

    def __init__(self, bmcs: ConsoleFactory, endpoints: BMCEndpoints, objection: Objection) -> None:
        self._bmcs = bmcs
        self._endpoints = endpoints
        self._objection = objection
        self._kept: dict[str, _Kept] = {}
        self._servers: dict[str, Server] = {}
        self._visits: Counter[str] = Counter()
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    def find(self, server: Server, claim_uid: str | None) -> Keeper | None:
        """The keeper of the server under just that claim (None: free)."""
        kept = self._kept.get(server.metadata.name)
        if kept is None or (kept.server_uid, kept.claim_uid) != (server.metadata.uid, claim_uid):
            return None
        return kept.keeper

    def is_visited(self, server: Server, claim_uid: str | None) -> bool:
        """Whether somebody looks at the console under that claim, or is about to look at it under any."""
        keeper = self.find(server, claim_uid)
        return self._visits[server.metadata.name] > 0 or (keeper is not None and keeper.hub.readers > 0)

    @contextmanager
    def visit(self, server: str) -> Iterator[None]:
        """Somebody is about to look."""
        self._visits[server] += 1
        try:
            yield
        finally:
            self._visits[server] -= 1
            if not self._visits[server]:
                del self._visits[server]

    async def keep(self, server: Server, claim_uid: str | None, *, connect: bool) -> None:
        """Have a keeper under that claim; one under another claim ends, and all that it knew is gone."""
        name = server.metadata.name
        keeper = self.find(server, claim_uid)
        if keeper is None or keeper.hub.ended is not None:
            await self.drop(name, Close.ENDED, CHANGED_HANDS)
            keeper = Keeper(name, lambda: self._open(name), lambda: self._objection(server, claim_uid))
            self._kept[name] = _Kept(server.metadata.uid, claim_uid, keeper)
        self._servers[name] = server
        keeper.want(wanted=connect, wire=server.spec.bmc)

    async def drop(self, server: str, code: int, reason: str) -> None:
        """End what there is."""
        self._servers.pop(server, None)
        kept = self._kept.pop(server, None)
        if kept is not None:
            await kept.keeper.end(code, reason)

    async def close(self) -> None:
        """End all, for this replica leaves."""
        await asyncio.gather(*(self.drop(name, Close.GOING_AWAY, _LEAVING) for name in list(self._kept)))

    async def _open(self, name: str) -> SerialSession:
        server = self._servers[name]
        async with self._at_once:
            endpoint = await self._endpoints.of(server)
            if not isinstance(endpoint, Endpoint):
                raise ConsoleUnavailable(name, endpoint.message)
            try:
                return await self._bmcs.console(endpoint).open_console()
            except BMCError:
                self._endpoints.forget(server.metadata.uid)
                raise
