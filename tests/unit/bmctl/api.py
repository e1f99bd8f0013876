"""A stand-in of the API server with bm-api behind it, for what bmctl does with each answer; and bmctl as users run it.

It answers what a test wrote down, keeps every request, and streams what a test says is changed. That the real ones
answer so is held by tests/integration.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

Json = dict[str, Any]
Console = Callable[[web.WebSocketResponse, web.Request], Awaitable[None]]

MACHINES = "/apis/metalplane.io/v1alpha1/namespaces/tenant-a/baremetalmachines"
SUBRESOURCES = "/apis/subresources.metalplane.io/v1alpha1/namespaces/tenant-a/baremetalmachines"
SERVERS = "/apis/subresources.metalplane.io/v1alpha1/servers"
TIMEOUT_S = 60.0


@dataclass
class Api:
    """``answers`` by method and path, after those that ``first`` gives once.

    ``changes`` by path of a list: each time it is watched, the events of one stream.
    ``consoles``: what to do with one websocket after the other.
    """

    answers: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    first: dict[tuple[str, str], list[tuple[int, Any]]] = field(default_factory=dict)
    changes: dict[str, list[list[Json]]] = field(default_factory=dict)
    consoles: list[Console] = field(default_factory=list)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    def shows(self, path: str, *objects: Json) -> None:
        """A list at ``path``, and each of its objects."""
        self.answers["GET", path] = (200, {"items": list(objects), "metadata": {"resourceVersion": "1"}})
        for obj in objects:
            self.answers["GET", f"{path}/{obj['metadata']['name']}"] = (200, obj)

    def kubeconfig(self, directory: Path) -> Path:
        """A user of it, in namespace tenant-a."""
        path = directory / "kubeconfig"
        document = {
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {"token": "s3cret"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "tenant-a"}}],
            "current-context": "x",
        }
        path.write_text(json.dumps(document))
        return path

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests.append((request.method, str(request.rel_url), json.loads(body) if body else None))
        self.headers.append(dict(request.headers))
        if request.headers.get("Upgrade") == "websocket" and self.consoles:
            return await self._console(request)
        if "watch" in request.query and not request.path.endswith("console"):
            return await self._watch(request)
        asked = request.method, request.path
        once = self.first.get(asked)
        status, answer = once.pop(0) if once else self.answers.get(asked, (404, {"message": "not written down"}))
        if isinstance(answer, bytes):
            return web.Response(status=status, body=answer)
        return web.json_response(answer, status=status)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        streams = self.changes.get(request.path, [])
        for event in streams.pop(0) if streams else ():
            await response.write(json.dumps(event).encode() + b"\n")
        if not streams:
            # What was written down is told; as the real one does, it stays open until the client goes.
            await asyncio.Event().wait()
        return response

    async def _console(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("v1.console.metalplane.io",))
        await socket.prepare(request)
        await self.consoles.pop(0)(socket, request)
        return socket


@contextmanager
def serving() -> Iterator[Api]:
    """An API on a port of its own, until the block ends."""
    api = Api()
    loop = asyncio.new_event_loop()
    started = threading.Event()

    async def serve() -> None:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", api.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        started.set()
        await stopped.wait()
        await runner.cleanup()

    stopped = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert started.wait(TIMEOUT_S)
        yield api
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join()
        loop.close()


def run(
    kubeconfig: Path, *arguments: str, data: bytes = b"", **environment: str
) -> "subprocess.CompletedProcess[bytes]":
    """bmctl, in a pipe."""
    return subprocess.run(
        [sys.executable, "-m", "bmctl", *arguments],
        input=data,
        capture_output=True,
        check=False,
        timeout=TIMEOUT_S,
        env={**os.environ, "KUBECONFIG": str(kubeconfig), "TERM": "xterm", **environment},
    )


async def until_closed(socket: web.WebSocketResponse) -> list[Any]:
    """All that the client sent, text and bytes, until it closed."""
    return [message.data async for message in socket if message.type in (WSMsgType.BINARY, WSMsgType.TEXT)]


def machine(status: str = "Running", **spec: Any) -> Json:
    """A machine as the API server has it."""
    addresses = ["10.20.0.11/24"] if status == "Running" else []
    return {
        "apiVersion": "metalplane.io/v1alpha1",
        "kind": "BareMetalMachine",
        "metadata": {
            "name": "bm-01",
            "namespace": "tenant-a",
            "uid": "11111111-2222-3333-4444-555555555555",
            "generation": 1,
            "creationTimestamp": "2026-11-23T10:00:00Z",
        },
        "spec": {
            "runStrategy": "Always",
            "networkInterfaces": [{"name": "eth0", "network": "blue"}],
            "disks": [{"name": "root", "boot": True, "image": "tiny", "size": "1Gi"}],
            **spec,
        },
        "status": {
            "printableStatus": status,
            "serverName": "server0",
            "powerState": "On" if status in ("Running", "Starting") else "Off",
            "addresses": addresses,
            "conditions": [{"type": "Ready", "status": "True" if status == "Running" else "False"}],
        },
    }


def child(
    kind: str, name: str, *, labels: Json | None = None, ready: str = "True", seen: Json | None = None, **more: Any
) -> Json:
    """Something that this machine is made of."""
    owner = machine()["metadata"]
    return {
        "apiVersion": "metalplane.io/v1alpha1",
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": "tenant-a",
            "uid": f"uid-{name}",
            "labels": labels or {},
            "ownerReferences": [{"controller": True, "uid": owner["uid"], "name": owner["name"]}],
            **more,
        },
        "spec": {"forProvider": {}},
        "status": {
            "conditions": [
                {"type": "Ready", "status": ready, "reason": "Available" if ready == "True" else "Creating"},
                {"type": "Synced", "status": "True", "reason": "ReconcileSuccess"},
            ],
            "atProvider": seen or {},
        },
    }


def waiting_for(obj: Json, message: str) -> Json:
    """The machine, on its way."""
    condition = {"type": "Progressing", "status": "True", "reason": "Creating", "message": message}
    conditions = [*obj["status"]["conditions"], condition]
    return {**obj, "status": {**obj["status"], "conditions": conditions}}


def changed(*objects: Json) -> list[Json]:
    """A watch's events."""
    return [{"type": "MODIFIED", "object": obj} for obj in objects]


def refusal(code: int, reason: str, message: str, **details: Any) -> tuple[int, Json]:
    """An answer that is a Status."""
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason}
    return code, status | {"message": message} | ({"details": details} if details else {})
