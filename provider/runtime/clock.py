"""The clock that leadership and freshness rest on: it never jumps, and it goes on while the machine is suspended."""

import time


def boot_time_s() -> float:
    """Seconds since boot, suspend included (CLOCK_BOOTTIME: CLOCK_MONOTONIC would stand still in a paused VM)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
