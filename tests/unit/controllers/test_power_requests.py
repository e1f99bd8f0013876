"""Requests of power, and power that others switch, through the controllers of a whole control plane."""

import pytest

from provider.api.names import ANNOTATION_FINISHED_POWER_REQUEST
from provider.api.resources import BAREMETALMACHINE, POWERSTATE
from provider.bmc.power import PowerReading
from provider.runtime.controller import Json
from tests.unit.controllers.rig import ControlPlane, Killed, claim
from tests.unit.planning.model_api import merged

STRATEGIES = ("Always", "Manual")
OFF_AND_ON = {"GracefulRestart": ["GracefulShutdown", "On"], "PowerCycle": ["ForceOff", "On"]}


async def running(strategy: str = "Always") -> ControlPlane:
    """A machine that runs: because it is to, or because it was started."""
    plane = ControlPlane()
    plane.cluster.have(BAREMETALMACHINE, merged(claim(), {"spec": {"runStrategy": strategy}}))
    await plane.settle()
    if strategy == "Manual":
        ask(plane, "On", "r0")
        await plane.settle()
    assert plane.bmc.commands == ["On"]
    plane.bmc.commands.clear()
    return plane


def power(plane: ControlPlane) -> Json:
    (found,) = plane.all(POWERSTATE)
    return found


def ask(plane: ControlPlane, action: str, id_: str = "r1") -> None:
    """What bm-api writes."""
    request = {"id": id_, "action": action, "requestedAt": "2026-01-01T11:00:00Z"}
    plane.cluster.have(POWERSTATE, merged(power(plane), {"spec": {"forProvider": {"request": request}}}))


def phase(plane: ControlPlane) -> str:
    found: str = power(plane)["status"]["atProvider"]["request"]["phase"]
    return found


def finished(plane: ControlPlane) -> str | None:
    found: str | None = power(plane)["metadata"]["annotations"].get(ANNOTATION_FINISHED_POWER_REQUEST)
    return found


async def settle_though_killed(plane: ControlPlane) -> None:
    try:
        await plane.settle()
    except Killed:
        plane.restart()
        await plane.settle()


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("action", OFF_AND_ON)
async def test_a_restart_has_the_same_end_whatever_step_the_process_is_killed_before(
    action: str, strategy: str
) -> None:
    whole = await running(strategy)
    before = whole.fuse.burnt
    ask(whole, action)
    await whole.settle()
    steps = whole.fuse.burnt - before
    assert steps >= 5
    for step in (0, *range(1, steps + 1)):
        plane = await running(strategy)
        plane.fuse.ends_at = plane.fuse.burnt + step if step else None
        ask(plane, action)
        await settle_though_killed(plane)
        assert (phase(plane), finished(plane)) == ("Succeeded", "r1"), f"killed before step {step}"
        assert plane.bmc.power is PowerReading.ON
        commands = list(dict.fromkeys(plane.bmc.commands))
        assert (commands, len(plane.bmc.commands)) == (OFF_AND_ON[action], 2), f"killed before step {step}"


async def test_a_reset_is_one_command() -> None:
    plane = await running()
    ask(plane, "ForceRestart")
    await plane.settle()
    assert (phase(plane), finished(plane), plane.bmc.commands) == ("Succeeded", "r1", ["ForceRestart"])


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_finished_request_is_not_carried_out_again_when_every_status_is_lost(strategy: str) -> None:
    plane = await running(strategy)
    ask(plane, "PowerCycle")
    await plane.settle()
    plane.bmc.commands.clear()
    plane.cluster.have(POWERSTATE, {key: value for key, value in power(plane).items() if key != "status"})
    plane.restart()
    await plane.settle()
    assert plane.bmc.commands == []
    ask(plane, "PowerCycle", "r2")
    await plane.settle()
    assert (phase(plane), finished(plane), plane.bmc.commands) == ("Succeeded", "r2", ["ForceOff", "On"])


async def test_a_machine_that_is_halted_in_the_middle_of_its_restart_stays_off() -> None:
    plane = await running()
    ask(plane, "GracefulRestart")
    await plane.turn()
    machine = plane.machine()
    assert machine is not None
    plane.cluster.have(BAREMETALMACHINE, merged(machine, {"spec": {"runStrategy": "Halted"}}))
    await plane.turn()
    plane.restart()
    await plane.settle()
    assert finished(plane) == "r1"
    assert plane.bmc.power is PowerReading.OFF


async def stopped_from_within(strategy: str) -> ControlPlane:
    """The operating system shut down: the agent sees the disks let go, and nobody asked the BMC."""
    plane = await running(strategy)
    plane.bmc.power = PowerReading.OFF
    # A reading of before is reused for as long as nobody says otherwise, and all of this takes no time.
    await plane.settle()
    return plane


def printed(plane: ControlPlane) -> str:
    machine = plane.machine()
    assert machine is not None
    word: str = machine["status"]["printableStatus"]
    return word


async def test_a_machine_that_shut_down_from_within_is_started_again_and_that_is_told() -> None:
    plane = await stopped_from_within("Always")
    assert (plane.bmc.power, plane.bmc.commands, printed(plane)) == (PowerReading.ON, ["On"], "Running")
    found = "found Server server-1 Off, which is to be On: asked the BMC of Server server-1 for On"
    assert ("UpdatedExternalResource", found) in plane.told


async def test_a_machine_that_shut_down_from_within_stays_off_where_nobody_wants_it_on() -> None:
    plane = await stopped_from_within("Manual")
    assert (plane.bmc.power, plane.bmc.commands, printed(plane)) == (PowerReading.OFF, [], "Stopped")
    ask(plane, "On")
    await plane.settle()
    assert (plane.bmc.commands, phase(plane), printed(plane)) == (["On"], "Succeeded", "Running")
