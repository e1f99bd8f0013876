"""A disk's plan, carried out by the real executor on a model of the DPU: it ends, it bears repeats and breaks, and it
does no harm. The model refuses loudly what a real target would do to a user's data (``model_dpu.Harm``).
"""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpu_handler.execution.carrying import carry_out
from dpu_handler.execution.observation import observe_disks
from dpu_handler.planning import disk as planning
from dpu_handler.planning.disk import Disk, LocalVolume, RemoteVolume, SeedFile
from dpu_handler.planning.steps import (
    AttachNvme,
    CloseFile,
    CreateController,
    DeleteController,
    DetachNvme,
    DisableNvme,
    EnableNvme,
    OpenFile,
    Plan,
    PlugDisk,
    Unplug,
)
from dpu_handler.southbound import Malformed, RpcRefused
from tests.unit.dpu_handler.model_dpu import VHOST_DIR, Fault, ModelDpu, attached
from tests.unit.dpu_handler.rounds import Rounds, faults

VOLUME = "0b5a3c54-93f1-4d9e-8a61-0c2f6f1d7e10"
SUBSYSTEM = f"nqn.2026-01.io.metalplane:volume:{VOLUME}"
HOST, OLDER_HOST = "nqn.2026-01.io.metalplane:server:u.g2", "nqn.2026-01.io.metalplane:server:u.g1"
NEIGHBOUR = "mp-neighbour"
REMOTE = RemoteVolume(VOLUME, "10.0.0.1", "4420", SUBSYSTEM, HOST)


def disk_on(backing: planning.Backing) -> Disk:
    return Disk("mp-1", str(VHOST_DIR / "mp-1"), 1, 1, isinstance(backing, SeedFile), backing)


REMOTE_DISK = disk_on(REMOTE)
DISKS = {
    "remote": REMOTE_DISK,
    "local": disk_on(LocalVolume(VOLUME)),
    "seed": disk_on(SeedFile("seed-1", "/seeds/a.iso")),
}


def rounds(disk: Disk) -> Rounds:
    return Rounds(observe_disks, lambda seen: planning.plan(disk, seen), lambda seen: planning.undo(disk, seen))


def dpu_with_neighbour(disk: Disk, *, powered: bool = False) -> ModelDpu:
    """A DPU that already shows another machine's disk in slot 8; the storage lets our newest generation in."""
    model = ModelDpu(exports={SUBSYSTEM: (VOLUME, {HOST})}, powered=powered)
    if isinstance(disk.backing, LocalVolume):
        model.lvols.add(VOLUME)
    model.nvme["other"] = attached("another-volume", "nqn.other", HOST)
    model.vhost[NEIGHBOUR] = "othern1"
    show(model, NEIGHBOUR, 8)
    return model


def show(model: ModelDpu, controller: str, slot: int) -> None:
    backing = {"vhost_socket": str(VHOST_DIR / controller)}
    plugged = {"state": "plugged", "driver_bound": False}
    model.functions[slot] = {"slot": slot, "kind": "virtio_blk", "backing": backing, "boot_index": 1} | plugged


def is_served(model: ModelDpu, disk: Disk) -> bool:
    if isinstance(disk.backing, RemoteVolume):
        assert model.nvme[disk.backing.controller]["hostnqn"] == disk.backing.hostnqn
    bdev = model.vhost[disk.controller]
    return bdev in model.bdevs() and model.functions[disk.slot]["backing"] == {"vhost_socket": disk.vhost_socket}


def kinds(plan: Plan) -> list[list[type]]:
    return [[type(step) for step in stage] for stage in plan]


@pytest.fixture(params=list(DISKS))
def disk(request: pytest.FixtureRequest) -> Disk:
    return DISKS[request.param]


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [("remote", [AttachNvme], [[DisableNvme], [DetachNvme]]), ("seed", [OpenFile], [[CloseFile]]), ("local", None, [])],
)
async def test_a_disk_is_built_from_below_and_taken_away_from_above(
    name: str, first: list[type] | None, last: list[list[type]]
) -> None:
    disk = DISKS[name]
    model = dpu_with_neighbour(disk)
    made = await rounds(disk).planned(model)
    assert kinds(made) == [*([first] if first else []), [CreateController], [PlugDisk]]
    await carry_out(model.clients(), made)
    undone = planning.undo(disk, await observe_disks(model.clients()))
    assert kinds(undone) == [[Unplug], [DeleteController], *last]


