"""What a target does not guard against, and what our code makes of it: each danger met on real sockets."""

import errno
import socket

import pytest

from dpu_handler.lvol.errors import NotNow
from dpu_handler.lvol.volumes import SizeRange
from dpu_handler.southbound import Malformed, RpcRefused
from tests.conformance.spdk.node import IMAGE, MIB, SERVER, DpuNode, StorageNode, attach_of, disk, methods, size_of
from tests.conformance.spdk.wire import Refused, Wire
from tests.waiting import wait_for

OTHER = "99999999-2222-3333-4444-555555555555"


async def test_a_foreign_host_is_refused_by_the_storage(storage_side: StorageNode, dpu_side: DpuNode) -> None:
    context = await storage_side.publish(await storage_side.clone("pvc-1"), SERVER)
    foreign = context["hostnqn"].replace(SERVER, OTHER)
    with pytest.raises(RpcRefused) as refusal:
        await dpu_side.dpu.spdk.attach_nvme(attach_of(context, hostnqn=foreign))
    assert refusal.value.code == -errno.EIO
    assert await dpu_side.dpu.spdk.attach_nvme(attach_of(context))


async def test_a_host_of_an_earlier_generation_is_refused(storage_side: StorageNode, dpu_side: DpuNode) -> None:
    volume = await storage_side.clone("pvc-1")
    first = await storage_side.publish(volume, SERVER)
    await storage_side.unpublish(volume, SERVER)
    second = await storage_side.publish(volume, SERVER)
    with pytest.raises(RpcRefused) as refusal:
        await dpu_side.dpu.spdk.attach_nvme(attach_of(first))
    assert refusal.value.code == -errno.EIO
    assert await dpu_side.dpu.spdk.attach_nvme(attach_of(second))


async def test_the_old_attach_goes_before_the_new_generation_comes(
    storage_side: StorageNode, dpu_side: DpuNode, dpu: Wire
) -> None:
    volume = await storage_side.clone("pvc-1")
    await dpu_side.converge(disk(await storage_side.publish(volume, SERVER)))
    # The storage takes the volume back while the DPU is silent, and hands it to the same server again.
    await storage_side.unpublish(volume, SERVER)
    context = await storage_side.publish(volume, SERVER)
    dpu_side.tap.requests.clear()
    await dpu_side.converge(disk(context))
    (attached,) = dpu.call("bdev_nvme_get_controllers")
    assert attached["ctrlrs"][0]["host"]["nqn"] == context["hostnqn"]
    asked = methods(dpu_side.tap.requests)
    detach = ["bdev_nvme_disable_controller", "bdev_nvme_detach_controller"]
    # Which of the two goes first is the target's to say: a controller that it shows as lost is detached first.
    assert asked[:3] in ([*detach, "vhost_delete_controller"], ["vhost_delete_controller", *detach])
    assert asked[3:] == ["bdev_nvme_attach_controller", "vhost_create_blk_controller"]


async def test_an_attach_that_shows_no_bdev_is_a_failure(storage_side: StorageNode, dpu_side: DpuNode) -> None:
    volume = await storage_side.clone("pvc-1")
    first = await storage_side.publish(volume, SERVER)
    await dpu_side.dpu.spdk.attach_nvme(attach_of(first, name="older"))
    await storage_side.unpublish(volume, SERVER)
    second = await storage_side.publish(volume, SERVER)
    with pytest.raises(Malformed, match="no bdev"):
        await dpu_side.dpu.spdk.attach_nvme(attach_of(second))


