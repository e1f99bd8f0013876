"""Waiting for facts: the one way in which a test lets time pass."""

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")

PATIENCE_S = 30.0
_BETWEEN_LOOKS_S = 0.02


def wait_for(fact: Callable[[], T | None], what: str, timeout_s: float = PATIENCE_S) -> T:
    """The first true value of ``fact``; fails the test, naming ``what``, where none comes in time."""
    deadline = time.monotonic() + timeout_s
    while not (value := fact()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {timeout_s:g} s: {what}")
        time.sleep(_BETWEEN_LOOKS_S)
    return value
