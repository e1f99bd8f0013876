"""What a process counts about its work, for Prometheus; what the figures mean to an operator is in docs/operations.md.

Counting costs a few additions a reconcile, whether or not anybody asks.
"""

from collections.abc import Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]

_BUCKETS_S = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0)


class Metrics:
    """One per process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._states = self._gauge("metalplane_state", "Whether the process is in that state.", "state")
        self._depths = self._gauge("metalplane_queue_depth", "Keys that wait for a worker.", "controller")
        self._ends = Counter(
            "metalplane_reconciles", "Reconciles by how they ended.", ["controller", "outcome"], registry=self._registry
        )
        self._times = Histogram(
            "metalplane_reconcile_seconds",
            "How long reconciles took.",
            ["controller"],
            buckets=_BUCKETS_S,
            registry=self._registry,
        )

    def watch_queue(self, controller: str, depth: Callable[[], int]) -> None:
        """``depth`` tells how many keys wait for a worker of that controller."""
        self._depths.labels(controller).set_function(depth)

    def reconciled(self, controller: str, outcome: str, took_s: float) -> None:
        """A reconcile ended: settled, requeued or failed."""
        self._ends.labels(controller, outcome).inc()
        self._times.labels(controller).observe(took_s)

    def exposition(self, states: Mapping[str, bool]) -> bytes:
        """All figures as they are. ``states``: the ways in which the process may be ready, and which of them hold."""
        for state, holds in states.items():
            self._states.labels(state).set(holds)
        return generate_latest(self._registry)

    def _gauge(self, name: str, text: str, label: str) -> Gauge:
        return Gauge(name, text, [label], registry=self._registry)