async def test_once_carried_out_the_next_plan_is_empty(disk: Disk) -> None:
    model = dpu_with_neighbour(disk)
    assert await rounds(disk).make(model) == 1
    assert is_served(model, disk)


async def test_each_step_again_changes_nothing(disk: Disk) -> None:
    model = dpu_with_neighbour(disk)
    for decide in (rounds(disk).plan, rounds(disk).undo):
        for stage in decide(await observe_disks(model.clients())):
            await carry_out(model.clients(), (stage,))
            once = model.snapshot()
            await rounds(disk).attempt(model, lambda _, stage=stage: (stage,))  # type: ignore[misc]
            assert model.snapshot() == once


async def test_the_undo_of_each_step_brings_back_what_was_before(disk: Disk) -> None:
    model = dpu_with_neighbour(disk)
    for (step,) in await rounds(disk).planned(model):
        assert isinstance(step, AttachNvme | OpenFile | CreateController | PlugDisk)
        before = model.snapshot()
        await carry_out(model.clients(), ((step,), (step.undo,)))
        assert model.snapshot() == before
        await carry_out(model.clients(), ((step,),))


@pytest.mark.parametrize("fault", faults(3), ids=str)
async def test_broken_at_any_step_it_is_finished_by_the_next_look(disk: Disk, fault: Fault) -> None:
    model = dpu_with_neighbour(disk)
    model.fault = fault
    await rounds(disk).make(model)
    assert is_served(model, disk)


@pytest.mark.parametrize("fault", faults(3), ids=str)
async def test_broken_at_any_step_it_can_be_unwound_and_unwound_again(disk: Disk, fault: Fault) -> None:
    model = dpu_with_neighbour(disk)
    before, model.fault = model.snapshot(), fault
    await rounds(disk).attempt(model, rounds(disk).plan)
    await rounds(disk).unwind(model)
    assert model.snapshot() == before
    assert await rounds(disk).unwind(model) == 0


@pytest.mark.parametrize("fault", faults(3), ids=str)
async def test_unwinding_that_breaks_is_finished_by_the_next_look(disk: Disk, fault: Fault) -> None:
    model = dpu_with_neighbour(disk)
    before = model.snapshot()
    await rounds(disk).make(model)
    model.fault = replace(fault, at=fault.at + len(model.changes))
    await rounds(disk).unwind(model)
    assert model.snapshot() == before


@st.composite
def left_behind(draw: st.DrawFn) -> ModelDpu:
    """What crashes, hands and fencing can leave of the remote disk, with the server on or off."""
    model = dpu_with_neighbour(REMOTE_DISK, powered=draw(st.booleans()))
    match draw(st.sampled_from(["nothing", "attached", "older generation", "without bdev", "held by another"])):
        case "attached":
            state = draw(st.sampled_from(["enabled", "disabled"]))
            model.nvme[REMOTE.controller] = attached(VOLUME, SUBSYSTEM, HOST, state=state)
        case "older generation":
            state = draw(st.sampled_from(["enabled", "reconnect_is_delayed", "failed", "disabled"]))
            model.nvme[REMOTE.controller] = attached(VOLUME, SUBSYSTEM, OLDER_HOST, state=state)
        case "without bdev":
            model.nvme[REMOTE.controller] = attached(VOLUME, SUBSYSTEM, HOST, shown=False)
        case "held by another":
            model.nvme["stray"] = attached(VOLUME, SUBSYSTEM, OLDER_HOST, state="reconnect_is_delayed")
        case _:
            pass
    shown = REMOTE.bdev in model.bdevs()
    match draw(st.sampled_from(["none", "dead", "alive"] if shown else ["none", "dead"])):
        case "dead":
            model.vhost[REMOTE_DISK.controller] = None
        case "alive":
            model.vhost[REMOTE_DISK.controller] = REMOTE.bdev
        case _:
            pass
    if draw(st.booleans()):
        show(model, REMOTE_DISK.controller, REMOTE_DISK.slot)
    return model


