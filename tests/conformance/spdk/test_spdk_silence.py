"""A storage node that falls silent: it breaks no connection and refuses nothing, so its DPU's target waits for it."""

import asyncio
import errno
from collections.abc import AsyncIterator

import pytest

from dpu_handler.planning.disk import Disk, RemoteVolume
from dpu_handler.southbound import RpcRefused
from tests.conformance.spdk.network import Network, network
from tests.conformance.spdk.node import SERVER, DpuNode, StorageNode, disk
from tests.conformance.spdk.targets import Targets
from tests.conformance.spdk.wire import Wire

SOON_S = 8.0
"""Less than the 10 s for which a target waits at most."""
PATIENCE_S = 30.0


@pytest.fixture
async def between(spdk_targets: Targets) -> AsyncIterator[Network]:
    """The network that the disk's storage is reached through."""
    async with network(spdk_targets.port) as found:
        yield found


@pytest.fixture
async def served(storage_side: StorageNode, dpu_side: DpuNode, between: Network) -> Disk:
    """A disk that nobody uses."""
    context = await storage_side.publish(await storage_side.clone("pvc-1"), SERVER)
    wanted = disk(context | {"trsvcid": str(between.port)})
    await dpu_side.converge(wanted)
    return wanted


def controller_of(wanted: Disk) -> str:
    assert isinstance(wanted.backing, RemoteVolume)
    return wanted.backing.controller


def states(dpu: Wire) -> list[str]:
    return [each["ctrlrs"][0]["state"] for each in dpu.call("bdev_nvme_get_controllers")]


async def connected(dpu: Wire) -> None:
    """Until the controller is; the network carries meanwhile."""
    async with asyncio.timeout(PATIENCE_S):
        # What changes is in the target.
        while states(dpu) != ["enabled"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_an_idle_disk_is_taken_away_all_the_same(
    served: Disk, dpu_side: DpuNode, dpu: Wire, between: Network
) -> None:
    between.fall_silent()
    assert states(dpu) == ["enabled"], "nothing tells that nobody would answer"
    async with asyncio.timeout(SOON_S):
        await dpu_side.remove(served)
    left = [dpu.call(method) for method in ("bdev_get_bdevs", "bdev_nvme_get_controllers", "vhost_get_controllers")]
    assert left == [[], [], []]


async def test_a_detach_alone_is_not_done_before_the_storage_answers(
    served: Disk, dpu_side: DpuNode, dpu: Wire, between: Network
) -> None:
    between.fall_silent()
    with pytest.raises(RpcRefused) as refusal:
        await dpu_side.dpu.spdk.detach_nvme(controller_of(served))
    assert refusal.value.code == -errno.ETIMEDOUT
    assert states(dpu) == ["deleting"]


async def test_a_disk_that_was_cut_off_is_connected_again(served: Disk, dpu_side: DpuNode, dpu: Wire) -> None:
    await dpu_side.dpu.spdk.disable_nvme(controller_of(served))
    assert states(dpu) == ["disabled"]
    await dpu_side.converge(served)
    await connected(dpu)


async def test_what_is_enabled_while_its_storage_is_silent_is_waited_for_by_the_target_alone(
    served: Disk, dpu_side: DpuNode, dpu: Wire, between: Network
) -> None:
    between.fall_silent()
    await dpu_side.dpu.spdk.disable_nvme(controller_of(served))
    async with asyncio.timeout(SOON_S):
        await dpu_side.dpu.spdk.enable_nvme(controller_of(served))
        await dpu_side.dpu.spdk.disable_nvme(controller_of(served))
    between.speak()
    await dpu_side.converge(served)
    await connected(dpu)
