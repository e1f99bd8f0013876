"""The consoles of all servers, for the API: attach a client, read a log; wherever the console is."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from aiohttp import web

from provider.api.resources import SERVER
from provider.api.server import Server
from provider.api.subresources import SERVICE, service_host
from provider.apiserver.console.controller import ConsolesController
from provider.apiserver.console.errors import (
    ConsoleEnded,
    ConsoleError,
    ConsoleUnavailable,
    NotOwner,
    PeerRefused,
    TooManyConsoles,
    WriterPresent,
)
from provider.apiserver.console.keeper import Keeper
from provider.apiserver.console.keepers import CHANGED_HANDS, MOVED, ConsoleFactory, Keepers
from provider.apiserver.console.ownership import Ownership
from provider.apiserver.console.peer import HEADER_SECRET, HEADER_WRITER, PATH, Peers, Wish
from provider.apiserver.console.peersecret import PeerSecret
from provider.apiserver.console.planning import Owner
from provider.apiserver.console.replicas import Replicas
from provider.apiserver.console.session import Limits, Reauthorise, Session
from provider.controllers.bmcendpoints import BMCEndpoints
from provider.runtime.clock import boot_time_s
from provider.runtime.context import Runtime
from provider.runtime.controller import Key
from provider.runtime.errors import KubeError, NotFound

T = TypeVar("T")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_MOST = 1000
_TRIES = 3
_AGAIN_S = 0.2


@dataclass(frozen=True, slots=True)
class Seat:
    """Who this replica is. ``address``: HOST:PORT where its peers reach it; ``ca``: the file that signs them all."""

    namespace: str
    identity: str
    address: str
    ca: Path


class Consoles:
    """``controller`` is run by the shell, ``run`` beside it; ``close`` lets the other replicas go on at once."""

    def __init__(
        self,
        runtime: Runtime,
        seat: Seat,
        bmcs: ConsoleFactory,
        *,
        limits: Limits | None = None,
        most: int = _MOST,
        clock: Callable[[], float] = boot_time_s,
    ) -> None:
        self._runtime = runtime
        self._limits = limits or Limits()
        self._most = most
        self._open = 0
        self._replicas = Replicas(runtime.client, seat.namespace, seat.identity, seat.address, clock=clock)
        self._ownership = Ownership(runtime.client, seat.namespace, self._replicas, clock=clock)
        endpoints = BMCEndpoints(runtime.client, seat.namespace)
        self._keepers = Keepers(bmcs, endpoints, self._objection)
        self._secret = PeerSecret(runtime.client, seat.namespace, field_manager=f"{SERVICE}/{seat.identity}")
        self._peers = Peers(self._secret, seat.ca, service_host(seat.namespace), self._limits)
        self.controller = ConsolesController(runtime.cache, self._ownership, self._keepers)

    async def run(self) -> None:
        """Renew our Lease, and look at the others', for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._secret.prepare(), name="peers' secret")
            group.create_task(self._replicas.run(), name="replicas")
            group.create_task(self._ownership.run(), name="owners")

    async def close(self) -> None:
        """Close all consoles, then say that we are gone. ``run`` must have ended."""
        await self._keepers.close()
        await self._replicas.leave()
        await self._peers.close()

    async def attach(
        self,
        request: web.Request,
        server: Server,
        claim_uid: str | None,
        *,
        user: str,
        watch: bool,
        takeover: bool,
        tail_bytes: int | None,
        reauthorise: Reauthorise,
    ) -> web.WebSocketResponse:
        """Serve a websocket with the console of ``server`` under a claim (None: the server is free), until it ends.

        Raises ConsoleError or KubeError before the upgrade, and nothing after it.
        """
        wish = Wish(server.metadata.name, claim_uid, user, watch=watch, takeover=takeover, tail_bytes=tail_bytes)
        with self._counted(wish):
            return await self._wherever(
                server,
                wish,
                here=lambda keeper: self._serve(request, keeper, wish, reauthorise),
                there=lambda address: self._peers.pass_through(request, wish, address, reauthorise),
            )

    async def log(self, server: Server, claim_uid: str | None, tail_bytes: int | None) -> bytes:
        """The last of what the server printed under a claim. Raises ConsoleError, KubeError."""
        wish = Wish(server.metadata.name, claim_uid, tail_bytes=tail_bytes)

        async def here(keeper: Keeper) -> bytes:
            return _log(keeper, wish)

        return await self._wherever(server, wish, here=here, there=lambda address: self._peers.log(wish, address))

    def internal_routes(self) -> list[web.RouteDef]:
        """What peers ask for. Not reached through the Kubernetes API server, which forwards /apis/GROUP/ only."""
        return [
            web.get(PATH, self._for_peer(self._serve_peer)),
            web.get(f"{PATH}/log", self._for_peer(self._log_for_peer)),
        ]

    # ---- here or there

    async def _wherever(
        self,
        server: Server,
        wish: Wish,
        *,
        here: Callable[[Keeper], Awaitable[T]],
        there: Callable[[str], Awaitable[T]],
    ) -> T:
        for _ in range(_TRIES):
            keeper = await self._keeper(server, wish)
            if keeper is not None:
                return await here(keeper)
            address = self._ownership.address(wish.server)
            if address is not None:
                try:
                    return await there(address)
                except NotOwner:
                    # Our view of the owners is old, or theirs of the claim.
                    await self._ownership.confirm(wish.server)
            await asyncio.sleep(_AGAIN_S)
        raise ConsoleUnavailable(wish.server, "no replica has it just now")

    async def _keeper(self, server: Server, wish: Wish) -> Keeper | None:
        """The keeper, if the console is ours or nobody's. Raises ConsoleEnded where it is ours under another claim."""
        with self._keepers.visit(wish.server):
            await self.controller.reconcile(Key(None, wish.server))
            keeper = self._keepers.find(server, wish.claim_uid)
        if keeper is None and self._ownership.owner(wish.server) is Owner.OURS:
            raise ConsoleEnded(wish.server)
        return keeper

    async def _objection(self, server: Server, claim_uid: str | None) -> str | None:
        """Why the console may not be opened under that claim, by what the API server says right now."""
        name = server.metadata.name
        if not await self._ownership.confirm(name):
            return MOVED
        try:
            now = Server.parse(await self._runtime.client.get(SERVER, name))
        except NotFound:
            return CHANGED_HANDS
        holder = now.spec.claim_ref.uid if now.spec.claim_ref else None
        return None if (now.metadata.uid, holder) == (server.metadata.uid, claim_uid) else CHANGED_HANDS

    async def _serve(
        self, request: web.Request, keeper: Keeper, wish: Wish, reauthorise: Reauthorise
    ) -> web.WebSocketResponse:
        hub = keeper.hub
        reader = hub.attach(wish.user, watch=wish.watch, takeover=wish.takeover, tail_bytes=wish.tail_bytes)
        try:
            return await Session(request, hub, reader, reauthorise, self._limits).serve()
        finally:
            if wish.claim_uid is None:
                # The console of a free server ends with the last who looks.
                self._runtime.cache.touch(SERVER, Key(None, wish.server))

    @contextmanager
    def _counted(self, wish: Wish) -> Iterator[None]:
        if self._open >= self._most:
            raise TooManyConsoles(wish.server)
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    # ---- for peers

    def _for_peer(self, answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> _Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                if not await self._secret.is_right(request.headers.get(HEADER_SECRET, "")):
                    raise PeerRefused
                return await answer(request)
            except ConsoleError as error:
                return _refusal(error.status, error)
            except KubeError as error:
                return _refusal(ConsoleUnavailable.status, error)

        return handle

    async def _serve_peer(self, request: web.Request) -> web.StreamResponse:
        wish = Wish.of(request)
        with self._counted(wish):
            return await self._serve(request, await self._own(wish), wish, _decided_there)

    async def _log_for_peer(self, request: web.Request) -> web.StreamResponse:
        wish = Wish.of(request)
        return web.Response(body=_log(await self._own(wish), wish), content_type="application/octet-stream")

    async def _own(self, wish: Wish) -> Keeper:
        """The keeper of a console that a peer believes to be ours. Raises NotOwner."""
        raw = self._runtime.cache.get(SERVER, Key(None, wish.server))
        keeper = None if raw is None else await self._keeper(Server.parse(raw), wish)
        if keeper is None:
            raise NotOwner(wish.server)
        return keeper


async def _decided_there() -> bool:
    """The peer asks again what its client may do, and closes."""
    return True


def _log(keeper: Keeper, wish: Wish) -> bytes:
    history = keeper.hub.history
    return history.all_from(history.tail(wish.tail_bytes))


def _refusal(status: int, error: Exception) -> web.Response:
    headers = {HEADER_WRITER: quote(error.writer)} if isinstance(error, WriterPresent) else {}
    return web.Response(status=status, text=str(error), headers=headers)
