"""Devices that a machine has until its next stop, through the controllers of a whole control plane."""

import json
from collections.abc import Callable

import pytest

from provider.api.names import ANNOTATION_EPHEMERAL_DEVICES, ANNOTATION_RUN, LABEL_DISK, LABEL_NIC
from provider.api.resources import (
    BAREMETALMACHINE,
    PERSISTENTVOLUME,
    POWERSTATE,
    VIRTUALDISK,
    VIRTUALNIC,
)
from provider.bmc.power import PowerReading
from provider.runtime.controller import Json
from tests.unit.controllers.rig import ControlPlane, Killed, claim
from tests.unit.planning.model_api import merged

DEVICES: Json = {
    "run": "r1",
    "disks": [{"name": "scratch", "size": "1Gi"}],
    "networkInterfaces": [{"name": "eth1", "network": "tenant-a"}],
}


async def running(strategy: str = "Always") -> ControlPlane:
    """A machine that runs and has been given a disk and an interface for this run, as bm-api does it."""
    plane = ControlPlane()
    plane.cluster.have(BAREMETALMACHINE, merged(claim(), {"spec": {"runStrategy": strategy}}))
    await plane.settle()
    if strategy == "Manual":
        ask(plane, "On", "q0")
        await plane.settle()
    plane.cluster.have(POWERSTATE, merged(power(plane), {"metadata": {"annotations": {ANNOTATION_RUN: "r1"}}}))
    edit(plane, {"metadata": {"annotations": {ANNOTATION_EPHEMERAL_DEVICES: json.dumps(DEVICES)}}})
    await plane.settle()
    assert passing(plane) == {"scratch", "eth1"}
    assert machine(plane)["status"]["printableStatus"] == "Running"
    plane.bmc.commands.clear()
    return plane


def machine(plane: ControlPlane) -> Json:
    found = plane.machine()
    assert found is not None
    return found


def power(plane: ControlPlane) -> Json:
    (found,) = plane.all(POWERSTATE)
    return found


def edit(plane: ControlPlane, patch: Json) -> None:
    plane.cluster.have(BAREMETALMACHINE, merged(machine(plane), patch))


def passing(plane: ControlPlane) -> set[str]:
    """Names of the devices that are there and that the spec does not have."""
    spec = machine(plane)["spec"]
    named = {each["name"] for each in (*spec["disks"], *spec["networkInterfaces"])}
    disks = {each["metadata"]["labels"].get(LABEL_DISK) for each in plane.all(VIRTUALDISK)}
    nics = {each["metadata"]["labels"].get(LABEL_NIC) for each in plane.all(VIRTUALNIC)}
    return {name for name in disks | nics if name is not None} - named


def halt(plane: ControlPlane) -> None:
    edit(plane, {"spec": {"runStrategy": "Halted"}})


def ask(plane: ControlPlane, action: str, id_: str = "q1") -> None:
    request = {"id": id_, "action": action, "requestedAt": "2026-01-01T11:00:00Z"}
    plane.cluster.have(POWERSTATE, merged(power(plane), {"spec": {"forProvider": {"request": request}}}))


def restart(plane: ControlPlane) -> None:
    ask(plane, "GracefulRestart")


def shut_down_from_within(plane: ControlPlane) -> None:
    plane.bmc.power = PowerReading.OFF


STOPS = {"halt": halt, "restart": restart, "shut down from within": shut_down_from_within}


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
async def test_the_stop_drops_them_and_the_next_start_never_sees_them(stop: Callable[[ControlPlane], None]) -> None:
    plane = await running()
    volumes = len(plane.all(PERSISTENTVOLUME))
    stop(plane)
    # That no start comes before they are gone is one of the things that the rig checks at every moment.
    await plane.settle()
    assert passing(plane) == set()
    assert ANNOTATION_RUN not in power(plane)["metadata"]["annotations"]
    assert len(plane.all(PERSISTENTVOLUME)) == volumes - 1
    edit(plane, {"spec": {"runStrategy": "Always"}})
    await plane.settle()
    assert passing(plane) == set()
    assert machine(plane)["status"]["printableStatus"] == "Running"


async def test_whoever_is_killed_before_whatever_step_of_a_restart_they_are_dropped_once() -> None:
    whole = await running()
    before = whole.fuse.burnt
    restart(whole)
    await whole.settle()
    steps = whole.fuse.burnt - before
    assert steps >= 8
    for step in range(1, steps + 1):
        plane = await running()
        plane.fuse.ends_at = plane.fuse.burnt + step
        restart(plane)
        try:
            await plane.settle()
        except Killed:
            plane.restart()
            await plane.settle()
        assert passing(plane) == set(), f"killed before step {step}"
        assert plane.bmc.power is PowerReading.ON
        assert machine(plane)["status"]["printableStatus"] == "Running"


async def test_a_lost_status_neither_drops_nor_resurrects_them() -> None:
    plane = await running()
    lose_every_status(plane)
    await plane.settle()
    assert passing(plane) == {"scratch", "eth1"}
    halt(plane)
    await plane.settle()
    lose_every_status(plane)
    edit(plane, {"spec": {"runStrategy": "Always"}})
    await plane.settle()
    assert passing(plane) == set()


async def test_one_whose_stop_comes_while_the_status_is_lost_is_dropped_too() -> None:
    plane = await running()
    lose_every_status(plane)
    shut_down_from_within(plane)
    await plane.settle()
    assert passing(plane) == set()
    assert plane.bmc.power is PowerReading.ON


async def test_a_reset_drops_nothing() -> None:
    plane = await running()
    ask(plane, "ForceRestart")
    await plane.settle()
    assert plane.bmc.commands == ["ForceRestart"]
    assert passing(plane) == {"scratch", "eth1"}


async def test_a_manual_machine_that_is_off_has_lost_them() -> None:
    plane = await running("Manual")
    shut_down_from_within(plane)
    await plane.settle()
    assert (plane.bmc.power, passing(plane)) == (PowerReading.OFF, set())


def lose_every_status(plane: ControlPlane) -> None:
    for kind in (BAREMETALMACHINE, POWERSTATE, VIRTUALDISK, VIRTUALNIC):
        for each in plane.all(kind):
            plane.cluster.have(kind, {key: value for key, value in each.items() if key != "status"})
    plane.restart()
