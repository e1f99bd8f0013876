"""A machine's life in a model of the world: it comes up, goes in order, and survives a kill before any step."""

import base64
from collections.abc import Awaitable, Callable, Iterable

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from provider.api.resources import (
    BAREMETALMACHINE,
    EMULATEDDISK,
    EMULATEDNIC,
    MACHINEIMAGE,
    NAMESPACE,
    PERSISTENTVOLUME,
    PERSISTENTVOLUMECLAIM,
    POWERSTATE,
    SECRET,
    SERVER,
    SERVERCLAIM,
    VIRTUALDISK,
    VIRTUALNIC,
    VOLUME,
    VOLUMEATTACHMENT,
    ResourceType,
)
from provider.bmc.power import PowerReading
from provider.runtime.controller import Json
from tests.unit.controllers.rig import ControlPlane, Killed, claim
from tests.unit.provider_csi.storage import image

GOING = {"deletionTimestamp": "2026-01-01T11:00:00Z"}
OF_A_MACHINE: tuple[ResourceType, ...] = (
    BAREMETALMACHINE,
    SERVERCLAIM,
    VOLUME,
    VIRTUALDISK,
    VIRTUALNIC,
    POWERSTATE,
    EMULATEDDISK,
    EMULATEDNIC,
    VOLUMEATTACHMENT,
    PERSISTENTVOLUMECLAIM,
    PERSISTENTVOLUME,
)


async def running(**known: bool) -> ControlPlane:
    plane = ControlPlane()
    plane.cluster.have(BAREMETALMACHINE, claim(**known))
    await plane.settle()
    return plane


async def delete(plane: ControlPlane) -> None:
    machine = plane.machine()
    assert machine is not None
    gone = machine["metadata"] | GOING
    plane.cluster.have(BAREMETALMACHINE, machine | {"metadata": gone})


def left(plane: ControlPlane) -> dict[str, int]:
    counted = {kind.kind: len(plane.all(kind)) for kind in OF_A_MACHINE}
    seeds = [secret for secret in plane.all(SECRET) if secret["metadata"]["name"].startswith("seed-")]
    return {kind: count for kind, count in (counted | {"seed Secret": len(seeds)}).items() if count}


def status(plane: ControlPlane) -> Json:
    machine = plane.machine()
    assert machine is not None
    told: Json = machine["status"]
    return told


def conditions(plane: ControlPlane) -> dict[str, str]:
    return {each["type"]: each["status"] for each in status(plane)["conditions"]}


def free(plane: ControlPlane) -> bool:
    (server,) = plane.all(SERVER)
    return server["spec"].get("claimRef") is None


@pytest.mark.parametrize(
    ("strategy", "by_hand", "rests", "told"),
    [
        ("Always", PowerReading.OFF, PowerReading.ON, "Running"),
        ("Halted", PowerReading.ON, PowerReading.OFF, "Stopped"),
    ],
)
async def test_the_power_is_read_at_once_when_the_disks_tell_that_somebody_switched_it(
    strategy: str, by_hand: PowerReading, rests: PowerReading, told: str
) -> None:
    plane = await running()
    machine = plane.machine()
    assert machine is not None
    plane.cluster.have(BAREMETALMACHINE, machine | {"spec": machine["spec"] | {"runStrategy": strategy}})
    await plane.settle()
    commands = len(plane.bmc.commands)
    plane.bmc.power = by_hand
    # A reading of before is reused for as long as nobody says otherwise, and all of this takes no time.
    await plane.settle()
    assert plane.bmc.power is rests
    assert len(plane.bmc.commands) > commands
    assert status(plane)["printableStatus"] == told


async def test_a_claim_becomes_a_machine_that_runs() -> None:
    plane = await running()
    assert status(plane)["printableStatus"] == "Running"
    assert status(plane)["addresses"] == ["10.20.0.2/24"]
    assert [each["step"] for each in status(plane)["timeline"]][-1] == "Answering"
    assert conditions(plane) == {"Ready": "True", "Synced": "True", "Progressing": "False"}
    assert plane.bmc.commands == ["On"]


