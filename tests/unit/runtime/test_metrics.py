"""Figures that a Prometheus server reads: counted where reconciles end, cumulative where they must be."""

import asyncio
from collections.abc import Sequence

from provider.api.registry import NODE
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
    assert 'metalplane_queue_depth{controller="thrice"} 1\n' in runtime.metrics.exposition({})
    work = asyncio.create_task(dispatcher.run())
    async with asyncio.timeout(10):
        await controller.content.wait()
    dispatcher.close()
    await work
    figures = runtime.metrics.exposition({})
    for outcome in ("failed", "requeued", "settled"):
        assert f'metalplane_reconciles_total{{controller="thrice",outcome="{outcome}"}} 1\n' in figures
    assert 'metalplane_reconcile_seconds_count{controller="thrice"} 3\n' in figures
    assert 'metalplane_queue_depth{controller="thrice"} 0\n' in figures


def test_buckets_hold_all_that_took_no_longer() -> None:
    metrics = Metrics()
    for took_s in (0.001, 0.025, 0.3, 100.0):
        metrics.reconciled("c", "settled", took_s)
    lines = [line for line in metrics.exposition({}).splitlines() if line.startswith("metalplane_reconcile_seconds_")]
    assert lines == [
        'metalplane_reconcile_seconds_bucket{controller="c",le="0.005"} 1',
        'metalplane_reconcile_seconds_bucket{controller="c",le="0.025"} 2',
        'metalplane_reconcile_seconds_bucket{controller="c",le="0.1"} 2',
        'metalplane_reconcile_seconds_bucket{controller="c",le="0.5"} 3',
        'metalplane_reconcile_seconds_bucket{controller="c",le="2.5"} 3',
        'metalplane_reconcile_seconds_bucket{controller="c",le="10.0"} 3',
        'metalplane_reconcile_seconds_bucket{controller="c",le="60.0"} 3',
        'metalplane_reconcile_seconds_bucket{controller="c",le="+Inf"} 4',
        'metalplane_reconcile_seconds_sum{controller="c"} 100.326',
        'metalplane_reconcile_seconds_count{controller="c"} 4',
    ]


def test_what_stands_in_a_label_cannot_end_it() -> None:
    assert r'metalplane_state{state="a \"b\" \\ c"} 1' in Metrics().exposition({'a "b" \\ c': True})
