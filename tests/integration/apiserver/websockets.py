"""Consoles as a client sees them: websockets through the API server, or straight at a replica."""

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from provider.api.subresources import MACHINE
from tests.integration.rest import Answer, Rest

Json = dict[str, Any]

PATIENCE_S = 30.0
_TIMEOUT = aiohttp.ClientTimeout(total=PATIENCE_S)
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
"""As RFC 6455, section 1.3, shows a client's handshake."""


def path(machine: Json, subresource: str = "console") -> str:
    """Of a sub-resource of the machine."""
    return MACHINE.path(machine["metadata"]["namespace"], machine["metadata"]["name"], subresource)


@dataclass(frozen=True, slots=True)
class Door:
    """Where consoles are asked for, and as whom."""

    address: tuple[str, int | None]
    tls: ssl.SSLContext
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, rest: Rest) -> "Door":
        """Through the API server."""
        return cls(rest.address, rest.tls)

    def url(self, machine: Json) -> str:
        """Of the machine's console."""
        return f"https://{self.address[0]}:{self.address[1]}{path(machine)}"


class Console:
    """An open console. What comes is taken apart: ``printed`` is bytes, ``news`` are text frames."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self.websocket = websocket
        self.printed = bytearray()
        self.news: list[Json] = []
        self.closed: tuple[int, str] | None = None

    async def types(self, data: bytes) -> None:
        """Send bytes to the server."""
        await self.websocket.send_bytes(data)

    async def reads(self, count: int) -> bytes:
        """The next so many bytes."""
        while len(self.printed) < count:
            await self.receive()
        return self._cut(count)

    async def until(self, text: bytes) -> bytes:
        """All bytes up to the end of ``text``."""
        while (found := self.printed.find(text)) < 0:
            await self.receive()
        return self._cut(found + len(text))

    async def told(self, kind: str) -> Json:
        """The next text frame of that type; those before it are let go."""
        while True:
            while self.news:
                if (frame := self.news.pop(0))["type"] == kind:
                    return frame
            await self.receive()

    async def closes(self) -> tuple[int, str]:
        """Close code and reason, once the other side has closed it."""
        while self.closed is None:
            await self.receive()
        return self.closed

    async def receive(self, *, patience_s: float = PATIENCE_S) -> None:
        """One frame."""
        message = await self.websocket.receive(timeout=patience_s)
        match message.type:
            case aiohttp.WSMsgType.BINARY:
                self.printed += message.data
            case aiohttp.WSMsgType.TEXT:
                self.news.append(json.loads(message.data))
            case aiohttp.WSMsgType.CLOSE:
                self.closed = (int(message.data), str(message.extra or ""))
            case _:
                raise ConnectionError(f"the websocket ended: {message.type.name}")

    def _cut(self, count: int) -> bytes:
        cut = bytes(self.printed[:count])
        del self.printed[:count]
        return cut


class Clients:
    """Opens consoles. All are closed at the end."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    async def opens(self, door: Door, machine: Json, **query: str) -> Console:
        """A console that was opened and has said so."""
        console = Console(
            await self._http.ws_connect(
                door.url(machine), params=query, ssl=door.tls, headers=door.headers, max_msg_size=0, compress=0
            )
        )
        await console.receive()
        assert console.news[0]["type"] == "opened", console.news
        return console

    async def refused(self, door: Door, machine: Json, **query: str) -> Answer:
        """The answer to a handshake that fails."""
        asked = self._http.get(
            door.url(machine), params=query, ssl=door.tls, headers={**HANDSHAKE, **door.headers}, timeout=_TIMEOUT
        )
        async with asked as answer:
            assert answer.status != 101, "it was let in"
            return Answer(answer.status, json.loads(await answer.read()))


@asynccontextmanager
async def clients() -> AsyncIterator[Clients]:
    """For one test."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        yield Clients(http)
