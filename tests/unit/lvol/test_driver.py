"""Volumes, images and exports on a model of the target: every call may be the last one before a crash."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dpu_handler.lvol import names
from dpu_handler.lvol.errors import (
    CallAgain,
    Incompatible,
    InvalidRequest,
    LvolError,
    NoSuchObject,
    NotNow,
    SizeOutOfRange,
)
from dpu_handler.lvol.exports import Exports
from dpu_handler.lvol.images import Images
from dpu_handler.lvol.nvmf import NvmeTcp
from dpu_handler.lvol.planning import Listener
from dpu_handler.lvol.pool import Pool
from dpu_handler.lvol.records import ExportRecords
from dpu_handler.lvol.volumes import SizeRange, Volumes
from dpu_handler.southbound import RpcRefused
from tests.unit.lvol.model_target import ModelTarget

MIB, GIB = 1 << 20, 1 << 30
SERVER = "11111111-2222-3333-4444-555555555555"
OTHER = "99999999-2222-3333-4444-555555555555"


class World:
    """A storage node: what is on disk, and a target that can be replaced."""

    def __init__(self, directory: Path) -> None:
        content = b"golden" * (8 * MIB // 6 + 1)
        content = content[: 8 * MIB]
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.directory = directory
        (directory / f"{self.sha256}.raw").write_bytes(content)
        self.target = ModelTarget(image_bytes=len(content))
        self.restart_driver()

    def restart_driver(self) -> None:
        """A new process: nothing survives but the files."""
        self.records = ExportRecords(self.directory / "exports")
        self.exports = Exports(self.records, NvmeTcp(Listener("127.0.0.1", "4420")), clock=lambda: 1.0)
        self.pool = Pool(self.directory / "pool.img", GIB, "lvs0", self.directory / "state")
        self.volumes = Volumes(self.pool, Images(self.directory, self.pool))

    async def clone(self, name: str = "pvc-1", size: int = GIB) -> str:
        return (await self.volumes.create(self.target, name, SizeRange(size), self.sha256)).uuid


class LoadingTarget(ModelTarget):
    """Shows the lvstore before its lvols, until ``loaded``."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded, self.asked = asyncio.Event(), asyncio.Event()
        self.loaded.set()

    async def call(
        self, method: str, params: Mapping[str, Any] | None = None, *, timeout_s: float | None = None
    ) -> Any:
        if method == "bdev_wait_for_examine":
            self.asked.set()
            await self.loaded.wait()
        return await super().call(method, params, timeout_s=timeout_s)

    def _find(self, name: str) -> dict[str, Any]:
        if not self.loaded.is_set():
            raise RpcRefused(-19, "No such device", "bdev")
        return super()._find(name)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_clone_costs_the_same_whatever_its_size(world: World) -> None:
    await world.clone("first")
    costs = []
    for name, size in (("small", GIB), ("large", 100 * GIB)):
        world.target.changes.clear()
        await world.clone(name, size)
        costs.append(list(world.target.changes))
    assert costs[0] == costs[1] == ["bdev_lvol_clone", "bdev_lvol_resize"]


async def test_many_clones_leave_one_snapshot_and_no_trace_of_the_import(world: World) -> None:
    for number in range(5):
        await world.clone(f"pvc-{number}")
    kinds = sorted(lvol["name"][:4] for lvol in world.target.lvols.values())
    assert kinds == ["img-"] + ["vol-"] * 5
    assert world.target.aio == {}


async def test_the_same_request_finds_the_same_volume(world: World) -> None:
    first = await world.clone()
    world.target.changes.clear()
    assert await world.clone() == first
    assert world.target.changes == []


async def test_a_name_is_not_reused_for_something_else(world: World) -> None:
    await world.clone(size=GIB)
    with pytest.raises(Incompatible, match="bytes"):
        await world.clone(size=2 * GIB)
    with pytest.raises(Incompatible, match="clone of"):
        await world.volumes.create(world.target, "pvc-1", SizeRange(GIB), None)


