"""Keeps the console of one server open, whoever looks: the boot that failed at night can be read in the morning.

The session is opened when it is wanted, opened again when the BMC drops it, less and less often while that fails, and
never without asking first whether the console is still this replica's, and the server still the same machine's.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from provider.apiserver.console.frames import Close
from provider.apiserver.console.hub import Hub
from provider.bmc.console import SerialSession
from provider.bmc.errors import BMCAuthenticationFailed, BMCError, BMCInsecure
from provider.runtime.errors import MetalplaneError

_LOG = logging.getLogger(__name__)

OFF = "the server is off: its console is connected when it is started"
_FIRST_S, _LONGEST_S = 1.0, 30.0
_REFUSED_S = 60.0
"""BMCs lock accounts of whom they refuse too often."""

_LASTED_S = 10.0
"""A session that lasted so long was no failure: the next one is opened at once."""

Opens = Callable[[], Awaitable[SerialSession]]
Objection = Callable[[], Awaitable[str | None]]


class Keeper:
    """One console under one claim. ``open_line`` opens its session; ``objection`` says why not, if it may not be."""

    def __init__(self, server: str, open_line: Opens, objection: Objection, *, first_s: float = _FIRST_S) -> None:
        self.hub = Hub(server)
        self._server = server
        self._open_line = open_line
        self._objection = objection
        self._first_s = first_s
        self._wanted = False
        self._wire: object = None
        self._changed = asyncio.Event()
        self._failures = 0
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"console of {server}")

    def want(self, *, wanted: bool, wire: object) -> None:
        """Whether there should be a session; one over another ``wire`` (address, Secret) is opened anew."""
        if (wanted, wire) != (self._wanted, self._wire):
            self._wanted, self._wire = wanted, wire
            self._failures = 0
            self._changed.set()

    async def end(self, code: int, reason: str) -> None:
        """Close it for everybody, drop what was printed, and give the session back."""
        self.hub.end(code, reason)
        self._task.cancel()
        await asyncio.wait([self._task])

    # ---- how it is done

    async def _run(self) -> None:
        while self.hub.ended is None:
            self._changed.clear()
            if not self._wanted:
                self.hub.disconnected(OFF, comes_back=False)
                await self._changed.wait()
                continue
            try:
                lasted_s = await self._connect_once()
            except Exception as error:
                # A console that is given up would say nothing of the night: a defect, too, is tried again.
                await self._failed(error)
                continue
            self._failures = 0 if lasted_s >= _LASTED_S else self._failures + 1
            await self._pause(self._back_off_s() if self._failures else 0.0)

    async def _connect_once(self) -> float:
        """Open the session and carry its bytes until it ends; returns how long it lasted, in seconds."""
        objection = await self._objection()
        if objection is not None:
            self.hub.end(Close.GOING_AWAY, objection)
            return 0.0
        line = await self._open_line()
        clock = asyncio.get_running_loop().time
        began = clock()
        _LOG.info("console connected server=%s", self._server)
        try:
            self.hub.connected(line)
            await self._carry(line)
        finally:
            await line.close()
        return clock() - began

    async def _carry(self, line: SerialSession) -> None:
        """From the BMC to the hub, until the session ends or is not wanted as it is."""
        reading = asyncio.ensure_future(self._read(line))
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait([reading, changed], return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            reading.cancel()
            await asyncio.wait([reading])
        if not reading.cancelled():
            reading.result()

    async def _read(self, line: SerialSession) -> None:
        while True:
            try:
                output = await line.read()
            except BMCError as error:
                _LOG.info("console lost server=%s error=%s", self._server, error)
                self.hub.disconnected(str(error), comes_back=True)
                return
            if output.lost_bytes:
                self.hub.lost(output.lost_bytes)
            if output.overrun:
                self.hub.notice("the BMC could not keep up with the server and dropped some of its output")
            self.hub.printed(output.data)

    async def _failed(self, error: Exception) -> None:
        self._failures += 1
        ours = isinstance(error, BMCError | MetalplaneError)
        text = "console not connected server=%s attempt=%d error=%s"
        _LOG.warning(text, self._server, self._failures, error, exc_info=None if ours else error)
        cause = str(error) if ours else "an error of this replica, which is in its log"
        self.hub.disconnected(f"the console is not connected: {cause}; it is tried again", comes_back=True)
        refused = isinstance(error, BMCAuthenticationFailed | BMCInsecure)
        await self._pause(_REFUSED_S if refused else self._back_off_s())

    def _back_off_s(self) -> float:
        doublings = min(max(self._failures - 1, 0), 10)
        longest = min(self._first_s * (1 << doublings), _LONGEST_S)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311  (spreads load)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not when something else is wanted meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return
