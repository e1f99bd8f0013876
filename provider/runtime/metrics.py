"""What a process counts about its work, in Prometheus' text format.

https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4. Counting costs a few additions a reconcile,
whether or not anybody asks; what the figures mean to an operator is in docs/operations.md.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4"
_BUCKETS_S = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0)

Labels = Mapping[str, str]


class Metrics:
    """One per process."""

    def __init__(self) -> None:
        self._outcomes: Counter[tuple[str, str]] = Counter()
        self._buckets: dict[str, list[int]] = defaultdict(lambda: [0] * (len(_BUCKETS_S) + 1))
        self._seconds: dict[str, float] = defaultdict(float)
        self._depths: dict[str, Callable[[], int]] = {}

    def watch_queue(self, controller: str, depth: Callable[[], int]) -> None:
        """``depth`` tells how many keys wait for a worker of that controller."""
        self._depths[controller] = depth

    def reconciled(self, controller: str, outcome: str, took_s: float) -> None:
        """A reconcile ended: settled, requeued or failed."""
        self._outcomes[controller, outcome] += 1
        self._buckets[controller][bisect_left(_BUCKETS_S, took_s)] += 1
        self._seconds[controller] += took_s

    def exposition(self, states: Mapping[str, bool]) -> str:
        """All figures as they are. ``states``: the ways in which the process may be ready, and which of them hold."""
        return "".join(
            [
                *_family("metalplane_state", "gauge", "Whether the process is in that state.", _states(states)),
                *_family("metalplane_queue_depth", "gauge", "Keys that wait for a worker.", self._queues()),
                *_family("metalplane_reconciles_total", "counter", "Reconciles by how they ended.", self._ends()),
                *_family("metalplane_reconcile_seconds", "histogram", "How long reconciles took.", self._times()),
            ]
        )

    def _queues(self) -> Iterable[tuple[str, Labels, float]]:
        for controller, depth in sorted(self._depths.items()):
            yield "", {"controller": controller}, depth()

    def _ends(self) -> Iterable[tuple[str, Labels, float]]:
        for (controller, outcome), count in sorted(self._outcomes.items()):
            yield "", {"controller": controller, "outcome": outcome}, count

    def _times(self) -> Iterable[tuple[str, Labels, float]]:
        for controller, counts in sorted(self._buckets.items()):
            below = 0
            for bound, count in zip((*map(str, _BUCKETS_S), "+Inf"), counts, strict=True):
                below += count
                yield "_bucket", {"controller": controller, "le": bound}, below
            yield "_sum", {"controller": controller}, self._seconds[controller]
            yield "_count", {"controller": controller}, below


def _states(states: Mapping[str, bool]) -> Iterable[tuple[str, Labels, float]]:
    for state, holds in states.items():
        yield "", {"state": state}, int(holds)


def _family(name: str, type_: str, text: str, samples: Iterable[tuple[str, Labels, float]]) -> Iterable[str]:
    yield f"# HELP {name} {text}\n# TYPE {name} {type_}\n"
    for suffix, labels, value in samples:
        told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        yield f"{name}{suffix}{{{told}}} {value}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