@given(left_behind())
def test_whatever_was_left_behind_the_disk_is_served_in_the_end(model: ModelDpu) -> None:
    asyncio.run(rounds(REMOTE_DISK).make(model))
    assert is_served(model, REMOTE_DISK)
    assert model.vhost[NEIGHBOUR] == "othern1"
    assert 8 in model.functions


@given(left_behind(), st.sampled_from([None, *faults(3)]))
def test_whatever_was_left_behind_all_of_it_can_be_unwound(model: ModelDpu, fault: Fault | None) -> None:
    model.fault = fault
    asyncio.run(rounds(REMOTE_DISK).unwind(model))
    assert list(model.vhost) == [NEIGHBOUR]
    assert list(model.functions) == [8]
    assert REMOTE.controller not in model.nvme


async def test_a_target_that_was_restarted_empty_is_filled_below_the_running_server(disk: Disk) -> None:
    model = dpu_with_neighbour(disk, powered=True)
    await rounds(disk).make(model)
    model.restart_target()
    await rounds(disk).make(model)
    assert is_served(model, disk)
    assert "emulation_unplug" not in model.changes, "the server keeps its disk and waits"


async def test_an_older_generation_is_let_go_before_the_new_one_is_attached() -> None:
    model = dpu_with_neighbour(REMOTE_DISK)
    model.nvme[REMOTE.controller] = attached(VOLUME, SUBSYSTEM, OLDER_HOST)
    await rounds(REMOTE_DISK).make(model)
    assert model.changes[:3] == [
        "bdev_nvme_disable_controller",
        "bdev_nvme_detach_controller",
        "bdev_nvme_attach_controller",
    ]


async def test_an_attach_that_shows_no_bdev_is_a_failure() -> None:
    model = dpu_with_neighbour(REMOTE_DISK)
    plan = await rounds(REMOTE_DISK).planned(model)
    model.nvme["stray"] = attached(VOLUME, SUBSYSTEM, OLDER_HOST)
    with pytest.raises(Malformed, match="older controller"):
        await carry_out(model.clients(), plan)
    await rounds(REMOTE_DISK).make(model)
    assert "stray" not in model.nvme


async def test_a_volume_that_is_served_under_another_name_is_never_served_twice() -> None:
    model = dpu_with_neighbour(REMOTE_DISK)
    model.nvme["stray"] = attached(VOLUME, SUBSYSTEM, OLDER_HOST)
    model.vhost["by-hand"] = "strayn1"
    for _ in range(3):
        with pytest.raises(Malformed, match="older controller"):
            await carry_out(model.clients(), await rounds(REMOTE_DISK).planned(model))
    assert model.vhost["by-hand"] == "strayn1"


async def test_a_controller_that_is_connecting_again_is_waited_for() -> None:
    model = dpu_with_neighbour(REMOTE_DISK)
    model.nvme[REMOTE.controller] = attached(VOLUME, SUBSYSTEM, HOST, shown=False, state="reconnect_is_delayed")
    await rounds(REMOTE_DISK).attempt(model, rounds(REMOTE_DISK).plan)
    assert not {"bdev_nvme_attach_controller", "bdev_nvme_detach_controller"} & set(model.changes)
    model.nvme[REMOTE.controller] = attached(VOLUME, SUBSYSTEM, HOST)
    await rounds(REMOTE_DISK).make(model)
    assert is_served(model, REMOTE_DISK)


@pytest.mark.parametrize("state", ["reconnect_is_delayed", "failed", "resetting"])
async def test_where_the_storage_cannot_be_reached_the_detach_goes_before_the_vhost_controller(state: str) -> None:
    model = dpu_with_neighbour(REMOTE_DISK)
    before = model.snapshot()
    await rounds(REMOTE_DISK).make(model)
    model.nvme[REMOTE.controller]["state"] = state
    undone = planning.undo(REMOTE_DISK, await observe_disks(model.clients()))
    assert kinds(undone) == [[Unplug], [DisableNvme], [DetachNvme], [DeleteController]]
    await rounds(REMOTE_DISK).unwind(model)
    assert model.snapshot() == before


