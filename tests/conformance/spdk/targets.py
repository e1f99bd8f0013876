"""The targets under test: sockets that are given, or stand-ins that are started and ended here.

METALPLANE_SPDK_SOCKET names the socket of a target that takes the storage node's part, METALPLANE_SPDK_DPU_SOCKET that
of another one for the DPU's. Without them two stand-ins are started. Nothing else in this suite knows which it is.
"""

import os
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance.spdk.wire import Wire
from tests.waiting import wait_for

STORAGE_SOCKET = "METALPLANE_SPDK_SOCKET"
DPU_SOCKET = "METALPLANE_SPDK_DPU_SOCKET"


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def short_directory() -> Iterator[Path]:
    """A directory whose paths fit into a socket address of 108 bytes."""
    path = Path(f"/tmp/mps-{os.getpid()}-{uuid.uuid4().hex[:6]}")
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path)


class StandIn:
    """A stand-in's process: it is killed, and comes back with nothing in its memory."""

    def __init__(self, directory: Path, *, fast: bool = True) -> None:
        self.socket = directory / "spdk.sock"
        self.request_log = directory / "requests.jsonl"
        self._directory = directory
        self._fast = fast
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "sandbox", "spdk", "--socket", str(self.socket), "--dir", str(self._directory)]
        command += ["--request-log", str(self.request_log), *(["--fast"] if self._fast else [])]
        self._directory.mkdir(parents=True, exist_ok=True)
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(self._answers, f"the stand-in answers ({self._directory / 'log'})")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the stand-in ended by itself, see {self._directory / 'log'}"
        try:
            with Wire(self.socket) as wire:
                wire.call("spdk_get_version")
        except OSError:
            return False
        return True


@contextmanager
def stand_in(directory: Path, *, fast: bool = True) -> Iterator[StandIn]:
    """A stand-in that runs, and ends with the block."""
    process = StandIn(directory, fast=fast)
    try:
        process.start()
        yield process
    finally:
        process.stop()


@dataclass(frozen=True, slots=True)
class Targets:
    """A storage node, a DPU (None: none was given), a directory that both can read, and where the former listens."""

    storage: Path
    dpu: Path | None
    directory: Path
    port: int

    def socket(self, part: str) -> Path:
        """The socket of a part; skips the test when no target takes it.

        ``storage``, ``dpu``, or ``disks``: whichever serves vhost disks, which is the DPU's of two and the only one.
        """
        path = self.storage if part == "storage" else self.dpu
        if path is None and part == "disks":
            return self.storage
        if path is None:
            pytest.skip(f"{DPU_SOCKET} names no target for the DPU's part")
        return path


def _require_empty(target: Path) -> None:
    # Tests take away all that there is when they end.
    with Wire(target) as wire:
        if wire.call("bdev_get_bdevs"):
            pytest.exit(f"the target at {target} holds bdevs: give this suite one that has just started", returncode=4)


@contextmanager
def targets() -> Iterator[Targets]:
    """The targets that the environment names, or two stand-ins."""
    with short_directory() as directory:
        given, dpu = os.environ.get(STORAGE_SOCKET), os.environ.get(DPU_SOCKET)
        if given:
            found = Targets(Path(given), Path(dpu) if dpu else None, directory, free_port())
            for path in filter(None, (found.storage, found.dpu)):
                _require_empty(path)
            yield found
            return
        with stand_in(directory / "storage") as storage, stand_in(directory / "dpu") as initiator:
            yield Targets(storage.socket, initiator.socket, directory, free_port())
