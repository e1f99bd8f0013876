"""A client that opens a console and does not read: nothing is buffered for it on its side but by its system."""

import json
import socket
import ssl
from pathlib import Path
from typing import BinaryIO

from tests.integration.apiserver.websockets import HANDSHAKE, PATIENCE_S, Door, Json, path

_RECEIVE_BUFFER_BYTES, _SEGMENT_BYTES = 4096, 1024
_TEXT, _BINARY = 0x1, 0x2


class SlowReader:
    """A watcher. With a small window and small segments its peer's system does not buffer megabytes for it either."""

    def __init__(self, door: Door, machine: Json) -> None:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT_BYTES)
        connection.settimeout(PATIENCE_S)
        connection.connect(door.address)
        self._socket: ssl.SSLSocket = door.tls.wrap_socket(connection, server_hostname=door.address[0])
        headers = {"Host": door.address[0], **HANDSHAKE, **door.headers}
        lines = [f"GET {path(machine)}?watch=true HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self._file: BinaryIO = self._socket.makefile("rb")
        status = self._file.readline()
        assert b" 101 " in status, status
        while self._file.readline() != b"\r\n":
            pass

    def reads_up_to(self, text: bytes) -> tuple[bytes, int]:
        """Now it reads: all bytes up to ``text``, and how many it is told that it lost."""
        data, lost = bytearray(), 0
        while not data.endswith(text):
            kind, payload = self._frame()
            if kind == _BINARY:
                data += payload
            elif kind == _TEXT:
                news = json.loads(payload)
                lost += news["bytes"] if news["type"] == "lost" else 0
        return bytes(data), lost

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def _frame(self) -> tuple[int, bytes]:
        """Opcode and payload of a frame that is not masked, as a server sends it (RFC 6455, section 5.2)."""
        first, length = self._file.read(2)
        if length >= 126:
            length = int.from_bytes(self._file.read(2 if length == 126 else 8))
        return first & 0x0F, self._file.read(length)


def unsent_bytes(port: int) -> int:
    """The most that waits in the system for the other end of a connection that was accepted at that port (proc(5))."""
    most = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, _, queues, *_ = line.split()
        if int(local.rpartition(":")[2], 16) == port:
            most = max(most, int(queues.partition(":")[0], 16))
    return most
