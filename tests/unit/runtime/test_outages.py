"""What went while a watch stream was cut is found gone, be it the last of a kind, and nothing is asked for that."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import web

from provider.api.resources import NAMESPACE, VOLUME, ResourceType
from provider.runtime.cache import Cache
from provider.runtime.client import KubeClient
from provider.runtime.context import Runtime
from provider.runtime.controller import Json, Key, Outcome, Settled, Watch
from provider.runtime.events import EventRecorder
from provider.runtime.kubeconfig import ClusterAccess
from provider.runtime.lease import Unopposed
from provider.runtime.shell import run
from provider.runtime.tracing import Tracer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
NAME = "bm-01-disk"
QUIET_S = 2.5


class CutOff:
    """One kind over HTTP. ``forget`` is what etcd does to old versions: streams end, and a new one needs a list."""

    def __init__(self) -> None:
        self.volumes = [{"metadata": {"name": NAME, "namespace": "t", "uid": "u", "resourceVersion": "5"}}]
        self.version = 10
        self.refused_lists = 0
        self.requests: list[str] = []
        self._forgotten = asyncio.Event()

    def forget(self) -> None:
        """The last object goes, and whoever watches does not learn of it."""
        self.volumes, self.version = [], 20
        self._forgotten.set()

    def app(self) -> web.Application:
        """The paths that a client asks for."""
        version = {"groupVersion": VOLUME.api_version, "version": VOLUME.version}
        group = {"name": VOLUME.group, "versions": [version], "preferredVersion": version}
        app = web.Application(middlewares=[self._note])
        documents: dict[str, Json] = {
            "/api": {"versions": ["v1"]},
            "/api/v1": {"resources": [_served(NAMESPACE)]},
            "/apis": {"groups": [group]},
            f"/apis/{VOLUME.api_version}": {"resources": [_served(VOLUME)]},
        }
        for path, document in documents.items():
            app.router.add_get(path, _document(document))
        app.router.add_get(VOLUME.path(), self._volumes)
        return app

    @web.middleware
    async def _note(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests.append(request.path_qs)
        return await handler(request)

    async def _volumes(self, request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            return await self._stream(request)
        if self.version == 20 and "limit" in request.query and self.refused_lists:
            self.refused_lists -= 1
            return web.json_response({"message": "no such right"}, status=403)
        return web.json_response({"metadata": {"resourceVersion": str(self.version)}, "items": self.volumes})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)
        await self._forgotten.wait()
        if int(request.query["resourceVersion"]) < self.version:
            gone = {"type": "ERROR", "object": {"code": 410, "reason": "Expired"}}
            with suppress(ConnectionError):
                await stream.write(json.dumps(gone).encode() + b"\n")
            return stream
        await asyncio.Event().wait()
        return stream


def _document(document: Json) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(document)

    return answer


def _served(rt: ResourceType) -> Json:
    names = {"name": rt.plural, "singularName": rt.kind.lower(), "kind": rt.kind}
    return {**names, "namespaced": rt.namespaced, "verbs": ["get", "list", "watch"]}


class Watching:
    """A controller that does nothing but have its kind watched."""

    name = "watching"
    resource: ResourceType = VOLUME
    watches: Sequence[Watch] = ()
    workers = 1

    async def reconcile(self, key: Key) -> Outcome:
        return Settled()


@asynccontextmanager
async def running(api: CutOff) -> AsyncIterator[Cache]:
    """The cache of a process whose API server that is."""
    runner = web.AppRunner(api.app(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    access = ClusterAccess(f"http://127.0.0.1:{runner.addresses[0][1]}", None)
    ready, stop = asyncio.Event(), asyncio.Event()
    async with KubeClient(access) as client:
        events = EventRecorder(client, controller="watching", instance="test")
        runtime = Runtime(client, Cache(), Tracer("test"), events, Unopposed())
        process = asyncio.create_task(run([Watching()], runtime, namespaces=None, ready=ready, stop=stop))
        try:
            await ready.wait()
            yield runtime.cache
        finally:
            stop.set()
            await process
            await runner.cleanup()


async def until(fact: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not fact():  # noqa: ASYNC110  (what changes is on the other end of a socket)
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("refused", [0, 1], ids=["at once", "though the first list is refused"])
async def test_the_last_of_a_kind_that_went_unseen_is_found_gone(refused: int) -> None:
    api = CutOff()
    api.refused_lists = refused
    async with running(api) as cache:
        assert cache.get(VOLUME, Key("t", NAME)) is not None
        await until(lambda: any("watch" in asked for asked in api.requests))
        api.forget()
        await until(lambda: cache.get(VOLUME, Key("t", NAME)) is None)
        assert api.refused_lists == 0


async def test_while_nothing_happens_nothing_is_asked() -> None:
    api = CutOff()
    async with running(api):
        # Two lists come before the quiet: one to fill the cache, one for what went before the stream was there.
        await until(lambda: sum("limit" in asked for asked in api.requests) == 2)
        asked = len(api.requests)
        await asyncio.sleep(QUIET_S)
        assert api.requests[asked:] == []
