"""One supervised process: started, watched until ready, restarted when it ends, stopped when told.

    stopped -> starting -> ready -> (ended) -> backoff -> starting ...
                   └──── (ended) ────────────────┘

A unit owns no child relation: it watches a pidfd, so that a supervisor which was itself killed finds its processes
again by their records and goes on with them.
"""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from sandbox.paths import SOURCE
from sandbox.process import MARK, ProcessRecord, ProcessSpec
from sandbox.readiness import holds

State = Literal["stopped", "starting", "ready", "backoff"]

FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 10.0
STEADY_AFTER_S = 10.0
"""A process that ran this long starts again at the first back-off."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where a supervisor keeps what it must find again, and where output goes."""

    run: Path
    log: Path

    def record(self, name: str) -> Path:
        return self.run / "pid" / f"{name}.json"


class Unit:
    """One supervised process. ``changed`` is called after every change of state."""

    def __init__(self, spec: ProcessSpec, places: Places, changed: Callable[[], None]) -> None:
        self.spec = spec
        self.state: State = "stopped"
        self.pid: int | None = None
        self.restarts = 0
        self.last_exit = ""
        self._places = places
        self._changed = changed
        self._child: subprocess.Popen[bytes] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._task is None:
            self._set("starting")
            self._task = asyncio.create_task(self._keep_running(), name=self.spec.name)

    async def stop(self) -> None:
        """Ask the process to end, and after its time make it. Harmless when it does not run."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        record = ProcessRecord.read(self._places.record(self.spec.name))
        if record is not None:
            await terminate(record.pid, self.spec.stop_timeout_s)
        self._collect()
        self._places.record(self.spec.name).unlink(missing_ok=True)
        self.pid = None
        self._set("stopped")

    def report(self) -> dict[str, Any]:
        return {
            "name": self.spec.name,
            "state": self.state,
            "pid": self.pid,
            "restarts": self.restarts,
            "lastExit": self.last_exit,
        }

    async def _keep_running(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        while True:
            began = time.monotonic()
            self._set("starting")
            try:
                if await self._adopt_or_spawn():
                    await self._watch()
            except OSError as error:
                self.last_exit = f"could not be watched: {error}"
            if time.monotonic() - began > STEADY_AFTER_S:
                backoff_s = FIRST_BACKOFF_S
            self.pid = None
            self.restarts += 1
            self._set("backoff")
            await asyncio.sleep(backoff_s)
            backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)

    async def _adopt_or_spawn(self) -> bool:
        record_path = self._places.record(self.spec.name)
        record = ProcessRecord.read(record_path)
        if record is not None and record.digest != self.spec.digest:
            await terminate(record.pid, self.spec.stop_timeout_s)
            record = None
        if record is None:
            try:
                self._child = self._spawn()
                record = ProcessRecord.of(self._child.pid, self.spec.digest)
                record.write(record_path)
            except (OSError, psutil.NoSuchProcess) as error:
                if self._child is not None:
                    self._child.kill()  # Without its record, no later supervisor would find it.
                self._collect()
                self.last_exit = f"could not be started: {error}"
                return False
        self.pid = record.pid
        return True

    def _spawn(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **self.spec.environment, MARK: str(self._places.run)}
        with (self._places.log / f"{self.spec.name}.log").open("ab") as log:
            return subprocess.Popen(
                self.spec.command,
                cwd=SOURCE,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def _watch(self) -> None:
        """Return when the process has ended; say meanwhile when it became ready."""
        assert self.pid is not None
        ended = asyncio.create_task(wait_ended(self.pid))
        ready = asyncio.create_task(self._until_ready())
        try:
            await asyncio.wait({ended, ready}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done() and (error := ready.exception()) is not None:
                logging.error("%s: asking whether it is ready", self.spec.name, exc_info=error)
            elif not ended.done():
                self._set("ready")
            await ended
        finally:
            for task in (ended, ready):
                task.cancel()
            await asyncio.gather(ended, ready, return_exceptions=True)
        self._collect()

    async def _until_ready(self) -> None:
        pause_s = 0.01
        for fact in self.spec.ready:
            while not await holds(fact):
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, 0.2)

    def _collect(self) -> None:
        """Reap our own child, if the process was one; an adopted one is reaped by its parent."""
        if self._child is not None:
            status = self._child.wait()
            self.last_exit = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
            self._child = None
        elif self.state in ("starting", "ready"):
            self.last_exit = "unknown (started by an earlier supervisor)"

    def _set(self, state: State) -> None:
        self.state = state
        self._changed()


async def wait_ended(pid: int) -> None:
    """Return when the process has ended, reaped or not."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    try:
        loop.add_reader(descriptor, ended.set)
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def terminate(pid: int, timeout_s: float) -> None:
    """SIGTERM, and SIGKILL when the time is over."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(timeout_s):
                await wait_ended(pid)
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            await wait_ended(pid)
