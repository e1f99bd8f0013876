"""The network between a DPU and its storage node, which can fall silent: no connection breaks, and nothing arrives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

HERE = "127.0.0.1"


class Network:
    """Carries TCP to one port of the storage node, for as long as it is not silent."""

    def __init__(self, storage_port: int) -> None:
        self.port = 0
        self._storage_port = storage_port
        self._carrying = asyncio.Event()
        self._carrying.set()
        self._ways: set[asyncio.Task[None]] = set()

    def fall_silent(self) -> None:
        self._carrying.clear()

    def speak(self) -> None:
        self._carrying.set()

    async def listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._connect, HERE, 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._ways.add(task)
        try:
            await self._carrying.wait()
            onwards, there = await asyncio.open_connection(HERE, self._storage_port)
            await asyncio.gather(self._carry(reader, there), self._carry(onwards, writer))
        except (ConnectionError, asyncio.CancelledError):
            writer.close()
        finally:
            self._ways.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self._carrying.wait()
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()

    async def end(self) -> None:
        """Break whatever is connected."""
        for way in list(self._ways):
            way.cancel()
        await asyncio.gather(*self._ways, return_exceptions=True)


@asynccontextmanager
async def network(storage_port: int) -> AsyncIterator[Network]:
    """A network that speaks; in the end it carries what was kept back, and breaks what is still connected."""
    between = Network(storage_port)
    server = await between.listen()
    try:
        yield between
    finally:
        between.speak()
        await asyncio.sleep(0)
        server.close()
        await between.end()
