"""SPDK's wire as bytes on a socket: no client of ours is in between, so nothing hides what the target sends."""

import itertools
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TIMEOUT_S = 20.0


class Refused(Exception):
    """An error reply; ``error`` as sent."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error)
        self.error = error


class Wire:
    """One connection to a target."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(TIMEOUT_S)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._lines = self._replies()
        self._ids = itertools.count(1)

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def line(self) -> bytes:
        """The next reply with its line's end; empty when the target has closed the connection."""
        return next(self._lines, b"")

    def exchange(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply to one request object, whole."""
        self.send(json.dumps(request).encode())
        reply: dict[str, Any] = json.loads(self.line())
        return reply

    def call(self, method: str, **params: Any) -> Any:
        """The result of a call. Raises ``Refused``."""
        request: dict[str, Any] = {"jsonrpc": "2.0", "id": next(self._ids), "method": method}
        reply = self.exchange(request | ({"params": params} if params else {}))
        if "error" in reply:
            raise Refused(reply["error"])
        return reply["result"]

    def _replies(self) -> Iterator[bytes]:
        buffered = b""
        while received := self._received():
            buffered += received
            *lines, buffered = buffered.split(b"\n")
            yield from (line + b"\n" for line in lines)

    def _received(self) -> bytes:
        try:
            return self._socket.recv(65536)
        except ConnectionResetError:
            return b""