async def test_a_controller_somebody_is_connected_to_is_not_deleted(
    storage_side: StorageNode, dpu_side: DpuNode, dpu: Wire
) -> None:
    wanted = disk(await storage_side.publish(await storage_side.clone("pvc-1"), SERVER))
    await dpu_side.converge(wanted)
    (controller,) = dpu.call("vhost_get_controllers")
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(controller["socket"])
        wait_for(lambda: bool(dpu.call("vhost_get_controllers")[0]["sessions"]), "the target sees its peer")
        with pytest.raises(RpcRefused) as refusal:
            await dpu_side.dpu.spdk.delete_vhost_controller(wanted.controller)
    assert refusal.value.code == -errno.EBUSY
    assert dpu_side.tap.sent("vhost_delete_controller") == []
    wait_for(lambda: not dpu.call("vhost_get_controllers")[0]["sessions"], "the target sees its peer go")
    await dpu_side.dpu.spdk.delete_vhost_controller(wanted.controller)
    await dpu_side.dpu.spdk.delete_vhost_controller(wanted.controller)
    assert dpu_side.tap.sent("vhost_delete_controller") == [{"ctrlr": wanted.controller}]


async def test_a_volume_is_exported_once_and_to_one_host(storage_side: StorageNode, storage: Wire) -> None:
    volume = await storage_side.clone("pvc-1")
    context = await storage_side.publish(volume, SERVER)
    storage_side.tap.requests.clear()
    with pytest.raises(NotNow, match="holds it"):
        await storage_side.publish(volume, OTHER)
    assert methods(storage_side.tap.requests) == []
    (subsystem,) = storage.call("nvmf_get_subsystems", nqn=context["subnqn"])
    assert ([host["nqn"] for host in subsystem["hosts"]], subsystem["allow_any_host"]) == ([context["hostnqn"]], False)
    storage.call("nvmf_create_subsystem", nqn="nqn.2026-01.lab:second")
    with pytest.raises(Refused):
        storage.call("nvmf_subsystem_add_ns", nqn="nqn.2026-01.lab:second", namespace={"bdev_name": volume})


async def test_a_host_that_was_added_by_hand_is_taken_out(storage_side: StorageNode, storage: Wire) -> None:
    volume = await storage_side.clone("pvc-1")
    context = await storage_side.publish(volume, SERVER)
    storage.call("nvmf_subsystem_add_host", nqn=context["subnqn"], host="nqn.2026-01.lab:intruder")
    for wrong in await storage_side.exports.out_of_shape(storage_side.spdk):
        await storage_side.exports.rebuild(storage_side.spdk, wrong)
    (subsystem,) = storage.call("nvmf_get_subsystems", nqn=context["subnqn"])
    assert subsystem["hosts"] == [{"nqn": context["hostnqn"]}]


@pytest.mark.parametrize("published", [False, True])
async def test_a_shrink_is_never_sent(storage_side: StorageNode, storage: Wire, *, published: bool) -> None:
    volume = await storage_side.clone("pvc-1", 128 * MIB)
    if published:
        await storage_side.publish(volume, SERVER)
    storage_side.tap.requests.clear()
    assert await storage_side.volumes.expand(storage_side.spdk, volume, SizeRange(64 * MIB)) == 128 * MIB
    assert storage_side.tap.sent("bdev_lvol_resize") == []
    assert size_of(storage, volume) == 128 * MIB


async def test_a_clone_below_its_image_is_not_cut(storage_side: StorageNode, storage: Wire) -> None:
    volume = await storage_side.clone("pvc-1", MIB)
    assert size_of(storage, volume) == 8 * MIB
    assert all(params["size_in_mib"] >= 8 for params in storage_side.tap.sent("bdev_lvol_resize"))


async def test_what_a_deleted_volume_held_is_nowhere_in_the_pool(storage_side: StorageNode, storage: Wire) -> None:
    await storage_side.clone("pvc-0")
    before = copies_of_the_image(storage_side)
    volume = await storage_side.clone("pvc-1")
    storage.call("bdev_lvol_decouple_parent", name=volume)  # a copy of its own, as if its server had written it
    assert copies_of_the_image(storage_side) > before
    await storage_side.volumes.delete(storage_side.spdk, volume)
    assert copies_of_the_image(storage_side) == before


def copies_of_the_image(storage_side: StorageNode) -> int:
    """How often the end of the image stands in the pool: in its file, or what the stand-in keeps beside that."""
    files = storage_side.pool.file.parent.rglob("*")
    return sum(file.read_bytes().count(IMAGE[-8:]) for file in files if file.is_file())
