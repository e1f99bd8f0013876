"""The way from a DPU to the API server: ``python -m sandbox.relay``.

A DPU's network namespace has no route to the machine's loopback, where the API server listens. The relay listens there
inside and connects outside. It passes bytes; TLS goes through it end to end.
"""

import argparse
import asyncio
import contextlib
import ctypes
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_CHUNK_BYTES = 1 << 16


@contextlib.contextmanager
def network_namespace(name: str) -> Iterator[None]:
    """This thread is in that namespace meanwhile (setns(2)); sockets stay where they were made."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/self/ns/net").open() as home, (Path("/run/netns") / name).open() as away:
        _set_namespace(libc, away.fileno())
        try:
            yield
        finally:
            _set_namespace(libc, home.fileno())


def _set_namespace(libc: ctypes.CDLL, descriptor: int) -> None:
    if libc.setns(descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


async def relay(listener: socket.socket, target: tuple[str, int]) -> None:
    """Serve until SIGTERM."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(*target)
            with contextlib.closing(far_writer):
                await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))

    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    server = await asyncio.start_server(connected, sock=listener)
    await stopping.wait()
    server.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(_CHUNK_BYTES):
        sink.write(data)
        await sink.drain()
    sink.write_eof()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.relay", description=__doc__.splitlines()[0])
    parser.add_argument("--netns", required=True, help="network namespace in which to listen")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1 there")
    parser.add_argument("--target-port", type=int, required=True, help="port on 127.0.0.1 here")
    arguments = parser.parse_args()
    with network_namespace(arguments.netns):
        listener = socket.create_server(("127.0.0.1", arguments.port))
    asyncio.run(relay(listener, ("127.0.0.1", arguments.target_port)))


if __name__ == "__main__":
    main()
