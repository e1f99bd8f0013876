"""Who is connected to a socket, as the kernel tells: proc(5), /proc/net/unix and /proc/net/tcp."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

_CONNECTED = "03"
_ESTABLISHED = "01"


def peers_of_unix_listener(path: Path) -> int:
    """Connections that a listener on `path` has accepted and that are still there."""
    count = 0
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if len(fields) == 8 and fields[7] == str(path) and fields[5] == _CONNECTED:
            count += 1
    return count


def peers_of_tcp_listener(address: str, port: str) -> int:
    """Established connections to a local IPv4 address and port."""
    packed: int = struct.unpack("=I", socket.inet_aton(address))[0]
    local = f"{packed:08X}:{int(port):04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(1 for fields in map(str.split, lines) if fields[1] == local and fields[3] == _ESTABLISHED)
