"""Fixtures of the OVSDB suite: one Open vSwitch for all of it, a client for each test."""

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dpu_handler.execution.dpu import OVSDB_TABLES, Dpu
from dpu_handler.southbound import EmulationClient, OvsdbClient, SpdkClient
from sandbox.ovs import BRIDGE
from tests.conformance.ovsdb.switch import TAPS, Switch


class Replica:
    """A client, what it heard, and what it asked."""

    def __init__(self, socket: Path, *, timeout_s: float = 10.0) -> None:
        self._news = asyncio.Event()
        self.requests: list[str] = []
        self.before: dict[str, Callable[[], object]] = {}
        self.client = OvsdbClient(socket, OVSDB_TABLES, changed=self._news.set, tracer=self, timeout_s=timeout_s)

    @contextmanager
    def request(self, system: str, method: str, request_id: int) -> Iterator[None]:
        """The client's tracer: one request."""
        self.before.get(method, lambda: None)()
        self.requests.append(method)
        yield

    async def shows(self, table: str, holds: Callable[[list[dict[str, object]]], bool]) -> None:
        """Return once the rows are so; looks again at news only."""
        async with asyncio.timeout(20):
            while True:
                self._news.clear()
                if holds(list((await self.client.rows(table)).values())):
                    return
                await self._news.wait()

    async def news(self) -> None:
        """Return at the next change or loss."""
        async with asyncio.timeout(20):
            await self._news.wait()

    def forget_news(self) -> None:
        self._news.clear()


@pytest.fixture(scope="session")
def running_switch() -> Iterator[Switch]:
    """Open vSwitch with an empty bridge; in /tmp, for a socket's path is short."""
    directory = Path(f"/tmp/mpo-{uuid.uuid4().hex[:6]}")
    directory.mkdir(mode=0o700)
    switch = Switch(directory)
    try:
        switch.start()
        yield switch
    finally:
        switch.stop()
        shutil.rmtree(directory)


@pytest.fixture
def switch(running_switch: Switch) -> Iterator[Switch]:
    """The switch, both daemons running; ports that a test made are taken away."""
    yield running_switch
    running_switch.server.start()
    for port in TAPS:
        running_switch.delete_port(port)


@pytest.fixture
async def replica(switch: Switch) -> AsyncIterator[Replica]:
    """A client that has its replica."""
    found = Replica(switch.socket)
    await found.client.rows("Bridge")
    yield found
    found.client.close()


@pytest.fixture
async def impatient(switch: Switch) -> AsyncIterator[Replica]:
    """A client that waits for half a second, and has its replica."""
    found = Replica(switch.socket, timeout_s=0.5)
    await found.client.rows("Bridge")
    yield found
    found.client.close()


@pytest.fixture
def dpu(replica: Replica, tmp_path: Path) -> Iterator[Dpu]:
    """A DPU of which only the switch is there."""
    none = tmp_path / "none"
    dpu = Dpu(SpdkClient(none), EmulationClient(none), replica.client, BRIDGE, tmp_path)
    yield dpu
    dpu.close()
