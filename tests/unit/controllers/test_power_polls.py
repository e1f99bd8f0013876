"""How often a BMC is asked of a server that nothing happens to."""

from datetime import timedelta

import pytest

from provider.api.resources import BAREMETALMACHINE, EMULATEDDISK, LEASE, POWERSTATE
from provider.runtime.controller import Key, RequeueAfter
from tests.unit.controllers.rig import ControlPlane, claim
from tests.unit.planning.model_api import merged


async def running() -> ControlPlane:
    plane = ControlPlane()
    plane.cluster.have(BAREMETALMACHINE, claim())
    await plane.settle()
    return plane


async def next_poll_s(plane: ControlPlane) -> float:
    (power,) = plane.all(POWERSTATE)
    (controller,) = (each for each in plane.controllers if each.resource is POWERSTATE)
    outcome = await controller.reconcile(Key.of(power))
    assert isinstance(outcome, RequeueAfter)
    return outcome.delay_s


async def test_a_server_whose_agent_sees_it_run_is_polled_ten_times_as_seldom() -> None:
    plane = await running()
    assert await next_poll_s(plane) == pytest.approx(600, rel=0.25)


async def test_without_its_agent_it_is_polled_as_the_configuration_says() -> None:
    plane = await running()
    (lease,) = plane.all(LEASE)
    await plane.cluster.delete(LEASE, lease["metadata"]["name"], lease["metadata"]["namespace"])
    assert await next_poll_s(plane) == pytest.approx(60, rel=0.25)


async def test_a_server_that_lets_go_of_its_disk_is_read_until_its_power_goes_or_it_is_known_to_stay() -> None:
    plane = await running()
    for disk in plane.all(EMULATEDDISK):
        plane.cluster.have(EMULATEDDISK, merged(disk, {"status": {"sessions": 0}}))
    for _ in range(3):
        assert await next_poll_s(plane) < 10 - 2, "the agent looks every 2 s, and both are within 10 s"
        plane.now += timedelta(seconds=30)
    plane.now += timedelta(seconds=30)
    assert await next_poll_s(plane) == pytest.approx(60, rel=0.25)
