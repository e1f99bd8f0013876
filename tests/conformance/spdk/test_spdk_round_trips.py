"""Round trips: each costs 8 ms on a stock target, so what does not depend on each other leaves together."""

from tests.conformance.spdk.node import SERVER, DpuNode, StorageNode, disk

OBSERVATION = ["bdev_get_bdevs", "bdev_nvme_get_controllers", "vhost_get_controllers"]


async def test_a_disk_takes_an_observation_an_attach_and_a_controller(
    storage_side: StorageNode, dpu_side: DpuNode
) -> None:
    wanted = disk(await storage_side.publish(await storage_side.clone("pvc-1"), SERVER))
    dpu_side.tap.rounds.clear()
    await dpu_side.converge(wanted)
    assert dpu_side.tap.rounds == [
        OBSERVATION,
        ["bdev_nvme_attach_controller"],
        ["vhost_create_blk_controller"],
        OBSERVATION,
    ]


async def test_an_export_adds_namespace_and_host_together(storage_side: StorageNode, dpu_side: DpuNode) -> None:
    volume = await storage_side.clone("pvc-1")
    storage_side.tap.rounds.clear()
    await storage_side.publish(volume, SERVER)
    assert storage_side.tap.rounds == [
        ["nvmf_get_subsystems"],
        ["nvmf_create_subsystem"],
        ["nvmf_subsystem_add_ns", "nvmf_subsystem_add_host"],
        ["nvmf_subsystem_add_listener"],
        ["nvmf_get_subsystems"],
    ]
