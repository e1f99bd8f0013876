"""A volume that grows under a running server: its target is told of nothing, and the server sees the new size."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from dpu_handler.lvol.driver import Driver
from dpu_handler.lvol.errors import CallAgain
from dpu_handler.lvol.volumes import SizeRange
from tests.conformance.spdk.network import Network, network
from tests.conformance.spdk.node import MIB, SERVER, DpuNode, StorageNode, disk, size_of
from tests.conformance.spdk.targets import Targets
from tests.conformance.spdk.vhost_user import DATA_BYTES, IN_FLIGHT_AT_MOST, OK, VhostUserDisk
from tests.conformance.spdk.wire import Wire
from tests.waiting import wait_for

SMALL, LARGE = 64 * MIB, 96 * MIB
BACK_S = 20.0
"""For an initiator whose ``reconnect_delay_sec`` is 1 to be connected again."""
KEPT = 256
"""Blocks that are written again and again: of each the last write is to be found."""


def block(number: int) -> bytes:
    return number.to_bytes(8, "little") * (DATA_BYTES // 8)


def events(wire: Wire, bdev: str) -> list[str]:
    """What the ring of notifications says of a bdev, oldest first."""
    return [each["type"] for each in wire.call("notify_get_notifications") if each["ctx"] == bdev]


@pytest.fixture
async def served(storage_side: StorageNode, dpu_side: DpuNode) -> str:
    """UUID of a volume that the DPU serves as a disk."""
    volume = await storage_side.clone("grows", SMALL)
    await dpu_side.converge(disk(await storage_side.publish(volume, SERVER)))
    return volume


@pytest.fixture
def server(served: str, dpu: Wire) -> Iterator[VhostUserDisk]:
    with VhostUserDisk(socket_of(dpu)) as connected:
        yield connected


def state(dpu: Wire) -> str:
    (attached,) = dpu.call("bdev_nvme_get_controllers")
    word: str = attached["ctrlrs"][0]["state"]
    return word


def connected(storage: Wire, context: dict[str, str]) -> list[str]:
    """Hosts that are connected to what was published."""
    return [each["hostnqn"] for each in storage.call("nvmf_subsystem_get_controllers", nqn=context["subnqn"])]


def socket_of(dpu: Wire) -> Path:
    (controller,) = dpu.call("vhost_get_controllers")
    return Path(controller["socket"])


async def grow(storage: Wire, volume: str) -> Any:
    return await asyncio.to_thread(storage.call, "bdev_lvol_resize", name=volume, size_in_mib=LARGE // MIB)


async def test_a_server_sees_a_new_size_and_its_target_was_asked_for_nothing(
    served: str, server: VhostUserDisk, storage: Wire, dpu: Wire, dpu_side: DpuNode
) -> None:
    (bdev,) = dpu.call("bdev_get_bdevs")
    assert (server.size_bytes(), size_of(dpu, bdev["name"])) == (SMALL, SMALL)
    assert server.write_now(0, block(7)) == OK
    dpu_side.tap.requests.clear()
    await grow(storage, served)
    await asyncio.to_thread(wait_for, server.told_of_change, "the server is told", 5.0)
    assert server.size_bytes() == LARGE
    assert size_of(dpu, bdev["name"]) == LARGE
    assert events(dpu, bdev["name"])[-2:] == ["bdev_register", "bdev_resize"]
    assert dpu.call("bdev_nvme_get_controllers")[0]["ctrlrs"][0]["state"] == "enabled"
    assert dpu_side.tap.requests == []
    assert server.read_now(0) == (OK, block(7))
    assert server.write_now(LARGE - DATA_BYTES, block(8)) == OK
    assert server.read_now(LARGE - DATA_BYTES) == (OK, block(8))


async def test_what_is_written_while_a_volume_grows_is_all_there(
    served: str, server: VhostUserDisk, storage: Wire
) -> None:
    growing = asyncio.create_task(grow(storage, served))
    under_way: dict[int, int] = {}
    written, enough = 0, 1 << 20
    while written < enough:
        await asyncio.sleep(0)
        for slot in [slot for slot in under_way if server.status(slot) is not None]:
            assert server.status(slot) == OK, f"block {under_way[slot]}"
            server.take(slot)
            del under_way[slot]
        while len(under_way) < IN_FLIGHT_AT_MOST:
            under_way[server.write(written % KEPT * DATA_BYTES, block(written))] = written
            written += 1
        if growing.done() and server.told_of_change():
            enough = written + 4 * IN_FLIGHT_AT_MOST
    assert [(server.ended(slot), server.take(slot))[0] for slot in under_way] == [OK] * len(under_way)
    for number in range(max(0, written - KEPT), written):
        assert server.read_now(number % KEPT * DATA_BYTES) == (OK, block(number)), f"block {number}"


async def test_a_volume_that_grew_while_no_server_was_connected_is_shown_whole(
    served: str, storage: Wire, dpu: Wire
) -> None:
    (bdev,) = dpu.call("bdev_get_bdevs")
    await grow(storage, served)
    await asyncio.to_thread(wait_for, lambda: size_of(dpu, bdev["name"]) == LARGE, "the DPU sees the new size")
    with VhostUserDisk(socket_of(dpu)) as server:
        assert server.size_bytes() == LARGE
        assert server.write_now(LARGE - DATA_BYTES, block(9)) == OK


@pytest.fixture
async def between(spdk_targets: Targets) -> AsyncIterator[Network]:
    """A network to the storage node that can break."""
    async with network(spdk_targets.port) as found:
        yield found


async def test_a_volume_does_not_grow_while_its_dpu_is_cut_off_and_grows_whole_afterwards(
    storage_side: StorageNode, dpu_side: DpuNode, storage: Wire, dpu: Wire, between: Network
) -> None:
    volume = await storage_side.clone("grows", SMALL)
    context = await storage_side.publish(volume, SERVER)
    await dpu_side.converge(disk(context | {"trsvcid": str(between.port)}))
    (bdev,) = dpu.call("bdev_get_bdevs")
    driver = storage_side.driver()
    await storage_side.exports.note_readers(storage_side.spdk)  # as the driver's next look does
    between.fall_silent()
    await between.end()
    await asyncio.to_thread(wait_for, lambda: connected(storage, context) == [], "the storage sees its DPU go")
    with pytest.raises(CallAgain, match=f"node {SERVER} holds it and is not connected"):
        await driver.expand(volume, SizeRange(LARGE))
    between.speak()
    async with asyncio.timeout(BACK_S):
        while await _is_refused(driver, volume):  # noqa: ASYNC110  (what changes is in the target)
            await asyncio.sleep(0.1)
    await asyncio.to_thread(wait_for, lambda: size_of(dpu, bdev["name"]) == LARGE, "the DPU sees the new size", 5.0)


async def test_a_dpu_that_was_cut_off_keeps_the_old_size_until_it_is_told_of_another(
    storage_side: StorageNode, dpu_side: DpuNode, storage: Wire, dpu: Wire, between: Network
) -> None:
    volume = await storage_side.clone("grows", SMALL)
    context = await storage_side.publish(volume, SERVER)
    await dpu_side.converge(disk(context | {"trsvcid": str(between.port)}))
    (bdev,) = dpu.call("bdev_get_bdevs")
    between.fall_silent()
    await between.end()
    await asyncio.to_thread(wait_for, lambda: state(dpu) != "enabled", "the DPU sees that it is cut off")
    await grow(storage, volume)
    between.speak()
    await asyncio.to_thread(wait_for, lambda: state(dpu) == "enabled", "the DPU is connected again")
    assert size_of(dpu, bdev["name"]) == SMALL
    await asyncio.to_thread(storage.call, "bdev_lvol_resize", name=volume, size_in_mib=LARGE // MIB + 1)
    told = LARGE + MIB
    await asyncio.to_thread(wait_for, lambda: size_of(dpu, bdev["name"]) == told, "the DPU is told", 5.0)


async def _is_refused(driver: Driver, volume: str) -> bool:
    try:
        await driver.expand(volume, SizeRange(LARGE))
    except CallAgain:
        return True
    return False


async def test_a_volume_of_the_target_itself_grows_under_a_server_too(both_sides: tuple[StorageNode, DpuNode]) -> None:
    storage, dpu_side = both_sides
    volume = await storage.clone("grows", SMALL)
    await dpu_side.converge(disk(await storage.publish(volume, SERVER)))
    (controller,) = await dpu_side.dpu.spdk.vhost_controllers()
    with VhostUserDisk(Path(controller["socket"])) as server:
        assert server.size_bytes() == SMALL
        await storage.spdk.call("bdev_lvol_resize", {"name": volume, "size_in_mib": LARGE // MIB})
        await asyncio.to_thread(wait_for, server.told_of_change, "the server is told", 5.0)
        assert server.size_bytes() == LARGE
        assert server.write_now(LARGE - DATA_BYTES, block(5)) == OK
