"""Takes a sandbox away, whatever state it is in: also one whose supervisor was killed, or that came up half."""

import asyncio
import contextlib
import fcntl
import shutil
import time
from pathlib import Path

import psutil

from sandbox import network
from sandbox.client import SupervisorClient
from sandbox.errors import SupervisorUnavailable
from sandbox.paths import Layout
from sandbox.process import marked
from sandbox.unit import terminate

_GRACE_S = 2.0
_SUPERVISOR_END_S = 10.0
_POLL_S = 0.02


def take_away(layout: Layout) -> None:
    """Stop every process, then remove namespaces (with what is in them) and sockets. Files stay. Harmless to repeat."""
    try:
        SupervisorClient(layout).shutdown()
        _wait_supervisor_gone(layout.run / "supervisor.lock")
    except (SupervisorUnavailable, TimeoutError):
        pass  # Killed, never there, or stuck: its processes carry the mark.
    sweep(layout.run)
    network.remove_namespaces(layout.network_namespace_prefix)
    shutil.rmtree(layout.run, ignore_errors=True)
    with contextlib.suppress(OSError):
        layout.run.parent.rmdir()  # Another sandbox's directory may be there too.


def sweep(run: Path) -> None:
    """End every process that carries the mark of this sandbox. The supervisor goes first, so that it restarts none."""
    found = sorted(marked(run), key=_is_supervisor, reverse=True)
    for supervisor in filter(_is_supervisor, found):
        asyncio.run(_end(supervisor, signal_first=False))
    for process in marked(run):
        asyncio.run(_end(process, signal_first=True))


async def _end(process: psutil.Process, *, signal_first: bool) -> None:
    if signal_first:
        await terminate(process.pid, _GRACE_S)
    else:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _is_supervisor(process: psutil.Process) -> bool:
    try:
        return "sandbox.supervisor" in process.cmdline()
    except psutil.NoSuchProcess:
        return False


def _wait_supervisor_gone(lock_path: Path) -> None:
    """The supervisor holds this lock for as long as it lives; raises ``TimeoutError`` when that is too long."""
    deadline = time.monotonic() + _SUPERVISOR_END_S
    while _is_held(lock_path):
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(_POLL_S)


def _is_held(lock_path: Path) -> bool:
    try:
        with lock_path.open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
