"""What no object claims on targets: known by its name, listed with what keeps it, and taken away from the top."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from dpu_handler.execution.carrying import carry_out
from dpu_handler.execution.observation import observe_disks
from dpu_handler.planning.disk import Disk, RemoteVolume, SeedFile
from dpu_handler.planning.orphans import Claims, FoundOrphan, orphans
from tests.conformance.spdk.network import Network, network
from tests.conformance.spdk.node import MIB, SERVER, SHA256, DpuNode, StorageNode, disk, size_of
from tests.conformance.spdk.targets import Targets
from tests.conformance.spdk.vhost_user import DATA_BYTES, OK, VhostUserDisk
from tests.conformance.spdk.wire import Wire
from tests.waiting import wait_for

BLOCK = b"ours" * (DATA_BYTES // 4)
SOON_S = 8.0
"""Less than the 10 s for which a target waits at most."""
Published = dict[str, str]


@pytest.fixture
async def published(storage_side: StorageNode) -> Published:
    """The publish context of a volume that some node holds."""
    return await storage_side.publish(await storage_side.clone("pvc-1"), SERVER)


@pytest.fixture
async def between(spdk_targets: Targets) -> AsyncIterator[Network]:
    """A network to the storage node that can fall silent."""
    async with network(spdk_targets.port) as found:
        yield found


@pytest.fixture
def seed_file(directory: Path) -> Path:
    """A seed, as an agent that is gone left it."""
    path = directory / "seed.iso"
    path.write_bytes(bytes(MIB))
    return path


def new_disk(context: Published) -> Disk:
    """A disk of an EmulatedDisk that nobody has heard of."""
    return disk(context, f"mp-{uuid4()}")


def nvme_of(wanted: Disk) -> str:
    assert isinstance(wanted.backing, RemoteVolume)
    return wanted.backing.controller


async def listed(dpu_side: DpuNode, claimed: Claims | None = None) -> dict[str, str]:
    """What keeps each orphan, by its name; in the order in which they go."""
    found = orphans(claimed or Claims(), await observe_disks(dpu_side.dpu))
    return {orphan.key.name: orphan.held_by for orphan in found}


async def removed(dpu_side: DpuNode) -> list[str]:
    """Remove all that nothing keeps, with a look before each as their controller takes; their names in that order."""
    names: list[str] = []
    while (orphan := await _next(dpu_side, names)) is not None:
        await carry_out(dpu_side.dpu, orphan.removal)
        names.append(orphan.key.name)
    return names


async def _next(dpu_side: DpuNode, tried: list[str]) -> FoundOrphan | None:
    found = orphans(Claims(), await observe_disks(dpu_side.dpu))
    return next((each for each in found if not each.held_by and each.key.name not in tried), None)


def left_on(dpu: Wire) -> list[str]:
    lists = (("vhost_get_controllers", "ctrlr"), ("bdev_nvme_get_controllers", "name"), ("bdev_get_bdevs", "name"))
    return [each[noun] for method, noun in lists for each in dpu.call(method)]


def socket_of(dpu: Wire) -> Path:
    (controller,) = dpu.call("vhost_get_controllers")
    return Path(controller["socket"])


def state(dpu: Wire) -> str:
    (attached,) = dpu.call("bdev_nvme_get_controllers")
    word: str = attached["ctrlrs"][0]["state"]
    return word


async def test_a_disk_goes_from_the_top(published: Published, dpu_side: DpuNode, dpu: Wire) -> None:
    wanted = new_disk(published)
    await dpu_side.converge(wanted)
    keeps = f"vhost controller {wanted.controller} serves it: that goes first"
    assert await listed(dpu_side) == {wanted.controller: "", nvme_of(wanted): keeps}
    assert await removed(dpu_side) == [wanted.controller, nvme_of(wanted)]
    assert left_on(dpu) == []


async def test_a_disk_whose_object_is_there_is_none(published: Published, dpu_side: DpuNode) -> None:
    wanted = new_disk(published)
    await dpu_side.converge(wanted)
    owner = frozenset({wanted.controller.removeprefix("mp-")})
    assert await listed(dpu_side, Claims(disks=owner, nvme=frozenset({nvme_of(wanted)}))) == {}
    assert await listed(dpu_side, Claims(disks=owner, subsystems=frozenset({published["subnqn"]}))) == {}


async def test_what_bears_another_name_is_not_ours(dpu_side: DpuNode, dpu: Wire, seed_file: Path) -> None:
    dpu.call("bdev_aio_create", name="seed-mine", filename=str(seed_file), block_size=512, readonly=True)
    dpu.call("vhost_create_blk_controller", ctrlr="mp-mine", dev_name="seed-mine")
    assert await listed(dpu_side) == {}


async def test_a_seed_goes_after_what_serves_it(dpu_side: DpuNode, dpu: Wire, seed_file: Path) -> None:
    owner = uuid4()
    seed = SeedFile(f"seed-{owner}", str(seed_file))
    wanted = Disk(f"mp-{owner}", f"/run/mp-{owner}", 2, None, read_only=True, backing=seed)
    await dpu_side.converge(wanted)
    keeps = f"vhost controller {wanted.controller} serves it: that goes first"
    assert await listed(dpu_side) == {wanted.controller: "", seed.bdev: keeps}
    assert await removed(dpu_side) == [wanted.controller, seed.bdev]
    assert left_on(dpu) == []


async def test_a_disk_that_a_server_is_connected_to_stays_until_that_leaves(
    published: Published, dpu_side: DpuNode, dpu: Wire
) -> None:
    wanted = new_disk(published)
    await dpu_side.converge(wanted)
    with VhostUserDisk(socket_of(dpu)) as server:
        assert (await listed(dpu_side))[wanted.controller] == "a server is connected to it: power that off first"
        assert await removed(dpu_side) == []
        assert await asyncio.to_thread(server.write_now, 0, BLOCK) == OK
        assert await asyncio.to_thread(server.read_now, 0) == (OK, BLOCK)
    gone = lambda: not dpu.call("vhost_get_controllers")[0]["sessions"]  # noqa: E731
    await asyncio.to_thread(wait_for, gone, "the target sees its server go")
    assert await removed(dpu_side) == [wanted.controller, nvme_of(wanted)]
    assert left_on(dpu) == []


async def test_a_disk_whose_export_is_gone_goes_from_below(
    published: Published, dpu_side: DpuNode, storage: Wire, dpu: Wire
) -> None:
    wanted = new_disk(published)
    await dpu_side.converge(wanted)
    storage.call("nvmf_delete_subsystem", nqn=published["subnqn"])
    await asyncio.to_thread(wait_for, lambda: state(dpu) != "enabled", "the loss is seen", 5.0)
    keeps = f"its storage does not answer: remove NVMeController {nvme_of(wanted)} first"
    assert await listed(dpu_side) == {wanted.controller: keeps, nvme_of(wanted): ""}
    async with asyncio.timeout(SOON_S):
        assert await removed(dpu_side) == [nvme_of(wanted), wanted.controller]
    assert left_on(dpu) == []


async def test_a_disk_whose_storage_is_silent_is_not_waited_for(
    published: Published, dpu_side: DpuNode, dpu: Wire, between: Network
) -> None:
    wanted = new_disk(published | {"trsvcid": str(between.port)})
    await dpu_side.converge(wanted)
    between.fall_silent()
    async with asyncio.timeout(SOON_S):
        assert await removed(dpu_side) == [wanted.controller, nvme_of(wanted)]
    assert left_on(dpu) == []


async def test_a_disk_that_lost_its_bdev_goes_by_itself(
    published: Published, dpu_side: DpuNode, storage: Wire, dpu: Wire
) -> None:
    wanted = new_disk(published)
    await dpu_side.converge(wanted)
    storage.call("nvmf_subsystem_remove_ns", nqn=published["subnqn"], nsid=1)
    await asyncio.to_thread(wait_for, lambda: dpu.call("bdev_get_bdevs") == [], "the bdev goes", 5.0)
    assert await listed(dpu_side) == {wanted.controller: "", nvme_of(wanted): ""}
    assert await removed(dpu_side) == [wanted.controller, nvme_of(wanted)]
    assert left_on(dpu) == []


async def test_a_volume_whose_record_is_lost_goes_with_its_export_and_whoever_is_connected(
    published: Published, storage_side: StorageNode, dpu_side: DpuNode, storage: Wire, dpu: Wire
) -> None:
    await dpu_side.converge(new_disk(published))
    storage_side.exports.forget(published["uuid"])
    driver = storage_side.driver()
    assert published["uuid"] in {each.uuid for each in await driver.volumes()}
    await driver.delete(published["uuid"])
    assert size_of(storage, published["uuid"]) is None
    assert published["subnqn"] not in {each["nqn"] for each in storage.call("nvmf_get_subsystems")}
    await driver.drop_image(SHA256)
    assert storage.call("bdev_lvol_get_lvols") == []
    await asyncio.to_thread(wait_for, lambda: state(dpu) != "enabled", "the DPU sees that its volume is gone", 5.0)
    assert len(await removed(dpu_side)) == 2
    assert left_on(dpu) == []
