"""Figures that a Prometheus server reads: counted where reconciles end, cumulative where they must be."""

import asyncio
from collections.abc import Sequence

from prometheus_client.parser import text_string_to_metric_families

from provider.api.resources import NODE
from provider.runtime.controller import Key, Outcome, RequeueAfter, Settled, Watch
from provider.runtime.dispatch import Dispatcher
from provider.runtime.errors import Unavailable
from provider.runtime.metrics import Metrics
from tests.unit.runtime.model_cluster import ModelCluster


class Thrice:
    """Fails, asks to be called again, and is content."""

    name = "thrice"
    resource = NODE
    workers = 1
    watches: Sequence[Watch] = ()

    def __init__(self) -> None:
        self.content = asyncio.Event()
        self._outcomes: list[Outcome | Exception] = [Unavailable("read", subject="it"), RequeueAfter(0), Settled()]

    async def reconcile(self, key: Key) -> Outcome:
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        if isinstance(outcome, Settled):
            self.content.set()
        return outcome


async def test_each_reconcile_is_counted_by_how_it_ended() -> None:
    cluster = ModelCluster(NODE)
    runtime, controller = cluster.runtime(), Thrice()
    dispatcher = Dispatcher([controller], runtime)
    cluster.have(NODE, {"metadata": {"name": "n", "uid": "u"}})
    assert read(runtime.metrics, "metalplane_queue_depth", controller="thrice") == 1
    work = asyncio.create_task(dispatcher.run())
    async with asyncio.timeout(10):
        await controller.content.wait()
    dispatcher.close()
    await work
    for outcome in ("failed", "requeued", "settled"):
        assert read(runtime.metrics, "metalplane_reconciles_total", controller="thrice", outcome=outcome) == 1
    assert read(runtime.metrics, "metalplane_reconcile_seconds_count", controller="thrice") == 3
    assert read(runtime.metrics, "metalplane_queue_depth", controller="thrice") == 0


def test_a_state_that_no_longer_holds_is_told_as_zero() -> None:
    metrics = Metrics()
    for holds in (True, False):
        assert (
            f'metalplane_state{{state="standing by"}} {float(holds)}'
            in metrics.exposition({"standing by": holds}).decode()
        )


def read(metrics: Metrics, name: str, **labels: str) -> float:
    """One sample, as a Prometheus server reads it."""
    families = text_string_to_metric_families(metrics.exposition({}).decode())
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    (value,) = [sample.value for sample in samples if sample.labels == labels]
    return float(value)
