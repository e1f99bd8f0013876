"""A client's websocket on a hub: frames, flow control, and every way in which it ends."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from provider.apiserver.console import frames
from provider.apiserver.console.frames import Close
from provider.apiserver.console.history import LIMIT_BYTES
from provider.apiserver.console.hub import Hub
from provider.apiserver.console.session import Limits, Session
from provider.runtime.errors import Unavailable
from tests.unit.console.lines import PATIENCE_S, Line

EVERY_BYTE = bytes(range(256))
QUICK = Limits(look_every_s=0.01)
Socket = aiohttp.ClientWebSocketResponse


class Desk:
    """A server whose only page is the console of one hub."""

    def __init__(self) -> None:
        self.hub = Hub("server0")
        self.line = Line()
        self.hub.connected(self.line)
        self.limits = QUICK
        self.allowed = True
        self.unanswered: Unavailable | None = None
        self.was_asked = asyncio.Semaphore(0)
        self.ended = asyncio.Event()
        application = web.Application()
        application.add_routes([web.get("/", self._serve)])
        self.server = TestServer(application)

    async def reauthorise(self) -> bool:
        self.was_asked.release()
        if self.unanswered is not None:
            raise self.unanswered
        return self.allowed

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        watch, takeover = "watch" in request.query, "takeover" in request.query
        reader = self.hub.attach(request.query["user"], watch=watch, takeover=takeover, tail_bytes=None)
        try:
            return await Session(request, self.hub, reader, self.reauthorise, self.limits).serve()
        finally:
            self.ended.set()


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    await desk.server.start_server()
    yield desk
    desk.hub.end(Close.GOING_AWAY, "the test is over")
    await desk.server.close()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


Connect = Callable[..., Any]


@pytest.fixture
def connect(desk: Desk, client: aiohttp.ClientSession) -> Connect:
    def to(user: str = "ann", query: str = "", **named: Any) -> Any:
        return client.ws_connect(desk.server.make_url(f"/?user={user}&{query}"), max_msg_size=0, **named)

    return to


async def news(socket: Socket) -> dict[str, Any]:
    """The next text frame; bytes before it are let go."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            message = await socket.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                said: dict[str, Any] = json.loads(message.data)
                return said
            assert message.type is aiohttp.WSMsgType.BINARY, message


async def shown(socket: Socket, length: int) -> bytes:
    data = b""
    async with asyncio.timeout(PATIENCE_S):
        while len(data) < length:
            data += await socket.receive_bytes()
    return data


async def types(socket: Socket, length: int) -> None:
    for _ in range(length // 65536):
        await socket.send_bytes(bytes(65536))


async def closed(socket: Socket) -> tuple[int, str]:
    async with asyncio.timeout(PATIENCE_S):
        message = await socket.receive()
    assert message.type is aiohttp.WSMsgType.CLOSE, message
    return message.data, str(message.extra)


async def test_bytes_of_every_value_go_both_ways(desk: Desk, connect: Connect) -> None:
    async with connect() as socket:
        assert await news(socket) == {"type": "opened", "role": "writer", "writer": "ann"}
        desk.hub.printed(EVERY_BYTE)
        assert await shown(socket, 256) == EVERY_BYTE
        await socket.send_bytes(EVERY_BYTE)
        await socket.send_str('{"type": "break"}')
        await socket.send_str("no frame of ours")
        assert "text frames are for" in (await news(socket))["message"]
    assert desk.line.written == EVERY_BYTE
    assert desk.line.breaks_sent == 1


async def test_a_watcher_sees_who_writes_and_a_takeover_is_told(desk: Desk, connect: Connect) -> None:
    async with connect() as first, connect("bob", "watch=true") as watcher:
        await news(first)
        assert await news(watcher) == {"type": "opened", "role": "watcher", "writer": "ann"}
        async with connect("eve", "takeover=true") as second:
            assert (await news(second))["role"] == "writer"
            assert await news(first) == {
                "type": "role",
                "role": "watcher",
                "message": "eve has taken over; you watch",
            }


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ((), None),
        (("v1.console.metalplane.io",), "v1.console.metalplane.io"),
        (("binary.k8s.io", "v1.console.metalplane.io"), "v1.console.metalplane.io"),
        (("base64url.bearer.authorization.k8s.io.dG9rZW4", "binary.k8s.io"), "binary.k8s.io"),
    ],
    ids=["none", "ours", "ours and another", "a token and another"],
)
async def test_any_subprotocol_or_none_will_do(connect: Connect, offered: tuple[str, ...], chosen: str | None) -> None:
    async with connect(protocols=offered) as socket:
        assert (await news(socket))["type"] == "opened"
        assert socket.protocol == chosen


