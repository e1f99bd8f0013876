"""Waiting for a fact, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 30.0
_BETWEEN_LOOKS_S = 0.05


def eventually(look: Callable[[], T], holds: Callable[[T], bool], *, within_s: float = PATIENCE_S) -> T:
    """What ``look`` sees once it ``holds``; fails with what it saw last."""
    deadline = time.monotonic() + within_s
    while not holds(seen := look()):
        assert time.monotonic() < deadline, f"not so within {within_s:g} s; last seen: {seen!r}"
        time.sleep(_BETWEEN_LOOKS_S)
    return seen
