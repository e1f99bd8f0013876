"""A reply that is lost after its request was executed: what is there is looked at again, and nothing is done twice."""

from collections import Counter

import pytest

from tests.conformance.spdk.node import MIB, SERVER, DpuNode, StorageNode, disk, methods, size_of
from tests.conformance.spdk.wire import Wire

OF_THE_STORAGE = [
    *("bdev_aio_create", "bdev_lvol_clone_bdev", "bdev_lvol_decouple_parent", "bdev_lvol_snapshot", "bdev_aio_delete"),
    *("bdev_lvol_clone", "bdev_lvol_resize", "bdev_lvol_delete"),
    *("nvmf_create_subsystem", "nvmf_subsystem_add_ns", "nvmf_subsystem_add_host", "nvmf_subsystem_add_listener"),
    *("nvmf_subsystem_remove_host", "nvmf_delete_subsystem"),
]
OF_THE_DPU = [
    *("bdev_nvme_attach_controller", "vhost_create_blk_controller"),
    *("vhost_delete_controller", "bdev_nvme_disable_controller", "bdev_nvme_detach_controller"),
]


@pytest.mark.parametrize("method", OF_THE_STORAGE)
async def test_the_storage_goes_on_from_what_was_done(method: str, storage_side: StorageNode, storage: Wire) -> None:
    before = len(storage_side.tap.requests)
    storage_side.tap.lose(method)
    volume = await storage_side.clone("pvc-1")
    assert size_of(storage, volume) == 64 * MIB
    context = await storage_side.publish(volume, SERVER)
    (subsystem,) = storage.call("nvmf_get_subsystems", nqn=context["subnqn"])
    assert subsystem["hosts"] == [{"nqn": context["hostnqn"]}]
    await storage_side.unpublish(volume, SERVER)
    await storage_side.volumes.delete(storage_side.spdk, volume)
    assert storage_side.tap.lost == [method]
    assert size_of(storage, volume) is None
    assert _more_than_needed(storage_side.tap.requests[before:]) == {}


@pytest.mark.parametrize("method", OF_THE_DPU)
async def test_the_agent_goes_on_from_what_was_done(
    method: str, storage_side: StorageNode, dpu_side: DpuNode, dpu: Wire
) -> None:
    wanted = disk(await storage_side.publish(await storage_side.clone("pvc-1"), SERVER))
    dpu_side.tap.lose(method)
    losses = await dpu_side.converge(wanted) + await dpu_side.remove(wanted)
    assert (losses, dpu_side.tap.lost) == (1, [method])
    assert _more_than_needed(dpu_side.tap.requests) == {}
    assert (
        dpu.call("bdev_get_bdevs") == dpu.call("bdev_nvme_get_controllers") == dpu.call("vhost_get_controllers") == []
    )


def _more_than_needed(requests: list[dict[str, object]]) -> dict[str, int]:
    """Requests that were made more than once; a life of a volume deletes two lvols, its own and the import's."""
    counted = Counter(methods(requests)) - Counter({"bdev_lvol_delete": 1})
    return {name: count for name, count in counted.items() if count > 1}