async def test_a_machine_at_rest_is_looked_at_without_a_single_write() -> None:
    plane = await running()
    plane.cluster.writes.clear()
    for _ in range(3):
        await plane.turn()
    assert plane.cluster.writes == []
    assert plane.bmc.commands == ["On"]


async def test_the_seed_of_a_running_machine_tells_of_a_nic_that_is_added() -> None:
    plane = await running()
    eth0 = {"name": "eth0", "network": "tenant-a"}
    for names in (["eth0"], ["eth0", "eth1"]):
        nics = [eth0 | {"name": name} for name in names]
        machine = plane.machine()
        assert machine is not None
        plane.cluster.have(BAREMETALMACHINE, machine | {"spec": machine["spec"] | {"networkInterfaces": nics}})
        await plane.settle()
        (seed,) = [secret for secret in plane.all(SECRET) if secret["metadata"]["name"].startswith("seed-")]
        network = yaml.safe_load(base64.b64decode(seed["data"]["network-config"]))
        assert list(network["ethernets"]) == names
        told = [address for nic in network["ethernets"].values() for address in nic["addresses"]]
        assert told == status(plane)["addresses"]
        assert conditions(plane)["Ready"] == "True"
    assert plane.bmc.commands == ["On"]


async def test_everything_goes_and_the_server_is_free() -> None:
    plane = await running()
    await delete(plane)
    await plane.settle()
    assert left(plane) == {}
    assert free(plane)
    assert plane.driver.volumes == set()
    assert plane.bmc.commands == ["On", "GracefulShutdown"]


async def test_what_is_asked_to_go_goes_in_order() -> None:
    plane = await running()
    plane.cluster.writes.clear()
    await delete(plane)
    await plane.settle()
    deleted = [kind for verb, kind, *_ in plane.cluster.writes if verb == "delete"]
    order = ["EmulatedDisk", "VolumeAttachment", "PersistentVolumeClaim", "PersistentVolume"]
    assert [kind for kind in dict.fromkeys(deleted) if kind in order] == order
    released = [write for write in plane.cluster.writes if write[1] == "Server"]
    assert [write[3] for write in released] == [{"spec": {"claimRef": None}}]
    assert plane.cluster.writes.index(released[0]) > max(
        number for number, write in enumerate(plane.cluster.writes) if write[1].startswith("Emulated")
    )


async def test_a_disk_that_is_kept_leaves_its_data_and_nothing_else() -> None:
    plane = await running(keep=True)
    await delete(plane)
    await plane.settle()
    assert left(plane) == {"PersistentVolumeClaim": 1, "PersistentVolume": 1}
    assert "metalplane.io/in-use" not in plane.all(PERSISTENTVOLUMECLAIM)[0]["metadata"].get("finalizers", [])
    assert free(plane)
    assert len(plane.driver.volumes) == 1


async def test_an_image_that_comes_later_is_taken_up() -> None:
    plane = ControlPlane()
    later = claim()
    later["spec"]["disks"][0]["image"] = "tomorrow"
    plane.cluster.have(BAREMETALMACHINE, later)
    await plane.settle()
    assert (status(plane)["printableStatus"], left(plane)) == ("Pending", {"BareMetalMachine": 1})
    found = image()
    found["metadata"] |= {"name": "tomorrow", "uid": "uid-tomorrow"}
    plane.cluster.have(MACHINEIMAGE, found)
    await plane.settle()
    assert status(plane)["printableStatus"] == "Running"


