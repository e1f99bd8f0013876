"""The server's end of the console's wire, where a suite wants to say what is printed; and a terminal for ipmitool."""

import os
import pty
import select
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from provider.bmc.endpoint import Endpoint
from tests.waiting import PATIENCE_S


class EchoingWire:
    """Listens where a chassis has its console, and echoes every byte. A context manager."""

    def __init__(self, path: Path) -> None:
        self.connected = threading.Event()
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._path = path
        self._wire: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self.connected.wait(PATIENCE_S), "the BMC connects to the console"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._path.unlink()
        self._listener.shutdown(socket.SHUT_RDWR)
        if self._wire is not None:
            self._wire.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                self._wire, _ = self._listener.accept()
            except OSError:
                return
            with self._wire:
                self.connected.set()
                while data := self._wire.recv(4096):
                    self._wire.sendall(data)


class IpmitoolConsole:
    """``ipmitool sol activate`` in a pseudo-terminal of its own. A context manager."""

    def __init__(self, endpoint: Endpoint) -> None:
        whom = ["-H", endpoint.address, "-p", str(endpoint.port), "-U", endpoint.username, "-E", "-C", "3"]
        ours, theirs = pty.openpty()
        self._terminal = ours
        self._process = subprocess.Popen(
            ["ipmitool", "-I", "lanplus", *whom, "sol", "activate"],
            env={**os.environ, "IPMI_PASSWORD": endpoint.password},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)

    def is_open(self) -> None:
        """Wait until it has the console."""
        self._read_until(b"SOL Session operational")

    def echoes(self, text: bytes) -> None:
        """Type a text until it comes back: the first packet of a session may be taken for one of the session before."""
        self._read_until(text, b" " + text)

    def _read_until(self, text: bytes, typed: bytes = b"") -> None:
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.shown:
            assert time.monotonic() < deadline, f"{text!r} is not shown: {self.shown!r}"
            os.write(self._terminal, typed)
            ready, _, _ = select.select([self._terminal], [], [], 0.3)
            if ready:
                self.shown += os.read(self._terminal, 4096)
