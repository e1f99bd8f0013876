"""A storage node and a DPU over the targets under test, each behind a tap, driven by the product's own code."""

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dpu_handler.execution.carrying import carry_out
from dpu_handler.execution.dpu import OVSDB_TABLES, Dpu
from dpu_handler.execution.observation import observe_disks
from dpu_handler.lvol.driver import Driver
from dpu_handler.lvol.exports import Exports, Way
from dpu_handler.lvol.images import Images
from dpu_handler.lvol.nvmf import NvmeTcp
from dpu_handler.lvol.pool import Pool
from dpu_handler.lvol.records import ExportRecords
from dpu_handler.lvol.volumes import SizeRange, Volumes
from dpu_handler.planning.disk import Disk, RemoteVolume, backing_of, plan, undo
from dpu_handler.planning.observed import Observed
from dpu_handler.planning.steps import Plan
from dpu_handler.southbound import ConnectionLost, EmulationClient, Function, OvsdbClient, SpdkClient
from tests.conformance.spdk.tap import Tap, tapped
from tests.conformance.spdk.wire import Refused, Wire

_FROM_THE_TOP = (
    ("vhost_get_controllers", "vhost_delete_controller", ("ctrlr", "ctrlr")),
    ("bdev_nvme_get_controllers", "bdev_nvme_detach_controller", ("name", "name")),
    ("nvmf_get_subsystems", "nvmf_delete_subsystem", ("nqn", "nqn")),
    ("bdev_lvol_get_lvstores", "bdev_lvol_delete_lvstore", ("uuid", "uuid")),
    ("bdev_get_bdevs", "bdev_aio_delete", ("name", "name")),
)
"""What there can be, in the order in which it goes: how it is listed, how removed, and what names it in both."""

MIB = 1 << 20
IMAGE = b"golden" * (8 * MIB // 6) + b"g\n"
SHA256 = hashlib.sha256(IMAGE).hexdigest()


SERVER = "11111111-2222-3333-4444-555555555555"


class NoFunctions(EmulationClient):
    """A card that shows its server nothing; what the target does is looked at without it."""

    async def function_list(self) -> list[Function]:
        return []


@dataclass(frozen=True, slots=True)
class StorageNode:
    """The lvol driver's parts over one target."""

    spdk: SpdkClient
    tap: Tap
    pool: Pool
    images: Images
    volumes: Volumes
    exports: Exports

    def driver(self) -> Driver:
        """What the gRPC face calls, over these parts."""
        driver = Driver(self.spdk, self.pool, self.images, self.volumes, self.exports)
        driver.ready.set()
        return driver

    async def clone(self, name: str, size_bytes: int = 64 * MIB) -> str:
        """UUID of a volume made from the image."""
        return (await self.volumes.create(self.spdk, name, SizeRange(size_bytes), SHA256)).uuid

    async def publish(self, volume: str, node: str) -> dict[str, str]:
        return await self.exports.publish(self.spdk, volume, node)

    async def unpublish(self, volume: str, node: str) -> None:
        await self.exports.unpublish(self.spdk, volume, node)


@dataclass(frozen=True, slots=True)
class DpuNode:
    """The agent's parts over one target."""

    dpu: Dpu
    tap: Tap

    async def converge(self, disk: Disk, decide: Callable[[Disk, Observed], Plan] = plan) -> int:
        """Observe, plan and carry out until nothing is left to do; how often a reply was lost on the way."""
        losses = 0
        for _ in range(4):
            steps = _of_the_target(decide(disk, await observe_disks(self.dpu)))
            if not steps:
                return losses
            try:
                await carry_out(self.dpu, steps)
            except ConnectionLost as loss:
                if loss.executed != "unknown":
                    raise
                losses += 1
        raise AssertionError(f"never done: {steps}")

    async def remove(self, disk: Disk) -> int:
        return await self.converge(disk, undo)


def _of_the_target(steps: Plan) -> Plan:
    """Without the stage that plugs: there is no server here."""
    stages = (tuple(step for step in stage if not type(step).__name__.startswith("Plug")) for stage in steps)
    return tuple(stage for stage in stages if stage)


@asynccontextmanager
async def storage_node(target: Path, way: Way, directory: Path) -> AsyncIterator[StorageNode]:
    """The storage node's pool on a target, open; all of it is gone afterwards."""
    (directory / f"{SHA256}.raw").write_bytes(IMAGE)
    networked = isinstance(way, NvmeTcp)
    async with tapped(target, directory / "s.sock") as tap, AsyncExitStack() as stack:
        spdk = SpdkClient(directory / "s.sock")
        stack.callback(clear, target)
        stack.callback(spdk.close)
        pool = Pool(directory / "pool.img", 256 * MIB, "lvs0", directory / "state", networked)
        await pool.open(spdk)
        images = Images(directory, pool)
        exports = Exports(ExportRecords(directory / "exports"), way)
        yield StorageNode(spdk, tap, pool, images, Volumes(pool, images), exports)


@asynccontextmanager
async def dpu_node(path: Path, directory: Path) -> AsyncIterator[DpuNode]:
    """The DPU's target; what was made there is gone afterwards."""
    none = directory / "none"
    async with tapped(path, directory / "d.sock") as tap, AsyncExitStack() as stack:
        spdk = SpdkClient(directory / "d.sock")
        dpu = Dpu(spdk, NoFunctions(none), OvsdbClient(none, OVSDB_TABLES), "br0", directory)
        stack.callback(clear, path)
        stack.callback(dpu.close)
        yield DpuNode(dpu, tap)


def disk(publish_context: dict[str, str], name: str = "mp-disk") -> Disk:
    """A disk behind what a driver published."""
    return Disk(name, f"/run/{name}", 1, None, read_only=False, backing=backing_of(publish_context))


def attach_of(publish_context: dict[str, str], **other: str) -> dict[str, object]:
    """Parameters with which the agent attaches, some of them replaced."""
    backing = backing_of(publish_context)
    assert isinstance(backing, RemoteVolume)
    return {**backing.attach().params, **other}


def clear(target: Path) -> None:
    """Take away all that there is, from the top."""
    with Wire(target) as wire:
        present = set(wire.call("rpc_get_methods"))
        for listing, removal, noun in _FROM_THE_TOP:
            # A storage node's target serves no vhost disks.
            for each in wire.call(listing) if listing in present else ():
                if each.get("subtype") != "Discovery":
                    wire.call(removal, **{noun[1]: each[noun[0]]})


def size_of(wire: Wire, name: str) -> int | None:
    """Size of a bdev in bytes; None when there is none of that name."""
    try:
        (bdev,) = wire.call("bdev_get_bdevs", name=name)
    except Refused:
        return None
    size: int = bdev["num_blocks"] * bdev["block_size"]
    return size


def methods(requests: list[dict[str, Any]]) -> list[str]:
    """Names of the requests that change something."""
    names = [request["method"] for request in requests]
    return [name for name in names if "_get_" not in name and name != "bdev_wait_for_examine"]
