"""A peer of a test's own on a Unix socket: it keeps what arrives, and does with each request what the test says."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

Request = dict[str, Any]
PATIENCE_S = 10.0


class Line:
    """One connection, from the peer's side."""

    def __init__(self, peer: "Peer", writer: asyncio.StreamWriter) -> None:
        self._peer = peer
        self._writer = writer

    def answer(self, request: Request, result: Any = True) -> None:
        self.send({"jsonrpc": "2.0", "id": request["id"], "result": result})

    def refuse(self, request: Request, code: int, message: str) -> None:
        self.send({"jsonrpc": "2.0", "id": request["id"], "error": {"code": code, "message": message}})

    def send(self, message: Any) -> None:
        self.write(json.dumps(message).encode() + b"\n")

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    def close(self) -> None:
        self._writer.close()


Serve = Callable[[Line, Request], Awaitable[None]]


class Peer:
    """``requests`` as they came; ``chunks``: how many of them each read brought; ``connections`` so far."""

    def __init__(self, serve: Serve) -> None:
        self.requests: list[Request] = []
        self.chunks: list[int] = []
        self.connections = 0
        self._serve = serve
        self._arrived = asyncio.Condition()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        line, text, decoder = Line(self, writer), "", json.JSONDecoder()
        try:
            while data := await reader.read(1 << 20):
                requests, text = _split(decoder, text + data.decode())
                self.chunks.append(len(requests))
                self.requests += requests
                async with self._arrived:
                    self._arrived.notify_all()
                for request in requests:
                    await self._serve(line, request)
        finally:
            writer.close()

    async def received(self, count: int) -> None:
        """Return once so many requests have come."""
        async with asyncio.timeout(PATIENCE_S), self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)


def _split(decoder: json.JSONDecoder, text: str) -> tuple[list[Request], str]:
    requests = []
    while text := text.lstrip():
        try:
            request, end = decoder.raw_decode(text)
        except json.JSONDecodeError:
            break
        requests.append(request)
        text = text[end:]
    return requests, text


@asynccontextmanager
async def listening(path: Path, serve: Serve) -> AsyncIterator[Peer]:
    """A peer that listens at ``path``."""
    peer = Peer(serve)
    server = await asyncio.start_unix_server(peer.accept, path)
    try:
        yield peer
    finally:
        server.close()
