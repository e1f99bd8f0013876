"""A work queue of keys: two lanes, per-key order, back-off with jitter, no key twice at once.

A key is *waiting* (for its time), *ready* (in a lane), *running*, or unknown. Adding a running key marks it dirty: it
is ready again the moment it is done, so no change is lost and none is worked on twice at once.

No lane starves the other. NEW goes before DRIFT, but after ``_NEW_IN_A_ROW`` keys of NEW one of DRIFT is let through;
and DRIFT never holds the last free worker (where there are two or more), so slow polls cannot keep NEW waiting.
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from provider.runtime.controller import Lane

K = TypeVar("K", bound=Hashable)

BACKOFF_FIRST_S = 0.2
BACKOFF_LIMIT_S = 30.0
_NEW_IN_A_ROW = 8


class WorkQueue(Generic[K]):
    """Single event loop, any number of workers up to ``workers``."""

    def __init__(self, workers: int, *, jitter: Callable[[], float] = random.random) -> None:
        self._workers = workers
        self._jitter = jitter
        self._ready: dict[Lane, OrderedDict[K, None]] = {Lane.NEW: OrderedDict(), Lane.DRIFT: OrderedDict()}
        self._waiting: dict[K, tuple[asyncio.TimerHandle, Lane]] = {}
        self._running: dict[K, Lane] = {}
        self._dirty: dict[K, Lane] = {}
        self._failures: dict[K, int] = {}
        self._new_in_a_row = 0
        self._wake = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        """Keys that are ready."""
        return sum(len(lane) for lane in self._ready.values())

    @property
    def idle(self) -> bool:
        """Whether no key is ready or running; waiting ones do not count."""
        return not len(self) and not self._running

    def add(self, key: K, lane: Lane = Lane.NEW) -> None:
        """Work on ``key`` as soon as a worker is free. A key that is in DRIFT already moves up if NEW asks for it."""
        if self._closed:
            return
        self._stop_waiting(key)
        if key in self._running:
            self._dirty[key] = Lane.NEW if Lane.NEW in (lane, self._dirty.get(key)) else Lane.DRIFT
            return
        if key in self._ready[Lane.NEW]:
            return
        if lane is Lane.NEW:
            self._ready[Lane.DRIFT].pop(key, None)
        self._ready[lane].setdefault(key)
        self._wake.set()

    def add_after(self, key: K, delay_s: float, lane: Lane = Lane.NEW) -> None:
        """Work on ``key`` after ``delay_s`` seconds, unless something brings it up before."""
        if self._closed or key in self._dirty or any(key in ready for ready in self._ready.values()):
            return
        self._stop_waiting(key)
        handle = asyncio.get_running_loop().call_later(delay_s, self._due, key)
        self._waiting[key] = (handle, lane)

    def retry(self, key: K) -> float:
        """Work on ``key`` again after a delay that doubles with each failure in a row; returns that delay."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        ceiling = min(BACKOFF_LIMIT_S, BACKOFF_FIRST_S * (1 << min(failures, 16)))
        delay_s = ceiling * (0.5 + self._jitter() / 2)
        self.add_after(key, delay_s)
        return delay_s

    def succeeded(self, key: K) -> None:
        """Forget the failures of ``key``."""
        self._failures.pop(key, None)

    async def get(self) -> K | None:
        """The next key to work on; the caller must call ``done`` with it. None: the queue is closed."""
        while not self._closed:
            lane = self._next_lane()
            if lane is not None:
                key, _ = self._ready[lane].popitem(last=False)
                self._new_in_a_row = self._new_in_a_row + 1 if lane is Lane.NEW else 0
                self._running[key] = lane
                return key
            self._wake.clear()
            await self._wake.wait()
        return None

    def done(self, key: K) -> None:
        """The worker is through with ``key``; if it was added meanwhile, it is ready again."""
        del self._running[key]
        lane = self._dirty.pop(key, None)
        if lane is not None:
            self.add(key, lane)
        self._wake.set()

    def close(self) -> None:
        """Hand out no more keys, and wake whoever waits for one."""
        self._closed = True
        for handle, _ in self._waiting.values():
            handle.cancel()
        self._waiting.clear()
        self._wake.set()

    def _next_lane(self) -> Lane | None:
        new, drift = self._ready[Lane.NEW], self._ready[Lane.DRIFT]
        drift_running = sum(lane is Lane.DRIFT for lane in self._running.values())
        drift_may_run = bool(drift) and drift_running < max(1, self._workers - 1)
        if new and not (drift_may_run and self._new_in_a_row >= _NEW_IN_A_ROW):
            return Lane.NEW
        return Lane.DRIFT if drift_may_run else None

    def _due(self, key: K) -> None:
        _, lane = self._waiting.pop(key)
        self.add(key, lane)

    def _stop_waiting(self, key: K) -> None:
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            waiting[0].cancel()
