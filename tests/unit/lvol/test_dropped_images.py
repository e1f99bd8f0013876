"""The end of an image's snapshot, on a model of the target: it goes with the last volume on it, whatever is killed."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dpu_handler.lvol import names
from dpu_handler.lvol.errors import CallAgain, LvolError
from dpu_handler.lvol.images import Images
from dpu_handler.lvol.volumes import SizeRange, Volumes
from tests.unit.lvol.model_target import ModelTarget
from tests.unit.lvol.test_driver import GIB, World


class Node(World):
    """A storage node whose images can be dropped."""

    def restart_driver(self) -> None:
        super().restart_driver()
        self.images = Images(self.directory, self.pool)
        self.volumes = Volumes(self.pool, self.images)

    async def drop(self) -> None:
        await self.images.drop(self.target, self.sha256)

    async def delete(self, uuid: str) -> None:
        await self.volumes.delete(self.target, uuid)
        await self.images.sweep(self.target)

    @property
    def snapshots(self) -> list[str]:
        return [lvol["name"] for lvol in self.target.lvols.values() if lvol["snapshot"]]

    @property
    def marks(self) -> list[str]:
        return [path.stem for path in (self.pool.state_dir / "dropped-images").iterdir()]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


async def test_an_image_on_which_nothing_stands_goes_at_once(node: Node) -> None:
    await node.delete(await node.clone())
    assert node.snapshots == [names.image_snapshot(node.sha256)]
    for _ in range(2):
        await node.drop()
        assert (node.target.lvols, node.marks) == ({}, [])


async def test_an_image_goes_with_the_last_volume_that_stands_on_it(node: Node) -> None:
    first, second = await node.clone("first"), await node.clone("second")
    await node.drop()
    node.restart_driver()
    await node.delete(first)
    assert (await node.volumes.get(node.target, second)).parent == names.image_snapshot(node.sha256)
    assert node.snapshots == [names.image_snapshot(node.sha256)]
    await node.delete(second)
    assert (node.target.lvols, node.marks) == ({}, [])


async def test_an_image_that_is_wanted_again_stays_and_is_not_imported_anew(node: Node) -> None:
    first = await node.clone("first")
    await node.drop()
    node.target.changes.clear()
    second = await node.clone("second")
    assert node.target.changes == ["bdev_lvol_clone", "bdev_lvol_resize"]
    for uuid in (first, second):
        await node.delete(uuid)
    assert node.snapshots == [names.image_snapshot(node.sha256)]
    assert node.marks == []


async def test_what_is_not_seen_for_the_pool_is_not_open_is_not_taken_for_gone(node: Node) -> None:
    await node.delete(await node.clone())
    node.target.lose_memory()
    with pytest.raises(CallAgain):
        await node.drop()
    assert node.marks == [node.sha256]
    await node.pool.open(node.target)
    node.restart_driver()
    await node.images.sweep(node.target)
    assert (node.target.lvols, node.marks) == ({}, [])


class HeldTarget(ModelTarget):
    """Answers to a clone only when told to."""

    def __init__(self, image_bytes: int) -> None:
        super().__init__(image_bytes)
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def call(
        self, method: str, params: Mapping[str, Any] | None = None, *, timeout_s: float | None = None
    ) -> Any:
        if method == "bdev_lvol_clone":
            self.asked.set()
            await self.go_on.wait()
        return await super().call(method, params, timeout_s=timeout_s)


async def test_an_image_stays_for_a_clone_that_is_on_its_way(node: Node) -> None:
    node.target = target = HeldTarget(8 << 20)
    cloning = asyncio.create_task(node.clone())
    await target.asked.wait()
    await node.drop()
    target.go_on.set()
    uuid = await cloning
    assert node.snapshots == [names.image_snapshot(node.sha256)]
    await node.delete(uuid)
    assert (target.lvols, node.marks) == ({}, [])


async def _life(node: Node, fail_at: int | None, executed: bool) -> int:
    """Cloned, dropped, deleted, each repeated by a new process where it was cut off. How many calls were made."""
    node.target.fail_at, node.target.executed = fail_at, executed

    async def insist(step: Any) -> Any:
        try:
            return await step()
        except LvolError:
            node.restart_driver()
            return await step()

    uuid = await insist(node.clone)
    await insist(node.drop)
    await insist(lambda: node.delete(uuid))
    await node.images.sweep(node.target)
    return len(node.target.changes)


@pytest.mark.parametrize("executed", [False, True], ids=["before", "after"])
async def test_a_crash_at_any_call_of_an_images_life_leaves_nothing(tmp_path: Path, executed: bool) -> None:
    (tmp_path / "dry").mkdir()
    total = await _life(Node(tmp_path / "dry"), None, executed)
    assert total > 8
    for number in range(total):
        directory = tmp_path / str(number)
        directory.mkdir()
        node = Node(directory)
        await _life(node, number, executed)
        assert (node.target.lvols, node.target.aio, node.marks) == ({}, {}, []), number


@pytest.mark.parametrize("executed", [False, True], ids=["before", "after"])
async def test_an_import_that_was_cut_off_for_good_goes_with_its_image(tmp_path: Path, executed: bool) -> None:
    (tmp_path / "dry").mkdir()
    dry = Node(tmp_path / "dry")
    await dry.images.ensure(dry.target, dry.sha256)
    total = len(dry.target.changes)
    for number in range(total):
        directory = tmp_path / str(number)
        directory.mkdir()
        node = Node(directory)
        await _cut_off_for_good(node, number, executed)
        node.restart_driver()
        await node.drop()
        assert (node.target.lvols, node.target.aio, node.marks) == ({}, {}, []), number


async def _cut_off_for_good(node: Node, number: int, executed: bool) -> None:
    """The process is killed at the call, and nobody asks again."""

    class Killed(BaseException):
        """Not caught by anybody."""

    inner, count = node.target.call, 0

    async def call(method: str, params: Mapping[str, Any] | None = None, **known: Any) -> Any:
        nonlocal count
        changing = not method.startswith("bdev_get") and "_get_" not in method
        if changing and count == number:
            if executed:
                await inner(method, params, **known)
            raise Killed
        count += changing
        return await inner(method, params, **known)

    node.target.call = call  # type: ignore[method-assign]
    with pytest.raises(Killed):
        await node.volumes.create(node.target, "pvc-1", SizeRange(GIB), node.sha256)
    node.target.call = inner  # type: ignore[method-assign]