@pytest.mark.parametrize("let_go_before", [False, True])
async def test_requests_to_a_silent_storage_are_cut_before_the_detach_once_the_server_is_gone(
    *, let_go_before: bool
) -> None:
    model = dpu_with_neighbour(REMOTE_DISK, powered=True)
    await rounds(REMOTE_DISK).make(model)
    first = planning.undo(REMOTE_DISK, await observe_disks(model.clients()))
    model.waiting.add(REMOTE_DISK.controller)
    model.powered = False
    if let_go_before:
        with pytest.raises(RpcRefused, match="still connected"):
            await carry_out(model.clients(), first)
    undone = planning.undo(REMOTE_DISK, await observe_disks(model.clients()))
    unplugged = [] if let_go_before else [[Unplug]]
    assert kinds(undone) == [*unplugged, [DisableNvme], [DetachNvme], [DeleteController]]
    await rounds(REMOTE_DISK).unwind(model)
    assert (model.waiting, set(model.nvme), set(model.vhost)) == (set(), {"other"}, {NEIGHBOUR})


async def test_a_server_that_lost_its_power_has_its_requests_cut_and_keeps_its_disk() -> None:
    model = dpu_with_neighbour(REMOTE_DISK, powered=True)
    await rounds(REMOTE_DISK).make(model)
    # The node counts as connected all the while, and with a server there, its requests are waited for.
    model.waiting.add(REMOTE_DISK.controller)
    model.silent = True
    assert await rounds(REMOTE_DISK).planned(model) == ()
    model.powered = False
    assert kinds(await rounds(REMOTE_DISK).planned(model)) == [[DisableNvme]]
    await rounds(REMOTE_DISK).attempt(model, rounds(REMOTE_DISK).plan)
    assert (model.waiting, kinds(await rounds(REMOTE_DISK).planned(model))) == (set(), [[EnableNvme]])
    await rounds(REMOTE_DISK).make(model)
    assert is_served(model, REMOTE_DISK)


async def test_requests_that_the_target_itself_holds_are_waited_for_before_it_connects_again() -> None:
    model = dpu_with_neighbour(REMOTE_DISK, powered=True)
    await rounds(REMOTE_DISK).make(model)
    model.waiting.add(REMOTE_DISK.controller)
    model.nvme[REMOTE.controller]["state"] = "reconnect_is_delayed"
    model.powered = False
    await rounds(REMOTE_DISK).attempt(model, rounds(REMOTE_DISK).plan)
    assert (model.waiting, model.nvme[REMOTE.controller]["state"]) == ({REMOTE_DISK.controller}, "disabled")
    assert kinds(await rounds(REMOTE_DISK).planned(model)) == [[DisableNvme]]
    model.waiting.clear()
    assert kinds(await rounds(REMOTE_DISK).planned(model)) == [[EnableNvme]]


async def test_a_controller_that_was_cut_and_no_more_is_connected_again() -> None:
    model = dpu_with_neighbour(REMOTE_DISK)
    await rounds(REMOTE_DISK).make(model)
    model.nvme[REMOTE.controller]["state"] = "disabled"
    assert kinds(await rounds(REMOTE_DISK).planned(model)) == [[EnableNvme]]
    await rounds(REMOTE_DISK).make(model)
    assert model.nvme[REMOTE.controller]["state"] == "enabled"


@pytest.mark.parametrize("fault", [None, *faults(5)], ids=str)
async def test_an_idle_disk_goes_while_its_storage_is_silent(fault: Fault | None) -> None:
    model = dpu_with_neighbour(REMOTE_DISK)
    before = model.snapshot()
    await rounds(REMOTE_DISK).make(model)
    model.silent = True
    model.fault = None if fault is None else replace(fault, at=fault.at + len(model.changes))
    await rounds(REMOTE_DISK).unwind(model)
    assert model.snapshot() == before


