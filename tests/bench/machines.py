"""Many machines at once, as one client sees them: created, watched until Ready, deleted, watched until gone."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from provider.api.resources import BAREMETALMACHINE
from provider.runtime.client import KubeClient
from provider.runtime.kubeconfig import load
from sandbox.inventory import LIGHT_TENANT
from tests.bench.waiting import BenchFailed

_AT_ONCE = 16
_FIRST_HOST = 256
"""From 10.20.1.0 on: below it is the gateway."""

_LINE_LIMIT_BYTES = 1 << 22


class Machines:
    """``count`` machines in the light tenant's namespace. All times are of the monotonic clock."""

    def __init__(self, client: KubeClient, count: int) -> None:
        self._client = client
        self._names = [f"bm-{number:04}" for number in range(count)]
        self.created: dict[str, float] = {}
        self.ready: dict[str, float] = {}
        self.asked_to_go = 0.0
        self.gone: dict[str, float] = {}

    async def create(self, within_s: float) -> None:
        """Create them; return when all are Ready."""
        async with self._watching():
            await self._each(self._create)
            await self._until(lambda: len(self.ready) == len(self._names), "all machines are Ready", within_s)

    async def delete(self, within_s: float) -> None:
        """Delete them; return when all are gone."""
        async with self._watching():
            self.asked_to_go = time.monotonic()
            await self._each(self._delete)
            await self._until(lambda: len(self.gone) == len(self._names), "all machines are gone", within_s)

    async def _create(self, name: str) -> None:
        address = _FIRST_HOST + self._names.index(name)
        spec = {
            "instanceType": "small",
            "runStrategy": "Always",
            "disks": [{"name": "root", "boot": True, "image": "tiny", "size": "1Gi"}],
            "networkInterfaces": [
                {
                    "name": "eth0",
                    "network": LIGHT_TENANT.name,
                    "address": f"10.20.{address >> 8}.{address & 0xFF}/16",
                }
            ],
        }
        self.created[name] = time.monotonic()
        metadata = {"name": name, "namespace": LIGHT_TENANT.name}
        await self._client.create(BAREMETALMACHINE, {"metadata": metadata, "spec": spec}, field_manager="bench")

    async def _delete(self, name: str) -> None:
        await self._client.delete(BAREMETALMACHINE, name, LIGHT_TENANT.name)

    async def _each(self, do: Callable[[str], Awaitable[None]]) -> None:
        free = asyncio.Semaphore(_AT_ONCE)

        async def one(name: str) -> None:
            async with free:
                await do(name)

        await asyncio.gather(*(one(name) for name in self._names))

    async def _until(self, holds: Callable[[], bool], what: str, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not holds():
            if time.monotonic() > deadline:
                cause = f"{len(self.ready)} Ready and {len(self.gone)} gone of {len(self._names)}"
                raise BenchFailed(f"Waiting until {what}", cause=f"not within {within_s:g} s: {cause}")
            await asyncio.sleep(0.05)

    @asynccontextmanager
    async def _watching(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _watch(self) -> None:
        """Note what the API server tells, until it is cancelled.

        It ends the stream of who reads too slowly; what went meanwhile is found by the list that the next begins with.
        """
        access = self._client.access
        connector = aiohttp.TCPConnector(ssl=access.ssl_context(access.credentials()))
        async with aiohttp.ClientSession(connector=connector, read_bufsize=_LINE_LIMIT_BYTES) as session:
            while True:
                page = await self._client.list_page(BAREMETALMACHINE, LIGHT_TENANT.name)
                self._listed(page.items)
                await self._follow(session, page.resource_version)

    async def _follow(self, session: aiohttp.ClientSession, resource_version: str) -> None:
        url = self._client.access.server + BAREMETALMACHINE.path(LIGHT_TENANT.name)
        query = {"watch": "1", "resourceVersion": resource_version}
        async with session.get(url, params=query, timeout=aiohttp.ClientTimeout(total=None)) as stream:
            async for line in stream.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                self._seen(event["type"], event["object"])

    def _listed(self, machines: Sequence[dict[str, Any]]) -> None:
        for machine in machines:
            self._seen("ADDED", machine)
        there = {machine["metadata"]["name"] for machine in machines}
        for name in self.ready.keys() - there:
            self.gone.setdefault(name, time.monotonic())

    def _seen(self, kind: str, machine: dict[str, Any]) -> None:
        name = str(machine["metadata"]["name"])
        if kind == "DELETED":
            self.gone.setdefault(name, time.monotonic())
            return
        conditions = machine.get("status", {}).get("conditions", [])
        if any(each["type"] == "Ready" and each["status"] == "True" for each in conditions):
            self.ready.setdefault(name, time.monotonic())


def connect(kubeconfig: Path) -> KubeClient:
    """The administrator's client; an asynchronous context manager."""
    return KubeClient(load(kubeconfig), user_agent="metalplane-bench")