async def test_an_impossible_size_range_is_refused(world: World) -> None:
    with pytest.raises(SizeOutOfRange):
        await world.volumes.create(world.target, "pvc-1", SizeRange(GIB + 1, GIB + 2), None)
    with pytest.raises(SizeOutOfRange):
        await world.volumes.create(world.target, "pvc-1", SizeRange(0, 4 * MIB), world.sha256)
    assert world.target.lvols.keys() <= {names.image_snapshot(world.sha256)}


async def test_a_volume_that_a_restarted_target_does_not_know_yet_is_not_gone(world: World) -> None:
    uuid = await world.clone()
    world.target.lose_memory()
    for attempt in (
        world.volumes.delete(world.target, uuid),
        world.volumes.get(world.target, uuid),
        world.clone("another"),
    ):
        with pytest.raises(CallAgain, match="not open"):
            await attempt
    world.target.lvstore = "lvs0"
    await world.volumes.delete(world.target, uuid)
    assert [lvol["name"][:4] for lvol in world.target.lvols.values()] == ["img-"]


async def test_nobody_is_told_what_is_there_while_the_pool_is_being_opened(world: World) -> None:
    world.target = target = LoadingTarget()
    uuid = await world.clone()
    target.lose_memory()
    target.loaded.clear()
    opening = asyncio.create_task(world.pool.open(target))
    await target.asked.wait()
    assert target.lvstore == "lvs0"
    looking = asyncio.create_task(world.volumes.get(target, uuid))
    await asyncio.wait({looking}, timeout=0.05)  # as far as it comes
    target.loaded.set()
    await opening
    assert (await looking).uuid == uuid


async def test_a_volume_grows_and_never_shrinks(world: World) -> None:
    uuid = await world.clone()
    assert await world.volumes.expand(world.target, uuid, SizeRange(2 * GIB)) == 2 * GIB
    world.target.changes.clear()
    assert await world.volumes.expand(world.target, uuid, SizeRange(GIB)) == 2 * GIB
    assert world.target.changes == []


async def test_an_image_is_what_its_name_says(world: World, tmp_path: Path) -> None:
    (tmp_path / f"{world.sha256}.raw").write_bytes(b"something else")
    with pytest.raises(NotNow, match="has sha256"):
        await world.clone()
    with pytest.raises(NoSuchObject, match="has no"):
        await world.volumes.create(world.target, "pvc-1", SizeRange(GIB), "0" * 64)
    with pytest.raises(InvalidRequest):
        await world.volumes.create(world.target, "pvc-1", SizeRange(GIB), "../../etc/shadow")
    assert world.target.lvols == {}


async def test_each_attach_has_a_host_name_of_its_own(world: World) -> None:
    uuid = await world.clone()
    first = await world.exports.publish(world.target, uuid, SERVER)
    again = await world.exports.publish(world.target, uuid, SERVER)
    await world.exports.unpublish(world.target, uuid, SERVER)
    world.restart_driver()
    second = await world.exports.publish(world.target, uuid, SERVER)
    assert first == again
    assert first["hostnqn"] == f"nqn.2026-01.io.metalplane:server-{SERVER}.g1"
    assert second["hostnqn"].endswith(f"{SERVER}.g2")
    assert world.target.subsystems[second["subnqn"]]["hosts"] == [second["hostnqn"]]


async def test_a_second_node_is_refused_and_told_who_holds_the_volume(world: World) -> None:
    uuid = await world.clone()
    await world.exports.publish(world.target, uuid, SERVER)
    with pytest.raises(NotNow, match=SERVER):
        await world.exports.publish(world.target, uuid, OTHER)
    await world.exports.unpublish(world.target, uuid, OTHER)
    assert world.exports.holder(uuid) == SERVER


async def test_unpublish_cuts_whoever_is_connected(world: World) -> None:
    uuid = await world.clone()
    context = await world.exports.publish(world.target, uuid, SERVER)
    world.target.connected[context["subnqn"]] = [context["hostnqn"]]
    await world.exports.unpublish(world.target, uuid, SERVER)
    assert world.target.subsystems == {}
    assert world.exports.holder(uuid) is None


