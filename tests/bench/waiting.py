"""Waiting for a fact, with a deadline; a benchmark that waits in vain says for what."""

import time
from collections.abc import Callable
from typing import TypeVar

from sandbox.errors import SandboxError

T = TypeVar("T")

_BETWEEN_LOOKS_S = 0.05


class BenchFailed(SandboxError):
    """Something that was to be measured did not happen."""

    def __init__(self, attempt: str, *, cause: str) -> None:
        super().__init__(attempt, cause=cause, next_step="Run it with --dir DIR, and see DIR/.sandbox/log.")


def wait_for(what: str, look: Callable[[], T | None], within_s: float = 30.0) -> T:
    """The first true value that ``look`` sees; raises ``BenchFailed`` when there is none in time."""
    deadline = time.monotonic() + within_s
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise BenchFailed("Measuring", cause=f"not within {within_s:g} s: {what}")
        time.sleep(_BETWEEN_LOOKS_S)
    return seen
