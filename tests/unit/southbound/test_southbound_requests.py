"""Requests over one connection: which reply is whose, how many are under way, what becomes of those that fail."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dpu_handler.southbound import (
    ConnectionLost,
    DeadlineExceeded,
    Malformed,
    RequestTooLarge,
    RpcRefused,
    SouthboundError,
    SpdkClient,
)
from tests.unit.southbound.peer import Line, Request, listening

WINDOW = 64


async def answer(line: Line, request: Request) -> None:
    line.answer(request, request.get("params"))


async def keep_silent(line: Line, request: Request) -> None:
    """Read, and say nothing."""


@pytest.fixture
def client(tmp_path: Path) -> Iterator[SpdkClient]:
    """A client of the peer that the test puts at ``tmp_path / "peer"``."""
    client = SpdkClient(tmp_path / "peer", timeout_s=10)
    yield client
    client.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "peer"


async def test_replies_are_matched_by_id_in_any_order(client: SpdkClient, path: Path) -> None:
    waiting: list[Request] = []

    async def reversed_order(line: Line, request: Request) -> None:
        waiting.append(request)
        if len(waiting) == 10:
            for earlier in reversed(waiting):
                line.answer(earlier, earlier["params"]["number"])

    async with listening(path, reversed_order):
        results = await asyncio.gather(*(client.call("m", {"number": number}) for number in range(10)))
    assert results == list(range(10))


async def test_calls_that_are_awaited_together_leave_in_one_write(client: SpdkClient, path: Path) -> None:
    async with listening(path, answer) as peer:
        await client.call("first")
        await asyncio.gather(*(client.call("m") for _ in range(32)))
    assert peer.chunks == [1, 32]
    assert peer.connections == 1


async def test_only_a_window_of_requests_is_under_way(client: SpdkClient, path: Path) -> None:
    # Those in the queue are due first: a full window that is not answered ends the connection, and them with it.
    timeouts_s = [1.0] * WINDOW + [0.2] * 2 * WINDOW
    async with listening(path, keep_silent) as peer:
        calls = [client.call("m", timeout_s=timeout_s) for timeout_s in timeouts_s]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {DeadlineExceeded}
    executed = [outcome.executed for outcome in outcomes if isinstance(outcome, DeadlineExceeded)]
    assert executed == ["unknown"] * WINDOW + ["no"] * 2 * WINDOW
    assert len(peer.requests) == WINDOW


async def test_a_window_that_nothing_answers_ends_the_connection(client: SpdkClient, path: Path) -> None:
    async with listening(path, keep_silent):
        calls = [client.call("m", timeout_s=0.2) for _ in range(WINDOW)]
        queued = client.call("m", timeout_s=10)
        *stuck, last = await asyncio.gather(*calls, queued, return_exceptions=True)
    assert {type(outcome) for outcome in stuck} == {DeadlineExceeded}
    assert isinstance(last, ConnectionLost)
    assert last.executed == "no"


async def test_a_reply_makes_room_for_the_next_request(client: SpdkClient, path: Path) -> None:
    lines: list[Line] = []

    async def hold(line: Line, request: Request) -> None:
        lines.append(line)

    async with listening(path, hold) as peer:
        calls = asyncio.gather(*(client.call("m") for _ in range(WINDOW + 1)))
        await peer.received(WINDOW)
        for number in range(WINDOW + 1):
            await peer.received(number + 1)
            lines[number].answer(peer.requests[number])
        assert await calls == [True] * (WINDOW + 1)


async def test_where_nobody_listens_nothing_was_executed(client: SpdkClient) -> None:
    with pytest.raises(ConnectionLost) as lost:
        await client.call("bdev_lvol_delete", {"name": "lvs0/v"})
    assert lost.value.executed == "no"
    assert "bdev_lvol_delete" in str(lost.value)


async def test_a_connection_that_breaks_after_a_request_leaves_it_open(client: SpdkClient, path: Path) -> None:
    async def hang_up(line: Line, request: Request) -> None:
        line.close()

    async with listening(path, hang_up) as peer:
        with pytest.raises(ConnectionLost) as lost:
            await client.call("bdev_lvol_delete", {"name": "lvs0/v"})
    assert lost.value.executed == "unknown"
    assert len(peer.requests) == 1, "a request is never repeated by itself"


async def test_what_stands_in_the_queue_when_it_breaks_was_not_executed(client: SpdkClient, path: Path) -> None:
    async def hang_up_when_full(line: Line, request: Request) -> None:
        if len(peer.requests) == WINDOW:
            line.close()

    async with listening(path, hang_up_when_full) as peer:
        calls = [client.call("m", timeout_s=2) for _ in range(WINDOW + 8)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    lost = [outcome.executed for outcome in outcomes if isinstance(outcome, ConnectionLost)]
    assert lost == ["unknown"] * WINDOW + ["no"] * 8
    assert len(peer.requests) == WINDOW


async def test_a_reply_that_does_not_come_in_time_leaves_it_open(client: SpdkClient, path: Path) -> None:
    async with listening(path, keep_silent):
        with pytest.raises(DeadlineExceeded, match=r"within 0.2 s") as late:
            await client.call("bdev_nvme_attach_controller", timeout_s=0.2)
    assert late.value.executed == "unknown"


async def test_a_late_reply_is_drained_and_disturbs_nobody(client: SpdkClient, path: Path) -> None:
    late: list[Request] = []

    async def first_one_late(line: Line, request: Request) -> None:
        if request["method"] == "late":
            late.append(request)
            return
        for earlier in late:
            line.answer(earlier, "too late")
        line.answer(request, "in time")

    async with listening(path, first_one_late) as peer:
        with pytest.raises(DeadlineExceeded):
            await client.call("late", timeout_s=0.1)
        assert await client.call("quick") == "in time"
        assert await client.call("quick") == "in time"
    assert peer.connections == 1


async def test_a_cancelled_call_keeps_its_connection(client: SpdkClient, path: Path) -> None:
    async with listening(path, keep_silent) as peer:
        call = asyncio.ensure_future(client.call("m"))
        await peer.received(1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        second = asyncio.ensure_future(client.call("m"))
        await peer.received(2)
        second.cancel()
    assert peer.connections == 1


async def test_a_call_that_is_cancelled_before_it_leaves_is_never_sent(client: SpdkClient, path: Path) -> None:
    async with listening(path, answer) as peer:
        await client.call("first")
        cancelled = asyncio.gather(client.call("cancelled"), client.call("too"))
        cancelled.cancel()
        await client.call("last")
        with pytest.raises(asyncio.CancelledError):
            await cancelled
    assert [request["method"] for request in peer.requests] == ["first", "last"]


async def test_the_next_call_after_a_loss_connects_again(client: SpdkClient, path: Path) -> None:
    async def hang_up_once(line: Line, request: Request) -> None:
        if peer.connections == 1:
            line.close()
        else:
            line.answer(request)

    async with listening(path, hang_up_once) as peer:
        with pytest.raises(ConnectionLost):
            await client.call("m")
        assert await client.call("m") is True
    assert peer.connections == 2


async def test_a_peer_that_comes_later_is_found(client: SpdkClient, path: Path) -> None:
    with pytest.raises(ConnectionLost):
        await client.call("m")
    async with listening(path, answer):
        async with asyncio.timeout(10):
            while not await _answers(client):
                pass


async def test_a_refusal_carries_code_and_message(client: SpdkClient, path: Path) -> None:
    async def refuse(line: Line, request: Request) -> None:
        line.refuse(request, -32602, "Device or resource busy")

    async with listening(path, refuse):
        with pytest.raises(RpcRefused) as refusal:
            await client.call("bdev_lvol_resize")
    assert (refusal.value.code, refusal.value.message) == (-32602, "Device or resource busy")
    assert str(refusal.value) == "bdev_lvol_resize: Device or resource busy (code -32602)"


async def test_a_request_the_peer_would_not_take_is_not_sent(client: SpdkClient, path: Path) -> None:
    async with listening(path, answer) as peer:
        with pytest.raises(RequestTooLarge):
            await client.call("m", {"data": "x" * (256 << 10)})
        await client.call("small")
    assert [request["method"] for request in peer.requests] == ["small"]


@pytest.mark.parametrize("timeout_s", [-1.0, float("nan"), float("inf"), 1e19])
async def test_a_timeout_that_is_none_is_refused(client: SpdkClient, timeout_s: float) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        await client.call("m", timeout_s=timeout_s)


@pytest.mark.parametrize("data", [b"HTTP/1.1 400\r\n", b'{"id": }\n', b'{"jsonrpc":"2.0","id":1,"result":\xff}\n'])
async def test_bytes_that_are_no_reply_leave_it_open(client: SpdkClient, path: Path, data: bytes) -> None:
    async def babble(line: Line, request: Request) -> None:
        line.write(data)

    async with listening(path, babble):
        with pytest.raises(SouthboundError) as error:
            await client.call("m")
    assert isinstance(error.value, Malformed) or (
        isinstance(error.value, ConnectionLost) and error.value.executed == "unknown"
    )


class Spans:
    """Notes when a request began and how it ended."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    @contextmanager
    def request(self, system: str, method: str, request_id: int) -> Iterator[None]:
        self.notes.append(f"{system} {method}")
        try:
            yield
        except SouthboundError as error:
            self.notes.append(type(error).__name__)
            raise


async def test_each_request_has_one_span_that_ends_with_its_outcome(path: Path) -> None:
    async def refuse(line: Line, request: Request) -> None:
        line.refuse(request, -19, "No such device")

    spans = Spans()
    client = SpdkClient(path, tracer=spans)
    async with listening(path, refuse):
        with pytest.raises(RpcRefused):
            await client.call("bdev_get_bdevs")
    client.close()
    assert spans.notes == ["spdk bdev_get_bdevs", "RpcRefused"]


async def _answers(client: SpdkClient) -> bool:
    try:
        await client.call("m", timeout_s=1)
    except ConnectionLost:
        return False
    return True
