"""Answers that stay good for a while."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_AT_MOST = 4096


class Remembered(Generic[K, V]):
    """Values by key, each until its time is over; the oldest go first where there are too many."""

    def __init__(self, clock: Callable[[], float], *, at_most: int = _AT_MOST) -> None:
        self._clock = clock
        self._at_most = at_most
        self._values: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The value, if it is still good."""
        known = self._values.get(key)
        if known is None or self._clock() >= known[0]:
            return None
        return known[1]

    def put(self, key: K, value: V, seconds: float) -> None:
        """Keep a value for that long."""
        self._values[key] = (self._clock() + seconds, value)
        self._values.move_to_end(key)
        while len(self._values) > self._at_most:
            self._values.popitem(last=False)
