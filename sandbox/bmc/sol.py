"""The wire from the server's serial port to the BMC: console.sock on one side, a TCP port for ipmi_sim on the other.

ipmi_sim keeps one connection open and reads it only during a Serial-over-LAN session; the console comes and goes with
the server's power. So both sides are kept up independently, and what nobody takes is dropped, as on a real wire: a
server must never wait for a reader of its console.
"""

import asyncio
import contextlib
from pathlib import Path

_CHUNK_BYTES = 4096
_RECONNECT_S = 0.2
# More than a screen, so that a slow session loses nothing it could show.
_UNREAD_LIMIT_BYTES = 64 * 1024


class SolBridge:
    """Carries bytes between the console and whoever connected last to the TCP port."""

    def __init__(self, console_socket: Path) -> None:
        self._console_socket = console_socket
        self._console: asyncio.StreamWriter | None = None
        self._session: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Listen on a free TCP port of 127.0.0.1 and keep up the connection to the console; returns the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._keeper = asyncio.create_task(self._keep_console())
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Close both sides."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        for writer in (self._session, self._console):
            if writer is not None:
                writer.close()
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._session = writer
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                _forward(data, self._console)
        writer.close()
        if self._session is writer:
            self._session = None

    async def _keep_console(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_unix_connection(self._console_socket)
                self._console = writer
                try:
                    while data := await reader.read(_CHUNK_BYTES):
                        _forward(data, self._session)
                finally:
                    self._console = None
                    writer.close()
            await asyncio.sleep(_RECONNECT_S)


def _forward(data: bytes, target: asyncio.StreamWriter | None) -> None:
    if target is None or target.is_closing():
        return
    if target.transport.get_write_buffer_size() < _UNREAD_LIMIT_BYTES:
        target.write(data)
