"""Two replicas with their consoles, on one model cluster and one rack of BMCs; TLS between them is real."""

import asyncio
import base64
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from provider.api.resources import BAREMETALMACHINE, POWERSTATE, SECRET, SERVER, SERVERCLAIM
from provider.api.server import Server
from provider.api.subresources import service_host
from provider.apiserver.console.consoles import Consoles, Seat
from provider.apiserver.console.errors import ConsoleError
from provider.apiserver.console.session import Limits
from provider.runtime.context import Runtime
from provider.runtime.controller import Json, Key
from provider.runtime.dispatch import Dispatcher
from provider.runtime.errors import KubeError
from sandbox.pki import Authority
from tests.unit.console.lines import Lines, Rack
from tests.unit.planning import builders
from tests.unit.runtime.model_cluster import ModelCluster, merged

NAMESPACE = "metalplane-system"
BMC_ADDRESS = "192.0.2.1"
LIMITS = Limits(look_every_s=0.02, reauthorise_every_s=0.02)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class World:
    """The cluster, with one server that a machine of tenant-a holds and has switched on."""

    def __init__(self) -> None:
        self.cluster = ModelCluster(SERVER, SERVERCLAIM, POWERSTATE, BAREMETALMACHINE)
        self.clock = Clock()
        self.rack = Rack()
        credentials = {"username": "admin", "password": "secret"}
        data = {key: base64.b64encode(value.encode()).decode() for key, value in credentials.items()}
        self.cluster.have(SECRET, {"metadata": {"name": "server0-bmc", "namespace": NAMESPACE}, "data": data})
        self.claim = self.machine("bm-01", builders.MACHINE_UID)
        self.held_by(self.claim)

    @property
    def bmc(self) -> Lines:
        return self.rack.at(BMC_ADDRESS)

    def machine(self, name: str, uid: str, power: str = "On") -> Json:
        """A machine that is to be on; returns its claim."""
        self.cluster.have(BAREMETALMACHINE, builders.obj("BareMetalMachine", name, uid=uid))
        claim = self.cluster.have(SERVERCLAIM, _child("ServerClaim", f"{name}-server", uid, name, {}))
        self.cluster.have(POWERSTATE, _child("PowerState", f"{name}-power", uid, name, {"state": power}))
        return claim

    def held_by(self, claim: Json | None) -> None:
        """The scheduler binds the server, or frees it."""
        self.cluster.have(SERVER, builders.server("server0", claim=claim))

    def power(self, asked: str, seen: str) -> None:
        """The machine's power is asked for, and seen."""
        state = self.cluster.now(POWERSTATE, "bm-01-power", builders.NAMESPACE)
        assert state is not None
        change = {"spec": {"forProvider": {"state": asked}}, "status": {"atProvider": {"state": seen}}}
        self.cluster.have(POWERSTATE, merged(state, change))

    async def deleted(self, name: str) -> None:
        """A machine goes."""
        await self.cluster.delete(BAREMETALMACHINE, name, builders.NAMESPACE)

    def server(self) -> Server:
        found = self.cluster.now(SERVER, "server0")
        assert found is not None
        return Server.parse(found)


