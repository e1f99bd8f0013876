"""A console that another replica has: asked for there, and passed through frame by frame.

Each way sends before it reads the next frame, so flow control reaches from one end to the other. The owner knows a peer
by the secret of the replicas; what the caller may do is decided, and asked again, where the caller is connected.
"""

import os
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import aiohttp
from aiohttp import web
from yarl import URL

from provider.apiserver.console.errors import ConsoleEnded, ConsoleUnavailable, NotOwner, TooManyConsoles, WriterPresent
from provider.apiserver.console.frames import PROTOCOL, Close, Ended
from provider.apiserver.console.peersecret import PeerSecret
from provider.apiserver.console.session import (
    MOST_MESSAGE_BYTES,
    Guard,
    Limits,
    Reauthorise,
    first_of,
    open_websocket,
    say_goodbye,
    upgrade,
)

PATH = "/internal/consoles/{server}"
HEADER_SECRET = "X-Metalplane-Peer"  # noqa: S105  (the header's name)
HEADER_USER = "X-Metalplane-User"
HEADER_WRITER = "X-Metalplane-Writer"
_CONNECT_S = 5.0
_BROKEN = (aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
_GONE = Ended(Close.GOING_AWAY, "the replica that has the console is gone: connect again")


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants of a console. ``claim_uid`` None: of a server that is free."""

    server: str
    claim_uid: str | None
    user: str = ""
    watch: bool = False
    takeover: bool = False
    tail_bytes: int | None = None

    def query(self) -> dict[str, str]:
        """As a peer is asked."""
        said = {"claim": self.claim_uid or "", "tailBytes": "" if self.tail_bytes is None else str(self.tail_bytes)}
        flags = {"watch": self.watch, "takeover": self.takeover}
        return {**{key: value for key, value in said.items() if value}, **{key: "true" for key in flags if flags[key]}}

    @classmethod
    def of(cls, request: web.Request) -> "Wish":
        """As a peer asks."""
        query = request.query
        tail = query.get("tailBytes")
        return cls(
            request.match_info["server"],
            query.get("claim"),
            unquote(request.headers.get(HEADER_USER, "")),
            watch="watch" in query,
            takeover="takeover" in query,
            tail_bytes=int(tail) if tail is not None and tail.isdecimal() else None,
        )


class Peers:
    """The way to other replicas. ``ca`` is the file of the authority that signs their certificates."""

    def __init__(self, secret: PeerSecret, ca: Path, server_name: str, limits: Limits) -> None:
        self._secret = secret
        self._ca = ca
        self._server_name = server_name
        self._limits = limits
        self._http: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Let go of all connections."""
        if self._http is not None:
            await self._http.close()

    async def pass_through(
        self, request: web.Request, wish: Wish, address: str, reauthorise: Reauthorise
    ) -> web.WebSocketResponse:
        """Serve ``request`` with the console that the replica at ``address`` has. Raises ConsoleError, KubeError."""
        async with await self._connect(wish, address) as owner:
            client = open_websocket(request)
            await upgrade(client, request)
            guard = Guard(request, reauthorise, self._limits, idles=lambda: False)  # the owner knows who is idle
            ended = await first_of(_show(owner, client), _listen(client, owner), guard.watch())
        # The client is told last: if it comes back at once, the writer's place is free.
        await say_goodbye(client, ended)
        return client

    async def log(self, wish: Wish, address: str) -> bytes:
        """What the replica at ``address`` has of a console. Raises ConsoleError, KubeError."""
        url, asked = self._url(wish, address, "/log"), await self._asked(wish)
        try:
            async with self._session().get(
                url, **asked, timeout=aiohttp.ClientTimeout(30.0, connect=_CONNECT_S)
            ) as answer:
                if answer.status != 200:
                    raise _refused(wish, answer.status, answer.headers)
                return await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ConsoleUnavailable(
                wish.server, f"the replica at {address} does not answer ({_why(error)})"
            ) from error

    async def _connect(self, wish: Wish, address: str) -> aiohttp.ClientWebSocketResponse:
        url, asked = self._url(wish, address, ""), await self._asked(wish)
        try:
            owner: aiohttp.ClientWebSocketResponse = await self._session().ws_connect(
                url, protocols=(PROTOCOL,), max_msg_size=MOST_MESSAGE_BYTES, compress=0, **asked
            )
        except aiohttp.WSServerHandshakeError as error:
            raise _refused(wish, error.status, error.headers or {}) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ConsoleUnavailable(
                wish.server, f"the replica at {address} does not answer ({_why(error)})"
            ) from error
        return owner

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S)
            self._http = aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0))
        return self._http

    def _url(self, wish: Wish, address: str, rest: str) -> URL:
        path = PATH.format(server=quote(wish.server, safe="")) + rest
        return URL(f"https://{address}{path}", encoded=True).with_query(wish.query())

    async def _asked(self, wish: Wish) -> dict[str, Any]:
        # The authority is read each time, for certificates are renewed while we run.
        trust = ssl.create_default_context(cafile=self._ca)
        headers = {HEADER_SECRET: await self._secret.token(), HEADER_USER: quote(wish.user)}
        return {"headers": headers, "ssl": trust, "server_hostname": self._server_name}


async def _show(owner: aiohttp.ClientWebSocketResponse, client: web.WebSocketResponse) -> Ended | None:
    """From the owner to the client, until the owner closes."""
    while True:
        message = await owner.receive()
        if message.type is aiohttp.WSMsgType.CLOSE:
            return Ended(message.data or Close.ENDED, str(message.extra or ""), told=True)
        if message.type in _BROKEN:
            return _GONE
        try:
            await _send(client.send_bytes, client.send_str, message)
        except ConnectionError:
            return None


async def _listen(client: web.WebSocketResponse, owner: aiohttp.ClientWebSocketResponse) -> Ended | None:
    """From the client to the owner, until the client closes."""
    async for message in client:
        try:
            await _send(owner.send_bytes, owner.send_str, message)
        except ConnectionError:
            return _GONE
    return None


async def _send(
    send_bytes: Callable[[bytes], Awaitable[None]],
    send_str: Callable[[str], Awaitable[None]],
    message: aiohttp.WSMessage,
) -> None:
    if message.type is aiohttp.WSMsgType.BINARY:
        await send_bytes(message.data)
    elif message.type is aiohttp.WSMsgType.TEXT:
        await send_str(message.data)


def _why(error: Exception) -> str:
    """What the system says; aiohttp adds how the connection was configured."""
    if isinstance(error, TimeoutError):
        return f"not within {_CONNECT_S:g} s"
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    number = getattr(cause, "errno", None)
    # What TLS says has numbers of its own.
    return str(cause) if number is None or isinstance(cause, ssl.SSLError) else os.strerror(number)


def _refused(wish: Wish, status: int, headers: Any) -> Exception:
    if status == NotOwner.status:
        return NotOwner(wish.server)
    if status == TooManyConsoles.status:
        return TooManyConsoles(wish.server)
    if status == WriterPresent.status:
        writer = unquote(headers.get(HEADER_WRITER, ""))
        return WriterPresent(wish.server, writer) if writer else ConsoleEnded(wish.server)
    return ConsoleUnavailable(wish.server, f"the replica that has it answered {status}")
