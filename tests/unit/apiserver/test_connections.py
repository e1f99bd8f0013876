"""Connections that are kept, when the authority by which they were let in is no more."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import aiohttp
import pytest
from aiohttp import web

from provider.apiserver.authentication import Authentication
from provider.apiserver.connections import Connections
from provider.apiserver.errors import Unauthenticated
from provider.apiserver.requestheader import FrontProxy
from provider.apiserver.tls import ServingTLS
from provider.runtime.client import KubeClient
from sandbox import pki

_ALICE = {"X-Remote-User": "alice"}


@dataclass
class Rig:
    """A server that says who asks, once it is ``allowed`` to, and a front proxy with one connection to it."""

    tls: ServingTLS
    old: pki.Authority
    new: pki.Authority
    connections: Connections = field(default_factory=Connections)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    allowed: asyncio.Event = field(default_factory=asyncio.Event)
    proxy: aiohttp.ClientSession = field(init=False)
    url: str = field(init=False)
    server: web.Server = field(init=False)
    clients: list[object] = field(default_factory=list)

    def believe(self, authority: pki.Authority) -> None:
        self.tls.believe(authority.certificate.read_text())

    async def answer(self, request: web.Request) -> web.Response:
        authentication = Authentication(cast(KubeClient, None), self.front_proxy, self.tls.still_believes)
        try:
            caller = await authentication.caller(request)
        except Unauthenticated as error:
            return web.Response(status=401, text=error.message)
        assert request.transport is not None
        self.clients.append(request.transport.get_extra_info("peername"))
        self.asked.set()
        await self.allowed.wait()
        return web.Response(text=caller.name)

    async def ask(self) -> tuple[int, str]:
        async with self.proxy.get(self.url, headers=_ALICE) as response:
            return response.status, await response.text()

    def front_proxy(self) -> FrontProxy:
        return FrontProxy("", (), ("X-Remote-User",), (), ())


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    serving = pki.Authority(tmp_path / "serving", "serving")
    credential = serving.server("server", names=("localhost", "127.0.0.1"))
    served = pki.as_directory(credential, serving.certificate, tmp_path / "served")
    old, new = (pki.Authority(tmp_path / name, name) for name in ("old", "new"))
    rig = Rig(ServingTLS(served), old, new)
    rig.believe(old)
    app = web.Application(middlewares=[rig.connections.noting])
    app.router.add_get("/", rig.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=rig.tls.context)
    await site.start()
    assert runner.server is not None
    rig.server, rig.url = runner.server, f"https://localhost:{runner.addresses[0][1]}/"
    shown = ssl.create_default_context(cafile=str(serving.certificate))
    proxy = old.client("proxy", common_name="proxy")
    shown.load_cert_chain(proxy.certificate, proxy.key)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=shown, limit=1)) as rig.proxy:
        yield rig
    await runner.cleanup()


async def test_a_kept_connection_is_used_as_long_as_its_authority_is_believed(rig: Rig) -> None:
    rig.allowed.set()
    for _ in range(2):
        assert await rig.ask() == (200, "alice")
        rig.believe(rig.old)
    assert len(set(rig.clients)) == 1


async def test_what_is_idle_is_closed_at_once_and_what_is_asked_is_answered_first(rig: Rig) -> None:
    asking = asyncio.ensure_future(rig.ask())
    await rig.asked.wait()
    rig.connections.let_go(rig.server)
    rig.allowed.set()
    assert await asking == (200, "alice"), "it was let in before"
    assert await rig.ask() == (200, "alice")
    rig.connections.let_go(rig.server)
    assert await rig.ask() == (200, "alice")
    assert len(set(rig.clients)) == 3, "each on a connection of its own"


async def test_whoever_holds_a_connection_is_not_believed_when_its_authority_is_out(rig: Rig) -> None:
    rig.allowed.set()
    assert await rig.ask() == (200, "alice")
    rig.believe(rig.new)
    code, message = await rig.ask()
    assert code == 401
    assert "connect again" in message
    with pytest.raises(aiohttp.ClientError):
        await rig.ask()