async def test_a_machine_that_is_halted_keeps_all_and_starts_again_from_the_same_disk() -> None:
    plane = await running()
    before = left(plane)
    for strategy, word, power in (("Halted", "Stopped", PowerReading.OFF), ("Always", "Running", PowerReading.ON)):
        machine = plane.machine()
        assert machine is not None
        plane.cluster.have(BAREMETALMACHINE, machine | {"spec": machine["spec"] | {"runStrategy": strategy}})
        await plane.settle()
        assert (status(plane)["printableStatus"], plane.bmc.power) == (word, power)
        assert conditions(plane)["Ready"] == "True"
        assert left(plane) == before
    assert plane.bmc.commands == ["On", "GracefulShutdown", "On"]


async def test_a_server_that_was_switched_off_by_hand_is_switched_on_again() -> None:
    plane = await running()
    plane.bmc.power = PowerReading.OFF
    plane.restart()
    await plane.settle()
    assert (plane.bmc.power, status(plane)["printableStatus"]) == (PowerReading.ON, "Running")


async def test_losing_every_status_takes_nothing_away() -> None:
    plane = await running()
    before = left(plane)
    for kind in (SERVERCLAIM, VOLUME, VIRTUALDISK, VIRTUALNIC, POWERSTATE, BAREMETALMACHINE):
        for obj in plane.all(kind):
            plane.cluster.have(kind, {key: value for key, value in obj.items() if key != "status"})
    plane.cluster.writes.clear()
    await plane.settle()
    assert left(plane) == before
    assert [write for write in plane.cluster.writes if write[0] == "delete"] == []
    assert plane.bmc.commands == ["On"]
    assert status(plane)["printableStatus"] == "Running"


async def test_a_machine_without_a_server_is_unschedulable_and_goes_without_leaving_anything() -> None:
    plane = ControlPlane()
    (server,) = plane.all(SERVER)
    plane.cluster.have(SERVER, server | {"spec": server["spec"] | {"unschedulable": True}})
    plane.cluster.have(BAREMETALMACHINE, claim())
    await plane.settle()
    assert status(plane)["printableStatus"] == "Unschedulable"
    await delete(plane)
    await plane.settle()
    assert left(plane) == {}
    assert plane.bmc.commands == []


async def test_a_namespace_ends_in_whatever_order_its_objects_are_deleted() -> None:
    plane = await running()
    plane.cluster.writes.clear()
    namespace = plane.cluster.now(NAMESPACE, "tenant-a") or {}
    plane.cluster.have(NAMESPACE, namespace | {"metadata": namespace["metadata"] | GOING})
    for kind in reversed(OF_A_MACHINE):
        for obj in plane.all(kind):
            if obj["metadata"].get("namespace") == "tenant-a":
                plane.cluster.have(kind, obj | {"metadata": obj["metadata"] | GOING})
                await plane.turn()
    await plane.settle()
    assert left(plane) == {}
    assert free(plane)
    made = {write[1] for write in plane.cluster.writes if write[0] == "create"}
    assert made == set(), "nothing new is made on the delete path"
    assert plane.bmc.commands == ["On", "GracefulShutdown"]


async def test_children_that_are_deleted_by_hand_go_in_order_and_the_machine_comes_back() -> None:
    plane = await running()
    for kind in (POWERSTATE, VIRTUALNIC, VIRTUALDISK, VOLUME):
        for obj in plane.all(kind):
            plane.cluster.have(kind, obj | {"metadata": obj["metadata"] | GOING})
    await plane.settle()
    assert status(plane)["printableStatus"] == "Running"
    assert conditions(plane)["Ready"] == "True"
    assert plane.bmc.commands == ["On", "GracefulShutdown", "On"]


async def test_a_claim_that_is_deleted_by_hand_keeps_its_server_while_the_machine_is_there() -> None:
    plane = await running()
    (held,) = plane.all(SERVERCLAIM)
    plane.cluster.have(SERVERCLAIM, held | {"metadata": held["metadata"] | GOING})
    await plane.settle()
    assert (status(plane)["printableStatus"], plane.bmc.commands, free(plane)) == ("Running", ["On"], False)
    await delete(plane)
    await plane.settle()
    assert left(plane) == {}
    assert free(plane)


