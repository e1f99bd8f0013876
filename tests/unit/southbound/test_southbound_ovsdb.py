"""The start of an OVSDB replica: broken off, the next call has a whole one; on an empty database, it says so."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from dpu_handler.southbound import ConnectionLost, DeadlineExceeded, NotInitialised, OvsdbClient
from tests.unit.southbound.peer import Line, Peer, Request, listening

ROOT, BRIDGE = UUID(int=1), UUID(int=2)
TABLES = {"Bridge": ["name"]}
COLUMNS = {"Bridge": {"name": "string"}, "Open_vSwitch": {"next_cfg": "integer", "cur_cfg": "integer"}}
SCHEMA = {
    "tables": {
        table: {"columns": {column: {"type": kind} for column, kind in columns.items()}}
        for table, columns in COLUMNS.items()
    }
}


class Database:
    """An ovsdb-server in what matters here: it has a monitor as soon as it was asked, whoever reads the reply."""

    def __init__(self) -> None:
        self.monitors: list[str] = []
        self.name = "br0"
        self.silent_on: set[str] = set()
        self.rooted = True
        self._line: Line | None = None

    async def serve(self, line: Line, request: Request) -> None:
        self._line = line
        result, error = getattr(self, f"_{request['method']}")(*request["params"])
        if request["method"] not in self.silent_on:
            line.send({"id": request["id"], "result": result, "error": error})

    def rename(self, name: str) -> None:
        """Tell every monitor of a changed row, as ovsdb-server does."""
        self.name = name
        for monitor in self.monitors:
            assert self._line is not None
            changed = {"Bridge": {str(BRIDGE): {"modify": {"name": name}}}}
            self._line.send({"id": None, "method": "update2", "params": [monitor, changed]})

    def hang_up(self) -> None:
        assert self._line is not None
        self._line.close()

    def _transact(self, _: str, *operations: Any) -> tuple[Any, Any]:
        return [{} for _ in operations], None

    def _get_schema(self, _: str) -> tuple[Any, Any]:
        return SCHEMA, None

    def _monitor_cond(self, _: str, monitor: str, __: Any) -> tuple[Any, Any]:
        if monitor in self.monitors:
            return None, {"error": "duplicate monitor ID"}
        self.monitors.append(monitor)
        root = {str(ROOT): {"initial": {"next_cfg": 1, "cur_cfg": 1}}} if self.rooted else {}
        return {"Bridge": {str(BRIDGE): {"initial": {"name": self.name}}}, "Open_vSwitch": root}, None

    def _monitor_cancel(self, monitor: str) -> tuple[Any, Any]:
        if monitor not in self.monitors:
            return None, {"error": "unknown monitor"}
        self.monitors.remove(monitor)
        return {}, None


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db"


@pytest.fixture
def news() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
def client(path: Path, news: asyncio.Event) -> Iterator[OvsdbClient]:
    client = OvsdbClient(path, TABLES, changed=news.set, timeout_s=0.3)
    yield client
    client.close()


async def cancelled(client: OvsdbClient, peer: Peer, after: int) -> None:
    call = asyncio.create_task(client.rows("Bridge"))
    await peer.received(after)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def late(client: OvsdbClient, peer: Peer, after: int) -> None:
    with pytest.raises(DeadlineExceeded):
        await client.rows("Bridge")
    await peer.received(after)


@pytest.mark.parametrize("break_off", [cancelled, late])
@pytest.mark.parametrize(("method", "after"), [("get_schema", 1), ("monitor_cond", 2)])
async def test_a_start_that_broke_off_is_made_again_and_followed(
    client: OvsdbClient, path: Path, news: asyncio.Event, break_off: Any, method: str, after: int
) -> None:
    database = Database()
    async with listening(path, database.serve) as peer:
        database.silent_on = {method}
        await break_off(client, peer, after)
        database.silent_on = set()
        assert await client.rows("Bridge") == {BRIDGE: {"name": "br0"}}
        news.clear()
        database.rename("br1")
        async with asyncio.timeout(5):
            await news.wait()
        assert await client.rows("Bridge") == {BRIDGE: {"name": "br1"}}
    assert (len(database.monitors), peer.connections) == (1, 1)


async def test_a_start_that_breaks_off_again_and_again_leaves_the_server_one_monitor(
    client: OvsdbClient, path: Path
) -> None:
    database = Database()
    async with listening(path, database.serve) as peer:
        database.silent_on = {"monitor_cond"}
        for number in range(3):
            await cancelled(client, peer, 2 + 3 * number)
        database.silent_on = set()
        await client.rows("Bridge")
    assert len(database.monitors) == 1


async def test_a_monitor_that_the_server_never_had_is_in_nobodys_way(client: OvsdbClient, path: Path) -> None:
    database = Database()
    async with listening(path, database.serve) as peer:
        database.silent_on = {"monitor_cond"}
        await cancelled(client, peer, 2)
        database.silent_on = set()
        database.monitors.clear()
        assert await client.rows("Bridge") == {BRIDGE: {"name": "br0"}}


async def test_a_database_that_was_made_anew_and_not_filled_is_named(client: OvsdbClient, path: Path) -> None:
    database = Database()
    database.rooted = False
    async with listening(path, database.serve):
        with pytest.raises(NotInitialised, match="ovs-vsctl init"):
            await client.transact_and_apply([])


async def test_a_listener_that_fails_keeps_no_caller_waiting(path: Path) -> None:
    database, failures = Database(), list[Any]()

    def fail() -> None:
        raise ValueError("a listener's defect")

    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context.get("exception")))
    client = OvsdbClient(path, TABLES, changed=fail, timeout_s=5)
    database.silent_on = {"transact"}
    async with listening(path, database.serve) as peer:
        await client.rows("Bridge")
        call = asyncio.create_task(client.transact([]))
        await peer.received(3)
        database.hang_up()
        async with asyncio.timeout(5):
            with pytest.raises(ConnectionLost) as lost:
                await call
    client.close()
    assert lost.value.executed == "unknown"
    assert [type(error) for error in failures] == [ValueError]
