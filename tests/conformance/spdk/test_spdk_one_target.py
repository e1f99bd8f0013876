"""One target as storage node and DPU: a volume is a bdev there already, and never taken from under its disk."""

import pytest

from dpu_handler.lvol.errors import CallAgain
from tests.conformance.spdk.node import MIB, SERVER, DpuNode, StorageNode, disk, methods

Sides = tuple[StorageNode, DpuNode]


async def test_a_disk_takes_one_request_and_none_of_nvmf(both_sides: Sides) -> None:
    storage, dpu = both_sides
    context = await storage.publish(await storage.clone("pvc-1"), SERVER)
    await dpu.converge(disk(context))
    assert methods(dpu.tap.requests) == ["vhost_create_blk_controller"]
    asked = [request["method"] for request in (*storage.tap.requests, *dpu.tap.requests)]
    assert [name for name in asked if name.startswith("nvmf_")] == []


async def test_a_volume_under_a_disk_is_neither_closed_nor_deleted(both_sides: Sides) -> None:
    storage, dpu = both_sides
    volume = await storage.clone("pvc-1")
    wanted = disk(await storage.publish(volume, SERVER))
    await dpu.converge(wanted)
    with pytest.raises(CallAgain, match=wanted.controller):
        await storage.unpublish(volume, SERVER)
    assert storage.exports.holder(volume) == SERVER
    await dpu.remove(wanted)
    await storage.unpublish(volume, SERVER)
    await storage.volumes.delete(storage.spdk, volume)
    assert await dpu.dpu.spdk.vhost_controllers() == []


async def test_a_disk_is_served_again_once_the_pool_is_back(both_sides: Sides) -> None:
    storage, dpu = both_sides
    wanted = disk(await storage.publish(await storage.clone("pvc-1", 64 * MIB), SERVER))
    await dpu.converge(wanted)
    # As after a restart: the pool is opened again, and the vhost controller is left without a bdev.
    (pool,) = [bdev for bdev in await dpu.dpu.spdk.bdevs() if bdev["product_name"] == "AIO disk"]
    await storage.spdk.call("bdev_aio_delete", {"name": pool["name"]})
    (controller,) = await dpu.dpu.spdk.vhost_controllers()
    assert controller["backend_specific"]["block"]["bdev"] is None
    await storage.pool.open(storage.spdk)
    await dpu.converge(wanted)
    (controller,) = await dpu.dpu.spdk.vhost_controllers()
    assert controller["backend_specific"]["block"]["bdev"] is not None