async def test_a_target_that_lost_its_memory_is_made_whole(world: World) -> None:
    await world.pool.open(world.target)
    uuid = await world.clone()
    context = await world.exports.publish(world.target, uuid, SERVER)
    before = world.target.subsystems
    world.target.lose_memory()
    world.restart_driver()
    assert not await world.pool.is_open(world.target)
    await world.pool.open(world.target)
    for uuid in await world.exports.out_of_shape(world.target):
        await world.exports.rebuild(world.target, uuid)
    assert world.target.subsystems == before
    assert world.target.subsystems[context["subnqn"]]["hosts"] == [context["hostnqn"]]


async def test_a_pool_that_is_not_found_again_is_never_made_anew(world: World) -> None:
    world.target.lvstore = None
    await world.pool.open(world.target)
    world.target.lose_memory()
    with pytest.raises(NotNow, match="the file has content"):
        await world.pool.open(world.target)


async def test_a_file_with_content_is_not_made_a_pool_though_nothing_is_recorded(world: World) -> None:
    world.pool.make_file()
    with world.pool.file.open("r+b") as file:
        file.write(b"somebody's data")
    world.target.lose_memory()
    with pytest.raises(NotNow, match="the file has content"):
        await world.pool.open(world.target)


async def test_a_pool_whose_making_was_cut_off_is_made_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        """The process ends in the middle of the call."""

    def cut_off(*_: object, **__: object) -> None:
        world.pool.file.write_bytes(b"half an lvstore")
        raise Killed

    world.target.lose_memory()
    monkeypatch.setattr(world.target, "_bdev_lvol_create_lvstore", cut_off)
    with pytest.raises(Killed):
        await world.pool.open(world.target)
    monkeypatch.undo()
    world.target.lose_memory()
    await world.pool.open(world.target)
    assert world.target.lvstore == "lvs0"


async def test_a_volume_whose_record_was_lost_is_closed_all_the_same(world: World) -> None:
    uuid = await world.clone()
    await world.exports.publish(world.target, uuid, SERVER)
    world.records.forget(uuid)
    await world.exports.unpublish(world.target, uuid, SERVER)
    assert world.target.subsystems == {}


async def test_a_subsystem_that_was_opened_to_anybody_is_closed_to_all_but_its_host(world: World) -> None:
    uuid = await world.clone()
    await world.exports.publish(world.target, uuid, SERVER)
    (subsystem,) = world.target.subsystems.values()
    subsystem["allow_any_host"] = True
    assert await world.exports.out_of_shape(world.target) == [uuid]
    await world.exports.rebuild(world.target, uuid)
    assert subsystem["allow_any_host"] is False


async def _publish(world: World) -> None:
    await world.exports.publish(world.target, await world.clone(), SERVER)


async def _unpublish(world: World) -> None:
    uuid = await world.clone()
    await world.exports.unpublish(world.target, uuid, SERVER)


async def _delete(world: World) -> None:
    await world.volumes.delete(world.target, await world.clone())


STORY: tuple[Callable[[World], Awaitable[object]], ...] = (
    lambda world: world.pool.open(world.target),
    lambda world: world.clone(),
    _publish,
    _unpublish,
    _delete,
)


def empty(world: World) -> None:
    world.target.lvstore, world.target.transports = None, []


async def calls_of_the_story(tmp_path: Path) -> int:
    world = World(tmp_path)
    empty(world)
    for step in STORY:
        await step(world)
    return len(world.target.changes)


@pytest.mark.parametrize("executed", [False, True], ids=["before", "after"])
async def test_a_crash_at_any_call_leaks_nothing(tmp_path: Path, executed: bool) -> None:
    (tmp_path / "dry").mkdir()
    total = await calls_of_the_story(tmp_path / "dry")
    assert total > 15
    for number in range(total):
        directory = tmp_path / f"crash-{number}"
        directory.mkdir()
        world = World(directory)
        empty(world)
        world.target.fail_at, world.target.executed = number, executed
        for step in STORY:
            try:
                await step(world)
            except LvolError:
                world.restart_driver()
                await step(world)
        assert list(world.target.lvols) == [names.image_snapshot(world.sha256)], number
        assert world.target.subsystems == {}, number
        assert list(world.target.aio) == ["metalplane-pool"], number
