"""QEMU as a process that outlives its chassis: started in a session of its own, found again, seen to end.

A lock file says whether a QEMU lives, without a race: the chassis takes the lock (flock(2)) and QEMU inherits it, so it
is held exactly as long as that process exists, whoever started it and however it ends. The pid comes from QEMU's own
pid file, which is removed under the lock before each start, and signals go through a pidfd, never to a reused pid.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sandbox.chassis.errors import QemuRefused

_PID_FILE_TIMEOUT_S = 10.0
_POLL_S = 0.05


class QemuProcess:
    """A running QEMU, by pidfd."""

    def __init__(self, pid: int, child: subprocess.Popen[bytes] | None) -> None:
        self.pid = pid
        self._child = child
        self._pidfd = os.pidfd_open(pid)
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._pidfd, self._reap)

    def kill(self) -> None:
        """Cut it off at once: what pulling the power does to a server."""
        if not self._ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    async def ended(self) -> None:
        """Return when the process has ended."""
        await self._ended.wait()

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        if self._child is not None:
            self._child.wait()
        self._ended.set()


class QemuSlot:
    """The place for one QEMU in a state directory: at most one lives in it at a time."""

    def __init__(self, state_directory: Path) -> None:
        self._lock_file = state_directory / "qemu.lock"
        self.pid_file = state_directory / "qemu.pid"
        self.log_file = state_directory / "qemu.log"

    def start(self, command: Sequence[str]) -> QemuProcess:
        """Start command (which must exec QEMU in place and write `pid_file`); QemuRefused when one lives already."""
        lock = self._try_lock()
        if lock is None:
            raise QemuRefused("starting QEMU: another one of this server is still running")
        try:
            self.pid_file.unlink(missing_ok=True)
            with self.log_file.open("ab") as log:
                child = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[lock], start_new_session=True
                )
        finally:
            os.close(lock)
        return QemuProcess(child.pid, child)

    async def adopt(self) -> QemuProcess | None:
        """The QEMU that an earlier chassis started, or None when none lives (any more)."""
        async with asyncio.timeout(_PID_FILE_TIMEOUT_S):
            while not self._is_free():
                with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
                    return QemuProcess(int(self.pid_file.read_text()), None)
                # Started a moment ago, and not yet as far as to write its pid; or just ending.
                await asyncio.sleep(_POLL_S)
        return None

    def _is_free(self) -> bool:
        lock = self._try_lock()
        if lock is None:
            return False
        os.close(lock)
        return True

    def _try_lock(self) -> int | None:
        descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor
