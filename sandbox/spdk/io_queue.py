"""The I/O queue between one node of the storage daemon and the export that is read and written through it.

The storage daemon's NBD client keeps requests for a server that is away, and offers nothing that would make it fail
them; so it does not speak to the server itself but to a socket of this process, which passes bytes on while the
export is there, lets the client wait while it is not, and answers with errors once told to give up.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

from sandbox.spdk.nbd import NbdRefused, open_export
from sandbox.spdk.nbd_errors import fail_everything

_BUFFER_BYTES = 256 * 1024
_LOOK_AGAIN_S, _LOOK_AGAIN_AT_MOST_S = 0.01, 1.0
_CONNECT_TIMEOUT_S = 10.0


class IoQueue:
    """Listens at `address` for the node of one export, from the first connection on with patience."""

    def __init__(self, host: str, port: int, export: str, size_bytes: int) -> None:
        self._server = (host, port)
        self._export = export
        self._size_bytes = size_bytes
        self._name = f"metalplane-nvme-{uuid4().hex}"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"\0{self._name}")
        self._listener.listen()
        self._listener.setblocking(False)
        self._patient = False
        self._finishing = asyncio.Event()
        self._pipes: set[_Pipe] = set()
        self._clients: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.create_task(self._accept())

    @property
    def address(self) -> dict[str, object]:
        """Where the node connects to: an abstract socket, which needs no file and no short path."""
        return {"type": "unix", "path": self._name, "abstract": True}

    def be_patient(self) -> None:
        """From now on whoever connects while the export is away waits for it; until then it is turned away."""
        self._patient = True

    def cut(self) -> None:
        """Break the connections; the node comes back, and waits."""
        for pipe in self._pipes:
            pipe.cut()

    def finish(self) -> None:
        """A connection that breaks from now on is not made anew: what the node asks then fails, for good."""
        self._finishing.set()

    def give_up(self) -> None:
        """Fail what the node asks or has asked, from now on and for good."""
        self.finish()
        self.cut()

    async def close(self) -> None:
        """The node is gone."""
        self._accepting.cancel()
        self._listener.close()
        self.cut()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(self._accepting, *self._clients, return_exceptions=True)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(self._listener)
            task = asyncio.create_task(self._serve(client))
            self._clients.add(task)
            task.add_done_callback(self._clients.discard)

    async def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                server = await self._reach()
            except NbdRefused:
                return
            if server is None:
                await fail_everything(*await asyncio.open_unix_connection(sock=client), self._size_bytes)
                return
            await self._pass_on(client, server)

    async def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        pipe = _Pipe(client, server, lambda: loop.call_soon_threadsafe(done.set))
        self._pipes.add(pipe)
        try:
            # It may have been told to while the server was reached.
            if not self._finishing.is_set():
                pipe.start()
                await done.wait()
        finally:
            self._pipes.discard(pipe)
            pipe.close()

    async def _reach(self) -> socket.socket | None:
        """A connection to the server once it has the export; None when finishing. Raises NbdRefused."""
        finishing = asyncio.create_task(self._finishing.wait())
        reaching = asyncio.create_task(self._connect())
        try:
            await asyncio.wait({finishing, reaching}, return_when=asyncio.FIRST_COMPLETED)
            return await reaching if reaching.done() else None
        finally:
            finishing.cancel()
            reaching.cancel()

    async def _connect(self) -> socket.socket:
        look_again_s = _LOOK_AGAIN_S
        while True:
            try:
                # A client that finds no export comes back a second later, and then ever more seldom: it is not let go.
                (await open_export(*self._server, self._export, _CONNECT_TIMEOUT_S)).close()
                return await _connected(*self._server)
            except NbdRefused:
                if not self._patient:
                    raise
            await asyncio.sleep(look_again_s)
            look_again_s = min(look_again_s * 2, _LOOK_AGAIN_AT_MOST_S)


async def _connected(host: str, port: int) -> socket.socket:
    server = socket.socket()
    server.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(server, (host, port))
    except OSError as error:
        server.close()
        raise NbdRefused(str(error)) from error
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return server


class _Pipe:
    """Two sockets, each passed on to the other by a thread: what the event loop adds to a request would be felt."""

    def __init__(self, client: socket.socket, server: socket.socket, ended: Callable[[], object]) -> None:
        self._ends = (client, server)
        self._ended = ended
        self._threads = [
            threading.Thread(target=self._pump, args=ends, daemon=True) for ends in ((client, server), (server, client))
        ]

    def start(self) -> None:
        for end in self._ends:
            end.setblocking(True)
        for thread in self._threads:
            thread.start()

    def cut(self) -> None:
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        for end in self._ends:
            end.close()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        buffer = memoryview(bytearray(_BUFFER_BYTES))
        with suppress(OSError):
            while received := source.recv_into(buffer):
                sink.sendall(buffer[:received])
        self.cut()
        with suppress(RuntimeError):  # the process ends, and its loop has gone first
            self._ended()
