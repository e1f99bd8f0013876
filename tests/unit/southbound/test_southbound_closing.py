"""What a client leaves behind that is closed: nothing, neither at the event loop nor in the process."""

import asyncio
import os
from pathlib import Path

import pytest

from dpu_handler.southbound import ConnectionLost, SpdkClient
from tests.unit.southbound.peer import PATIENCE_S, Line, Request, listening

CLIENTS = 20


async def answer(line: Line, request: Request) -> None:
    line.answer(request)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - entries go while they are listed


async def ask_and_close(path: Path, count: int) -> int:
    """Open so many clients, use and close them; how many descriptors there were meanwhile."""
    clients = [SpdkClient(path) for _ in range(count)]
    await asyncio.gather(*(client.call("m") for client in clients))
    meanwhile = descriptors()
    for client in clients:
        client.close()
    return meanwhile


async def test_closed_clients_leave_no_file_descriptor(tmp_path: Path) -> None:
    async with listening(tmp_path / "peer", answer):
        await ask_and_close(tmp_path / "peer", 1)  # what the worker itself needs, it keeps
        before = descriptors()
        assert await ask_and_close(tmp_path / "peer", CLIENTS) > before + CLIENTS
        await fall_to(before)


async def fall_to(wanted: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while descriptors() > wanted:  # noqa: ASYNC110 - nobody tells when a descriptor is closed
            await asyncio.sleep(0.01)


async def test_a_client_that_is_closed_tells_those_who_wait(tmp_path: Path) -> None:
    async def keep_silent(line: Line, request: Request) -> None:
        """Read, and say nothing."""

    async with listening(tmp_path / "peer", keep_silent) as peer:
        client = SpdkClient(tmp_path / "peer")
        call = asyncio.ensure_future(client.call("m"))
        await peer.received(1)
        client.close()
        with pytest.raises(ConnectionLost) as lost:
            await call
    assert lost.value.executed == "unknown"


async def test_calls_of_a_closed_client_fail_where_they_are_awaited(tmp_path: Path) -> None:
    async with listening(tmp_path / "peer", answer):
        client = SpdkClient(tmp_path / "peer")
        await client.call("m")
        client.close()
        outcomes = await asyncio.gather(client.call("m"), client.call("m"), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["m: the client was closed; executed: no"] * 2
    assert {type(outcome) for outcome in outcomes} == {ConnectionLost}


def test_a_client_outlives_its_event_loop_and_belongs_to_no_other(tmp_path: Path) -> None:
    async def ask(client: SpdkClient) -> bool:
        async with listening(tmp_path / "peer", answer):
            done: bool = await client.call("m")
            return done

    async def ask_nobody(client: SpdkClient) -> None:
        await client.call("m")

    client = SpdkClient(tmp_path / "peer")
    assert asyncio.run(ask(client))
    with pytest.raises(RuntimeError, match="another event loop"):
        asyncio.run(ask_nobody(client))
    client.close()
