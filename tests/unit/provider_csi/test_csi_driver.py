"""A CSI driver's client: who no longer leads sends nothing, whatever its cache still says."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from provider.__main__ import _driver
from provider.csi.driver import Driver
from provider.runtime.errors import LeadershipLost
from provider.runtime.lease import Unopposed
from provider.runtime.tracing import Tracer
from tests.unit.runtime.model_cluster import ModelCluster


class Seat(Unopposed):
    """Leadership that a test takes away."""

    lost = False

    def check(self) -> None:
        if self.lost:
            raise LeadershipLost("write as leader without", subject="Lease system/leader")


class Stub:
    """The driver's end: remembers the methods that were called."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        async def call(*_: object, **__: object) -> Any:
            self.called.append(method)

        return call


@pytest.fixture
def stub() -> Stub:
    return Stub()


@pytest.fixture
def seat() -> Seat:
    return Seat()


@pytest.fixture
async def driver(stub: Stub, seat: Seat, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Driver]:
    made = Driver("lvol", "unix:/nonexistent", Tracer("test"), seat)
    monkeypatch.setattr(made, "_controller", stub)
    monkeypatch.setattr(made, "_identity", stub)
    yield made
    await made.close()


CALLS: dict[str, Callable[[Driver], Awaitable[object]]] = {
    "CreateVolume": lambda driver: driver.create_volume("pvc-1", 1, {}, block=True),
    "DeleteVolume": lambda driver: driver.delete_volume("handle"),
    "DeleteSnapshot": lambda driver: driver.delete_snapshot("handle"),
    "GetPluginInfo": lambda driver: driver.is_exclusive(),
    "ListVolumes": lambda driver: driver.list_volumes(),
    "ListSnapshots": lambda driver: driver.list_snapshots(),
    "ControllerExpandVolume": lambda driver: driver.expand_volume("handle", 2, block=True),
    "ControllerPublishVolume": lambda driver: driver.publish_volume("handle", "node", {}, block=True),
    "ControllerUnpublishVolume": lambda driver: driver.unpublish_volume("handle", "node"),
}


@pytest.mark.parametrize("method", CALLS)
async def test_who_has_lost_the_lease_calls_no_driver(driver: Driver, stub: Stub, seat: Seat, method: str) -> None:
    seat.lost = True
    with pytest.raises(LeadershipLost):
        await CALLS[method](driver)
    assert stub.called == []


async def test_who_leads_calls_the_driver(driver: Driver, stub: Stub) -> None:
    await CALLS["ControllerUnpublishVolume"](driver)
    assert stub.called == ["ControllerUnpublishVolume"]


async def test_a_driver_by_network_is_not_spoken_to_in_plain_text() -> None:
    runtime = ModelCluster().runtime()
    with pytest.raises(SystemExit, match="CSI driver lvol at storage:9000 is reached by network: give --csi-tls-dir"):
        _driver("lvol", "storage:9000", None, runtime)
    await _driver("lvol", "unix:/nonexistent", None, runtime).close()
