"""Sessions at BMCs as a test says them, and what reads a hub."""

import asyncio
from dataclasses import dataclass, field

from provider.apiserver.console.frames import Data, Frame
from provider.apiserver.console.hub import Reader
from provider.bmc.console import Output
from provider.bmc.endpoint import Endpoint
from provider.bmc.errors import BMCConsoleLost, BMCError

PATIENCE_S = 10.0


def lost(cause: str = "the BMC closed it") -> BMCConsoleLost:
    return BMCConsoleLost("192.0.2.1:623", "Keeping the console", cause)


class Line:
    """A session: ``prints`` says what the server prints, ``breaks`` ends it, ``accepts`` lets writers go on."""

    def __init__(self) -> None:
        self.written = b""
        self.breaks_sent = 0
        self.was_closed = asyncio.Event()
        self.accepts = asyncio.Event()
        self.accepts.set()
        self._output: asyncio.Queue[Output | BMCError] = asyncio.Queue()

    @property
    def closed(self) -> bool:
        return self.was_closed.is_set()

    def prints(self, data: bytes, *, lost_bytes: int = 0, overrun: bool = False) -> None:
        self._output.put_nowait(Output(data, lost_bytes, overrun))

    def breaks(self, error: BMCError | None = None) -> None:
        self._output.put_nowait(error or lost())

    async def read(self) -> Output:
        output = await self._output.get()
        if isinstance(output, BMCError):
            raise output
        return output

    async def write(self, data: bytes) -> None:
        await self.accepts.wait()
        if self.closed:
            raise lost("closed by us")
        self.written += data

    async def send_break(self) -> None:
        self.breaks_sent += 1

    async def close(self) -> None:
        self.was_closed.set()
        self.accepts.set()


@dataclass
class Lines:
    """A BMC: each opening is a new session, and ends the one before; or it fails as ``failures`` say."""

    opened: list[Line] = field(default_factory=list)
    failures: list[BMCError] = field(default_factory=list)
    tries: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self) -> Line:
        return await self.open_console()

    async def open_console(self) -> Line:
        self.tries += 1
        self.news.set()
        if self.failures:
            raise self.failures.pop(0)
        for line in self.opened:
            if not line.closed:
                line.breaks(lost("another session has it now"))
        self.opened.append(Line())
        return self.opened[-1]

    async def nth(self, number: int) -> Line:
        """The session that is opened as the ``number``-th, from 1."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.opened) < number:
                self.news.clear()
                await self.news.wait()
        return self.opened[number - 1]


class Rack:
    """The BMCs of several servers, by their addresses."""

    def __init__(self) -> None:
        self.lines: dict[str, Lines] = {}

    def at(self, address: str) -> Lines:
        return self.lines.setdefault(address, Lines())

    def console(self, endpoint: Endpoint) -> Lines:
        return self.at(endpoint.address)


async def frames_of(reader: Reader, count: int) -> list[Frame]:
    """The next frames of a reader."""
    async with asyncio.timeout(PATIENCE_S):
        return [await reader.next() for _ in range(count)]


async def printed(reader: Reader, length: int) -> bytes:
    """So many bytes; news between them are let go."""
    data = b""
    async with asyncio.timeout(PATIENCE_S):
        while len(data) < length:
            frame = await reader.next()
            if isinstance(frame, Data):
                data += frame.data
    return data


async def comes(reader: Reader, frame: Frame) -> None:
    """Wait for a frame; what comes before it is let go."""
    async with asyncio.timeout(PATIENCE_S):
        while await reader.next() != frame:
            pass
