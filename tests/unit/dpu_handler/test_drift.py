"""One look every few seconds: it brings the devices when the DPU is another than before, and only then."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from dpu_handler.controllers.drift import watch_for_drift
from dpu_handler.execution.dpu import Dpu
from dpu_handler.southbound import ConnectionLost
from provider.runtime.tracing import RpcTracer, Tracer
from provider.runtime.tracing.span import Span
from tests.unit.dpu_handler.model_dpu import ModelDpu, ModelSpdk, attached

WITHIN_S = 5.0
PLUGGED = {"state": "plugged", "driver_bound": False}


class Looks(ModelSpdk):
    """Counts the looks, and can be unreachable."""

    count = 0
    reachable = True
    garbled = False
    requests: RpcTracer

    async def vhost_controllers(self) -> list[dict[str, Any]]:
        self.count += 1
        with self.requests.request("spdk", "vhost_get_controllers", self.count):
            return await self._vhost_controllers()

    async def _vhost_controllers(self) -> list[dict[str, Any]]:
        if not self.reachable:
            raise ConnectionLost("vhost_get_controllers", executed="no")
        return [{}] if self.garbled else await super().vhost_controllers()


class Ended(list[Span]):
    """Spans, in the order in which they ended."""

    def export(self, span: Span) -> None:
        self.append(span)

    def close(self) -> None:
        """Nothing is sent anywhere."""


class Watched:
    """A watch under way."""

    def __init__(self) -> None:
        self.model = ModelDpu()
        clients = self.model.clients()
        self.looks = Looks(self.model)
        self.changes = 0
        self.spans = Ended()
        tracer = Tracer("agent", exporter=self.spans)
        self.looks.requests = RpcTracer(tracer)
        dpu = Dpu(self.looks, clients.emulation, clients.ovsdb, clients.bridge, clients.vhost_dir)
        self.task = asyncio.create_task(watch_for_drift(dpu, self._changed, tracer, look_every_s=0.0))

    def _changed(self) -> None:
        self.changes += 1

    async def until(self, fact: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not fact():
                assert not self.task.done(), "the watch ended"
                await asyncio.sleep(0)

    async def more_looks(self, number: int = 5) -> None:
        seen = self.looks.count
        await self.until(lambda: self.looks.count >= seen + number)


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    watch = Watched()
    await watch.more_looks()
    yield watch
    watch.task.cancel()
    await asyncio.wait([watch.task])


async def test_the_first_look_brings_the_devices_and_the_same_again_does_not(watched: Watched) -> None:
    assert watched.changes == 1
    await watched.more_looks()
    assert watched.changes == 1


@pytest.mark.parametrize(
    "drift",
    [
        lambda model: model.nvme.update(one=attached("volume", "nqn.volume", "nqn.host")),
        lambda model: model.files.update(seed="/seeds/a.iso"),
        lambda model: model.vhost.update({"mp-1": None}),
        lambda model: model.functions.update({1: {"slot": 1, "kind": "virtio_blk", "backing": {}, **PLUGGED}}),
    ],
    ids=["attached", "opened", "dead controller", "plugged"],
)
async def test_each_kind_of_drift_brings_the_devices_once(watched: Watched, drift: Callable[[ModelDpu], None]) -> None:
    drift(watched.model)
    await watched.until(lambda: watched.changes == 2)
    await watched.more_looks()
    assert watched.changes == 2


async def test_a_target_that_was_restarted_empty_brings_the_devices(watched: Watched) -> None:
    watched.model.vhost["mp-1"] = None
    await watched.until(lambda: watched.changes == 2)
    watched.model.restart_target()
    await watched.until(lambda: watched.changes == 3)


async def test_a_server_that_lost_its_power_brings_the_devices(watched: Watched) -> None:
    watched.model.powered = True
    watched.model.functions[1] = {"slot": 1, "kind": "virtio_blk", "backing": {}, **PLUGGED}
    await watched.until(lambda: watched.changes == 2)
    watched.model.powered = False
    await watched.until(lambda: watched.changes == 3)


async def test_a_dpu_that_could_not_be_looked_at_brings_them_when_it_can(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.looks.reachable = False
    await watched.more_looks()
    assert watched.changes == 1
    assert len(caplog.records) == 1, "told once, not at every look"
    watched.looks.reachable = True
    await watched.until(lambda: watched.changes == 2)


async def test_a_reply_of_another_shape_is_told_with_its_traceback_and_looked_past(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.looks.garbled = True
    await watched.more_looks()
    (told,) = caplog.records
    assert told.exc_info is not None
    assert told.exc_info[0] is KeyError
    watched.looks.garbled = False
    await watched.until(lambda: watched.changes == 2)


async def test_each_look_is_a_trace_of_its_own_with_its_requests_in_it(watched: Watched) -> None:
    looks = {span.trace_id: span.span_id for span in watched.spans if span.name == "look for drift"}
    requests = [span for span in watched.spans if span.kind == "client"][: len(looks)]
    assert len(looks) >= 4
    assert [(span.trace_id, span.parent_span_id) for span in requests] == list(looks.items())
