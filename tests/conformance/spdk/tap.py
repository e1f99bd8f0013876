"""A socket in front of a target's: it notes each request that passes, and can lose a reply after it was executed."""

import asyncio
import codecs
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any


class Tap:
    """Passes bytes on. ``lose`` names a method: the connection breaks when its next reply is there.

    ``rounds`` are the methods of each write that arrived: on a stock target one costs 8 ms, whatever is in it.
    """

    def __init__(self, target: Path) -> None:
        self.requests: list[dict[str, Any]] = []
        self.lost: list[str] = []
        self.rounds: list[list[str]] = []
        self._target = target
        self._lose: str | None = None

    def lose(self, method: str) -> None:
        self._lose = method

    def sent(self, method: str) -> list[dict[str, Any]]:
        """Parameters of all requests of that method."""
        return [request.get("params", {}) for request in self.requests if request["method"] == method]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_unix_connection(self._target, limit=1 << 24)
        pending: dict[Any, str] = {}
        asking = asyncio.create_task(self._ask(reader, requests, pending))
        try:
            while line := await answers.readline():
                method = pending.pop(json.loads(line)["id"])
                if method == self._lose:
                    self._lose = None
                    self.lost.append(method)
                    return
                writer.write(line)
        finally:
            asking.cancel()
            requests.close()
            writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pending: dict[Any, str]) -> None:
        buffered, decoder, text = "", json.JSONDecoder(), codecs.getincrementaldecoder("utf-8")()
        while data := await reader.read(1 << 16):
            buffered, round_ = (buffered + text.decode(data)).lstrip(), []
            # What cannot be read yet is the beginning of a request.
            with contextlib.suppress(json.JSONDecodeError):
                while buffered:
                    request, end = decoder.raw_decode(buffered)
                    buffered = buffered[end:].lstrip()
                    self.requests.append(request)
                    pending[request["id"]] = request["method"]
                    round_.append(request["method"])
            self.rounds.append(round_)
            writer.write(data)
        writer.close()


@asynccontextmanager
async def tapped(target: Path, socket: Path) -> AsyncIterator[Tap]:
    """A tap at ``socket`` in front of ``target``."""
    tap = Tap(target)
    server = await asyncio.start_unix_server(tap.serve, socket)
    try:
        yield tap
    finally:
        server.close()