async def life(*kills: int) -> ControlPlane:
    """A machine made and deleted, by a process that is killed before each of these changes."""
    plane = ControlPlane()
    plane.cluster.have(BAREMETALMACHINE, claim())
    await _settle_between_kills(plane, kills)
    assert status(plane)["printableStatus"] == "Running"
    assert (len(plane.all(VOLUMEATTACHMENT)), len(plane.driver.volumes)) == (1, 1)
    await delete(plane)
    await _settle_between_kills(plane, kills)
    await delete_image(plane)
    await _settle_between_kills(plane, kills)
    return plane


async def delete_image(plane: ControlPlane) -> None:
    found = plane.cluster.now(MACHINEIMAGE, "tiny") or {}
    plane.cluster.have(MACHINEIMAGE, found | {"metadata": found["metadata"] | GOING})


async def _settle_between_kills(plane: ControlPlane, kills: Iterable[int]) -> None:
    while True:
        plane.fuse.ends_at = min((kill for kill in kills if kill > plane.fuse.burnt), default=None)
        try:
            return await plane.settle()
        except Killed:
            plane.restart()


def nothing_is_left(plane: ControlPlane) -> bool:
    leaked = left(plane) or plane.driver.volumes or plane.bmc.power is PowerReading.ON
    of_the_image = plane.driver.snapshots or plane.all(MACHINEIMAGE)
    return free(plane) and not leaked and not of_the_image


async def test_a_life_has_the_same_end_whatever_step_the_process_is_killed_before() -> None:
    steps = (await life()).fuse.burnt
    assert steps > 50
    for step in range(1, steps + 1):
        assert nothing_is_left(await life(step)), f"killed before step {step}"


async def a_namespace_goes(plane: ControlPlane) -> None:
    namespace = plane.cluster.now(NAMESPACE, "tenant-a") or {}
    plane.cluster.have(NAMESPACE, namespace | {"metadata": namespace["metadata"] | GOING})
    for kind in OF_A_MACHINE:
        for obj in plane.all(kind):
            if obj["metadata"].get("namespace") == "tenant-a":
                plane.cluster.have(kind, obj | {"metadata": obj["metadata"] | GOING})


async def test_an_image_that_is_deleted_while_its_machine_is_made_leaves_no_snapshot_with_it() -> None:
    steps = (await running()).fuse.burnt
    for step in range(1, steps + 1):
        plane = ControlPlane()
        plane.cluster.have(BAREMETALMACHINE, claim())
        plane.fuse.ends_at = step
        with pytest.raises(Killed):
            await plane.settle()
        await delete_image(plane)
        plane.bmc.follow()
        plane.restart()
        await plane.settle()
        await delete(plane)
        await plane.settle()
        assert nothing_is_left(plane), f"killed before step {step}: {left(plane)} {plane.driver.snapshots}"


@pytest.mark.parametrize("end", [delete, a_namespace_goes])
async def test_a_life_that_ends_while_the_killed_process_is_away_leaves_nothing(
    end: Callable[[ControlPlane], Awaitable[None]],
) -> None:
    steps = (await running()).fuse.burnt
    for step in range(1, steps + 1):
        plane = ControlPlane()
        plane.cluster.have(BAREMETALMACHINE, claim())
        plane.fuse.ends_at = step
        with pytest.raises(Killed):
            await plane.settle()
        await end(plane)
        plane.bmc.follow()
        plane.restart()
        await plane.settle()
        await delete_image(plane)
        await plane.settle()
        assert nothing_is_left(plane), f"killed before step {step}: {left(plane)} {plane.driver.volumes}"


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 150), max_size=12))
async def test_a_life_has_the_same_end_however_often_the_process_is_killed(kills: list[int]) -> None:
    assert nothing_is_left(await life(*kills))