async def test_a_client_that_reads_nothing_loses_the_oldest_and_holds_up_nobody(desk: Desk, connect: Connect) -> None:
    async with connect() as slow, connect("bob", "watch=true") as quick:
        await news(slow)
        await news(quick)
        sent = 12 * LIMIT_BYTES
        for _ in range(sent // 65536):
            desk.hub.printed(bytes(65536))
            await shown(quick, 65536)
        lost = await news(slow)
        assert lost["type"] == "lost"
        assert 0 < lost["bytes"] < sent - LIMIT_BYTES


async def test_the_websocket_is_not_read_while_the_server_takes_no_input(desk: Desk, connect: Connect) -> None:
    desk.line.accepts.clear()
    async with connect() as socket:
        await news(socket)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(types(socket, 64 * 1024 * 1024), 1.0)
        assert desk.line.written == b""
        desk.hub.end(Close.ENDED, "the machine is gone")
        assert (await news(socket))["type"] == "closing"


async def test_a_client_that_is_gone_while_its_input_is_not_read_is_noticed(desk: Desk, connect: Connect) -> None:
    desk.line.accepts.clear()
    socket = await connect()
    await news(socket)
    await socket.send_bytes(b"x")
    socket._response.connection.transport.abort()
    await asyncio.wait_for(desk.ended.wait(), PATIENCE_S)
    assert desk.hub.readers == 0
    await socket.close()


async def test_a_client_that_closes_is_detached(desk: Desk, connect: Connect) -> None:
    async with connect() as socket:
        await news(socket)
    await asyncio.wait_for(desk.ended.wait(), PATIENCE_S)
    assert desk.hub.readers == 0


async def test_a_right_that_is_taken_away_ends_it(desk: Desk, connect: Connect) -> None:
    desk.limits = Limits(reauthorise_every_s=0.03, look_every_s=0.01)
    async with connect() as socket:
        await news(socket)
        await asyncio.wait_for(desk.was_asked.acquire(), PATIENCE_S)
        desk.allowed = False
        assert (await news(socket))["type"] == "closing"
        assert await closed(socket) == (1008, "you may not use this console any more")


async def test_a_right_that_cannot_be_asked_for_is_asked_again_for_a_while(desk: Desk, connect: Connect) -> None:
    desk.limits = Limits(reauthorise_every_s=0.01, look_every_s=0.01)
    desk.unanswered = Unavailable("review", subject="the rights of ann", cause="the API server is away")
    async with connect() as socket:
        await news(socket)
        for _ in range(3):
            await asyncio.wait_for(desk.was_asked.acquire(), PATIENCE_S)
        desk.unanswered = None
        await asyncio.wait_for(desk.was_asked.acquire(), PATIENCE_S)
        desk.hub.printed(b"it goes on")
        assert (await socket.receive(PATIENCE_S)).data == b"it goes on"


async def test_a_console_ends_whose_right_cannot_be_asked_for(desk: Desk, connect: Connect) -> None:
    desk.limits = Limits(reauthorise_every_s=0.01, unknown_s=0.05, look_every_s=0.01)
    desk.unanswered = Unavailable("review", subject="the rights of ann", cause="the API server is away")
    async with connect() as socket:
        await news(socket)
        assert "cannot be asked" in (await news(socket))["reason"]
        assert (await closed(socket))[0] == Close.TRY_AGAIN


@pytest.mark.parametrize(
    ("query", "limits", "reason"),
    [
        ("", Limits(idle_s=0.05, look_every_s=0.01), "nothing was typed"),
        ("", Limits(longest_s=0.05, look_every_s=0.01), "is open for"),
        ("watch=true", Limits(idle_s=0.02, longest_s=0.05, look_every_s=0.01), "is open for"),
    ],
    ids=["idle", "longest", "a watcher is never idle"],
)
async def test_time_runs_out(desk: Desk, connect: Connect, query: str, limits: Limits, reason: str) -> None:
    desk.limits = limits
    async with connect(query=query) as socket:
        await news(socket)
        assert reason in (await news(socket))["reason"]
        code, said = await closed(socket)
        assert code == 1000
        assert reason in said


async def test_the_end_of_the_hub_is_the_end_of_the_client(desk: Desk, connect: Connect) -> None:
    async with connect() as socket:
        await news(socket)
        desk.hub.end(Close.GOING_AWAY, "this replica goes away: connect again")
        assert await news(socket) == {"type": "closing", "reason": "this replica goes away: connect again"}
        assert await closed(socket) == (1001, "this replica goes away: connect again")


def test_a_reason_is_cut_where_a_close_frame_ends_and_not_in_a_letter() -> None:
    assert frames.close_reason("ä" * 100) == ("ä" * 61).encode()
    assert frames.close_reason("short") == b"short"


@pytest.mark.parametrize("said", ["", "{", "[]", '"break"', '{"type": "resize"}', "null"])
def test_only_a_break_is_a_break(said: str) -> None:
    assert not frames.asks_for_break(said)