class Replica:
    """One process: its consoles, the controller's worker, and an HTTPS server with a page for clients."""

    def __init__(self, world: World, identity: str, pki: Authority, *, most: int = 100) -> None:
        self.world = world
        self.allowed = True
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        runtime: Runtime = world.cluster.runtime()
        seat = Seat(NAMESPACE, identity, self.address, pki.certificate)
        self.consoles = Consoles(runtime, seat, world.rack, limits=LIMITS, most=most, clock=world.clock)
        self._dispatcher = Dispatcher([self.consoles.controller], runtime)
        self._certificate = pki.server(identity, names=[service_host(NAMESPACE)])
        self._runner: web.AppRunner | None = None
        self._work: asyncio.Task[None] | None = None

    async def start(self) -> None:
        application = web.Application()
        application.add_routes([web.get("/console", self._attach), web.get("/log", self._log)])
        application.add_routes(self.consoles.internal_routes())
        self._runner = web.AppRunner(application, shutdown_timeout=1.0)
        await self._runner.setup()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self._certificate.certificate, self._certificate.key)
        await web.SockSite(self._runner, self._socket, ssl_context=tls).start()
        await self.round()
        self._work = asyncio.create_task(self._dispatcher.run())
        self.world.cluster.cache.touch(SERVER, _KEY)

    async def round(self) -> None:
        """What ``Consoles.run`` does every few seconds."""
        await self.consoles._replicas.beat()
        await self.consoles._replicas.look()
        await self.consoles._ownership.refresh()

    async def leave(self) -> None:
        """End in order."""
        await self.consoles.close()
        await self.die()

    async def die(self) -> None:
        """End at once, as a killed process: whoever is connected is cut off."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])
            self._work = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def reauthorise(self) -> bool:
        return self.allowed

    async def _attach(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        try:
            return await self.consoles.attach(
                request,
                self.world.server(),
                query.get("claim"),
                user=query.get("user", "ann"),
                watch="watch" in query,
                takeover="takeover" in query,
                tail_bytes=None,
                reauthorise=self.reauthorise,
            )
        except (ConsoleError, KubeError) as error:
            return web.Response(status=error.status, text=str(error))

    async def _log(self, request: web.Request) -> web.StreamResponse:
        try:
            return web.Response(body=await self.consoles.log(self.world.server(), request.query.get("claim"), None))
        except ConsoleError as error:
            return web.Response(status=error.status, text=str(error))


class Client:
    """Speaks to any replica, and does not look at certificates."""

    def __init__(self, http: aiohttp.ClientSession, world: World) -> None:
        self.http = http
        self._world = world

    def console(self, replica: Replica, *, claim: Json | None = None, **query: str) -> Any:
        """A websocket on the server's console, under the claim that holds it unless told otherwise."""
        return self.http.ws_connect(self._url(replica, "/console", claim), params=query, ssl=False)

    async def refused(self, replica: Replica, *, claim: Json | None = None, **query: str) -> int:
        """The status of a request for a console that gets none."""
        try:
            await self.console(replica, claim=claim, **query)
        except aiohttp.WSServerHandshakeError as error:
            return error.status
        raise AssertionError("it was let in")

    async def log(self, replica: Replica, *, claim: Json | None = None) -> bytes:
        async with self.http.get(self._url(replica, "/log", claim), ssl=False) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.read()

    def _url(self, replica: Replica, path: str, claim: Json | None) -> str:
        holder = self._world.server().spec.claim_ref
        uid = claim["metadata"]["uid"] if claim else holder.uid if holder else None
        return f"https://{replica.address}{path}" + (f"?claim={uid}" if uid else "")


@asynccontextmanager
async def replicas(directory: Path, **limits: int) -> AsyncIterator[tuple[World, Replica, Replica, Client]]:
    """The world, the replica that has the console, the other, and a client."""
    world, pki = World(), Authority(directory, "cluster")
    both = [Replica(world, identity, pki, **limits) for identity in ("a", "b")]
    async with aiohttp.ClientSession() as http:
        for each in both:
            await each.start()
        for each in both:
            await each.round()
        await world.bmc.nth(1)
        owner = next(
            each for each in both if each.consoles._keepers.find(world.server(), world.claim["metadata"]["uid"])
        )
        try:
            yield world, owner, next(each for each in both if each is not owner), Client(http, world)
        finally:
            for each in both:
                await each.leave()


def _child(kind: str, name: str, machine_uid: str, machine: str, parameters: Json) -> Json:
    child = builders.child(kind, name, parameters, machine=machine_uid)
    child["metadata"]["ownerReferences"][0]["name"] = machine
    return child


_KEY = Key(None, "server0")
