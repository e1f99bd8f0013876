"""A chassis of a test's own, as a process, and the way to speak to it: two sockets and nothing behind them."""

import json
import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

from tests.waiting import wait_for

READY_TIMEOUT_S = 20.0


class Refused(Exception):
    """An error reply; code and message as sent."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(f"{code}: {message}")


class Caller:
    """Calls methods over one socket path, a connection for each call."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def raw(self, request: bytes) -> bytes:
        """Send bytes, close the sending side, and return all that comes back."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(READY_TIMEOUT_S)
            connection.connect(str(self.path))
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def __call__(self, method: str, **params: Any) -> Any:
        request: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": method}
        if params:
            request["params"] = params
        reply = json.loads(self.raw(json.dumps(request).encode()))
        if "error" in reply:
            raise Refused(**reply["error"])
        return reply["result"]


class ChassisProcess:
    """The chassis as a process that can be killed and started again on the same state."""

    def __init__(self, directory: Path, netns: str) -> None:
        self.state = directory / "state"
        self.netns = netns
        self.requests = directory / "requests.jsonl"
        self.emulation = Caller(directory / "emulation.sock")
        self.control = Caller(directory / "server/control.sock")
        self.console_path = directory / "server/console.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            *(sys.executable, "-m", "sandbox.chassis", "--server", "server0", "--uuid", str(uuid.uuid4())),
            *("--emulation-socket", str(self.emulation.path), "--control-socket", str(self.control.path)),
            *("--console-socket", str(self.console_path), "--state-dir", str(self.state), "--netns", self.netns),
            *("--representors", "vm0,vm1", "--request-log", str(self.requests)),
        ]
        self._process = subprocess.Popen(command)
        wait_for(self._answers, "the chassis answers")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()

    def console(self) -> str:
        """All that the server wrote on its serial port so far."""
        log = self.state / "console.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def qemu_pid(self) -> int:
        return int((self.state / "qemu.pid").read_text())

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the chassis ended by itself"
        try:
            self.emulation("emulation_function_list")
            self.control("boots")
        except OSError:
            return False
        return True


class Backend:
    """A socket that accepts, as a vhost-user target's does; all that a server without power needs of it."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.path)
        self._socket.listen(16)

    def close(self) -> None:
        self._socket.close()
        Path(self.path).unlink(missing_ok=True)


def disk(slot: int, path: str, **more: Any) -> dict[str, Any]:
    """Parameters that plug a disk."""
    return {"slot": slot, "kind": "virtio_blk", "backing": {"vhost_socket": path}, **more}


def nic(slot: int, representor: str = "vm0", mac: str = "52:54:00:aa:bb:01") -> dict[str, Any]:
    """Parameters that plug a NIC."""
    return {"slot": slot, "kind": "virtio_net", "backing": {"representor": representor}, "mac": mac}
