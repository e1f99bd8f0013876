"""Who is connected to a socket, as the kernel tells: pidfd_getfd(2) and proc(5), /proc/net/tcp."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

_PIDFD_GETFD = 438
"""Number of the system call, the same on every architecture."""
_ESTABLISHED = "01"
_libc = ctypes.CDLL(None, use_errno=True)


def peers_of_unix_listeners(pid: int) -> Counter[str]:
    """By the path of a listener: connections that process `pid` has accepted and still holds.

    The process is asked and not /proc/net/unix, where an accepted connection stands in the network namespace of whoever
    connected: a server is in that of its DPU.
    """
    peers: Counter[str] = Counter()
    for held in _unix_sockets(pid):
        path = held.getsockname()
        if isinstance(path, str) and path and not held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            peers[path] += 1
    return peers


def _unix_sockets(pid: int) -> Iterator[socket.socket]:
    """The sockets of a process, each open for as long as it is looked at."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            # Descriptors come and go meanwhile.
            with suppress(OSError):
                if not str(entry.readlink()).startswith("socket:"):
                    continue
                copy = _libc.syscall(_PIDFD_GETFD, process, int(entry.name), 0)
                if copy < 0:
                    continue
                with closing(socket.socket(fileno=copy)) as held:
                    if held.family == socket.AF_UNIX:
                        yield held
    except FileNotFoundError:
        return
    finally:
        os.close(process)


def peers_of_tcp_listener(address: str, port: str) -> int:
    """Established connections to a local IPv4 address and port."""
    packed: int = struct.unpack("=I", socket.inet_aton(address))[0]
    local = f"{packed:08X}:{int(port):04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(1 for fields in map(str.split, lines) if fields[1] == local and fields[3] == _ESTABLISHED)
