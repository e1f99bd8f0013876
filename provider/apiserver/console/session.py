"""One client's websocket on a console.

Both ways have flow control: what the server prints is sent as fast as the client takes it (a slow one loses the oldest
bytes in the hub), and the websocket is not read while the BMC's input is full.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from provider.apiserver.console import frames
from provider.apiserver.console.frames import Close, Data, Ended, Role
from provider.apiserver.console.hub import Hub, Reader
from provider.runtime.errors import KubeError

_LOG = logging.getLogger(__name__)

Reauthorise = Callable[[], Awaitable[bool]]
"""Whether the client may go on. Raises KubeError where that cannot be asked."""

MOST_MESSAGE_BYTES = 1024 * 1024
_SEND_BUFFER_BYTES = 64 * 1024
_GOODBYE_S = 2.0
"""For so long a client is waited for to answer that the websocket is closed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds. ``idle_s``: a writer who types nothing for so long is closed.

    ``reauthorise_every_s``: so often it is asked again whether the client may; ``unknown_s``: so long that may stay
    unanswered. ``look_every_s``: so often it is looked whether any of this is due, at most.
    """

    idle_s: float = 30 * 60.0
    longest_s: float = 8 * 3600.0
    reauthorise_every_s: float = 30.0
    unknown_s: float = 60.0
    look_every_s: float = 5.0


async def upgrade(websocket: web.WebSocketResponse, request: web.Request) -> None:
    """Open a websocket that little is buffered for: what waits for a slow client is memory, and old when it comes.

    By default asyncio holds 512 KiB of a TLS connection, and the system some megabytes.
    """
    await websocket.prepare(request)
    transport = request.transport
    if transport is None:
        return
    transport.set_write_buffer_limits(high=_SEND_BUFFER_BYTES)
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)


def open_websocket(request: web.Request) -> web.WebSocketResponse:
    """A websocket for a console, before its upgrade."""
    protocols = frames.subprotocol(request.headers.get("Sec-WebSocket-Protocol", ""))
    return web.WebSocketResponse(
        protocols=protocols, compress=False, max_msg_size=MOST_MESSAGE_BYTES, timeout=_GOODBYE_S
    )


class Session:
    """One reader of a hub, and the websocket at which it sits."""

    def __init__(
        self, request: web.Request, hub: Hub, reader: Reader, reauthorise: Reauthorise, limits: Limits
    ) -> None:
        self._request = request
        self._hub = hub
        self._reader = reader
        self._websocket = open_websocket(request)
        self._guard = Guard(request, reauthorise, limits, idles=lambda: reader.role is Role.WRITER)

    async def serve(self) -> web.WebSocketResponse:
        """Until either side ends it; the reader is detached in any case."""
        try:
            await upgrade(self._websocket, self._request)
            ended = await first_of(self._show(), self._listen(), self._guard.watch())
        finally:
            self._hub.detach(self._reader)
        await say_goodbye(self._websocket, ended)
        return self._websocket

    async def _show(self) -> Ended | None:
        while True:
            frame = await self._reader.next()
            try:
                match frame:
                    case Data(data):
                        await self._websocket.send_bytes(data)
                    case Ended():
                        return frame
                    case _:
                        await self._websocket.send_str(frames.text(frame))
            except ConnectionError:
                return None

    async def _listen(self) -> Ended | None:
        async for message in self._websocket:
            self._guard.typed()
            match message.type:
                case aiohttp.WSMsgType.BINARY:
                    await self._hub.write(self._reader, message.data)
                case aiohttp.WSMsgType.TEXT if frames.asks_for_break(message.data):
                    await self._hub.send_break(self._reader)
                case aiohttp.WSMsgType.TEXT:
                    self._reader.tell(frames.Notice('text frames are for {"type": "break"}: send bytes as binary'))
                case _:
                    return None
        return None


class Guard:
    """Ends a websocket whose time or right has run out, or whose client is gone.

    ``idles``: whether idle time counts.
    """

    def __init__(
        self, request: web.Request, reauthorise: Reauthorise, limits: Limits, *, idles: Callable[[], bool]
    ) -> None:
        self._request = request
        self._reauthorise = reauthorise
        self._limits = limits
        self._idles = idles
        self._clock = asyncio.get_running_loop().time
        self._opened_at = self._typed_at = self._asked_at = self._clock()

    def typed(self) -> None:
        """The client sent something."""
        self._typed_at = self._clock()

    async def watch(self) -> Ended | None:
        """Why the websocket ends, in the end; None where nobody is left to be told."""
        while True:
            await asyncio.sleep(min(self._limits.look_every_s, self._limits.reauthorise_every_s))
            # A client that is gone is not noticed otherwise while its input is not read.
            if self._request.transport is None or self._request.transport.is_closing():
                return None
            if ended := await self._verdict():
                return ended

    async def _verdict(self) -> Ended | None:
        now, limits = self._clock(), self._limits
        if now - self._opened_at >= limits.longest_s:
            return Ended(Close.ENDED, f"a console is open for {_minutes(limits.longest_s)} at most: connect again")
        if self._idles() and now - self._typed_at >= limits.idle_s:
            return Ended(Close.ENDED, f"nothing was typed for {_minutes(limits.idle_s)}")
        if now - self._asked_at >= limits.reauthorise_every_s:
            return await self._ask(now)
        return None

    async def _ask(self, now: float) -> Ended | None:
        """Whether the client still may. While nobody can say, it is asked again at the next look, for a while."""
        try:
            may = await self._reauthorise()
        except KubeError as error:
            unknown_s = now - self._asked_at - self._limits.reauthorise_every_s
            _LOG.warning("rights behind a console not asked for unknown_s=%.0f error=%s", unknown_s, error)
            if unknown_s < self._limits.unknown_s:
                return None
            return Ended(Close.TRY_AGAIN, "it cannot be asked whether you may use this console: connect again")
        self._asked_at = now
        return None if may else Ended(Close.NOT_ALLOWED, "you may not use this console any more")


async def first_of(*ways: Awaitable[Ended | None]) -> Ended | None:
    """What the first of them says; the others are stopped."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    verdicts = [task.result() for task in tasks if task in done]
    return next((verdict for verdict in verdicts if verdict is not None), None)


async def say_goodbye(websocket: web.WebSocketResponse, ended: Ended | None) -> None:
    """Tell the client why, and close; a client that is gone is told nothing."""
    if ended is None:
        await websocket.close()
        return
    try:
        if not ended.told:
            await websocket.send_str(frames.text(ended))
    except ConnectionError:
        return
    await websocket.close(code=ended.code, message=frames.close_reason(ended.reason))


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:g} min"