async def test_a_fenced_attach_is_detached_before_its_vhost_controller_goes_and_the_new_one_is_served() -> None:
    model = dpu_with_neighbour(REMOTE_DISK)
    model.nvme[REMOTE.controller] = attached(VOLUME, SUBSYSTEM, OLDER_HOST, state="reconnect_is_delayed")
    model.vhost[REMOTE_DISK.controller] = REMOTE.bdev
    await rounds(REMOTE_DISK).make(model)
    assert model.changes[:3] == [
        "bdev_nvme_disable_controller",
        "bdev_nvme_detach_controller",
        "vhost_delete_controller",
    ]
    assert is_served(model, REMOTE_DISK)


async def test_requests_to_storage_that_shut_the_host_out_are_failed_before_the_server_is_asked_to_let_go() -> None:
    model = dpu_with_neighbour(REMOTE_DISK, powered=True)
    await rounds(REMOTE_DISK).make(model)
    model.nvme[REMOTE.controller] = attached(VOLUME, SUBSYSTEM, OLDER_HOST, state="reconnect_is_delayed")
    planned = kinds(await rounds(REMOTE_DISK).planned(model))
    assert planned == [[DisableNvme], [DetachNvme], [Unplug], [DeleteController]]


async def test_a_server_that_clings_to_its_disk_keeps_all_that_is_below_it(disk: Disk) -> None:
    model = dpu_with_neighbour(disk, powered=True)
    await rounds(disk).make(model)
    model.clinging = {disk.slot}
    await rounds(disk).attempt(model, rounds(disk).undo)
    assert is_served(model, disk)
    assert model.functions[disk.slot]["state"] == "unplugging"
    model.powered = False
    await rounds(disk).unwind(model)
    assert list(model.vhost) == [NEIGHBOUR]


async def test_a_controller_with_a_session_is_not_deleted() -> None:
    model = dpu_with_neighbour(REMOTE_DISK, powered=True)
    await rounds(REMOTE_DISK).make(model)
    with pytest.raises(RpcRefused, match="still connected"):
        await carry_out(model.clients(), ((DeleteController(REMOTE_DISK.controller),),))


async def test_a_changed_seed_waits_for_the_servers_next_start() -> None:
    old, new = DISKS["seed"], disk_on(SeedFile("seed-1", "/seeds/b.iso"))
    model = dpu_with_neighbour(old, powered=True)
    await rounds(old).make(model)
    assert await rounds(new).planned(model) == ()
    model.powered = False
    await carry_out(model.clients(), await rounds(new).planned(model))
    assert model.files == {"seed-1": "/seeds/b.iso"}, "by one plan, for the server may be started any moment"
    assert is_served(model, new)


@given(st.uuids())
def test_the_serial_of_a_remote_disk_fits_and_tells_volumes_apart(volume: object) -> None:
    remote = replace(REMOTE, uuid=str(volume))
    assert len(remote.bdev) == 20
    assert str(volume).replace("-", "").startswith(remote.controller)


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ({"protocol": "iscsi"}, "'iscsi' is unknown"),
        ({}, "None is unknown"),
        ({"protocol": "bdev"}, "lacks 'uuid'"),
        ({"protocol": "nvmf-tcp", "uuid": VOLUME, "traddr": "a", "trsvcid": "1", "subnqn": "s"}, "lacks 'hostnqn'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_publish_context_that_is_not_understood_is_named(context: dict[str, str], said: str) -> None:
    with pytest.raises(planning.UnknownPublishContext, match=said):
        planning.backing_of(context)


def test_both_protocols_of_our_driver_are_understood() -> None:
    names = ("uuid", "traddr", "trsvcid", "subnqn", "hostnqn")
    context = {"protocol": "nvmf-tcp", **{name: getattr(REMOTE, name) for name in names}}
    assert planning.backing_of(context) == REMOTE
    assert planning.backing_of({"protocol": "bdev", "uuid": VOLUME}) == LocalVolume(VOLUME)
