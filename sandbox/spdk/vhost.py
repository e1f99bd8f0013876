"""vhost-blk controllers: bdevs served as vhost-user-blk disks by the storage daemon, on a socket each.

Between a disk and its bdev lies a node of the controller's own, so that the server stays connected while what is
beneath changes: a bdev that has another size and another node, or none any more, when every request fails.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.spdk.bdevs import NO_SUCH_DEVICE_PARAM, Bdev, BdevRegistry, Opening
from sandbox.spdk.data_path import DataPath
from sandbox.spdk.dispatch import INTERNAL_ERROR, INVALID_ARGUMENT, INVALID_PARAMS, Json, MethodTable, Params, RpcError

_MISSING_ON_GET = RpcError.from_errno(errno.ENODEV, INTERNAL_ERROR)
_EXISTS = RpcError.from_errno(errno.EEXIST, INVALID_PARAMS)
_CPUMASK = 0x1
_LOOK_AGAIN_S = 0.05
_NODES = itertools.count(1)


class CreateBlk(Params):
    ctrlr: str
    dev_name: str
    cpumask: str | None = None
    readonly: bool = False
    packed_ring: bool = False
    packed_ring_recovery: bool = False
    transport: str = "vhost_user_blk"


class MaybeName(Params):
    name: str | None = None


class Delete(Params):
    ctrlr: str


@dataclass
class Controller:
    """One controller; without a bdev where that was taken away beneath it. `held` is the bdev whose node it has."""

    name: str
    socket: Path
    read_only: bool
    bdev: Bdev | None
    held: Bdev | None = None
    opening: Opening | None = None
    number: int = field(default_factory=lambda: next(_NODES))
    below: str = ""
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def export_id(self) -> str:
        return f"vhost-{self.number}"

    @property
    def node_name(self) -> str:
        return f"disk-{self.number}"

    @property
    def node_without_bdev(self) -> str:
        return f"nothing-{self.number}"

    def node(self, below: str) -> dict[str, Json]:
        """The controller's node, over another one; such a `raw` node only passes on."""
        return {"driver": "raw", "node-name": self.node_name, "read-only": self.read_only, "file": below}


class VhostRpc:
    """The controllers of one target; their sockets are in `directory`."""

    def __init__(self, registry: BdevRegistry, daemon: DataPath, directory: Path) -> None:
        self._registry = registry
        self._daemon = daemon
        self._directory = directory
        self._controllers: dict[str, Controller] = {}

    def add_to(self, table: MethodTable) -> None:
        table.add("vhost_create_blk_controller", CreateBlk, self.create)
        table.add("vhost_get_controllers", MaybeName, self.get, optional=True)
        table.add("vhost_delete_controller", Delete, self.delete)

    async def create(self, params: CreateBlk) -> Json:
        if params.cpumask is not None and not int(params.cpumask, 16) & _CPUMASK:
            raise INVALID_ARGUMENT
        if params.ctrlr in self._controllers:
            raise _EXISTS
        bdev = self._registry.get(params.dev_name, NO_SUCH_DEVICE_PARAM)
        socket = self._directory / params.ctrlr
        socket.unlink(missing_ok=True)
        read_only = params.readonly or bdev.read_only
        controller = Controller(params.ctrlr, socket, read_only, bdev)
        controller.opening = bdev.open(
            lambda: self._bdev_gone(controller), lambda size_bytes: self._bdev_resized(controller, size_bytes)
        )
        # A bdev may be served twice and nothing warns of it: exclusivity is whoever calls.
        await self._serve(controller, bdev)
        self._controllers[params.ctrlr] = controller
        return True

    async def get(self, params: MaybeName) -> Json:
        if params.name is not None and params.name not in self._controllers:
            raise _MISSING_ON_GET
        names = list(self._controllers) if params.name is None else [params.name]
        peers = self._daemon.vhost_peers()
        return [self._describe(self._controllers[name], peers) for name in names]

    async def delete(self, params: Delete) -> Json:
        """Answers only once nobody is connected, and deletes then even if whoever asked has gone."""
        controller = self._controllers.get(params.ctrlr)
        if controller is None:
            raise NO_SUCH_DEVICE_PARAM
        # What changes is in the kernel.
        while self._daemon.vhost_peers().get(controller.socket):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_AGAIN_S)
        if self._controllers.pop(params.ctrlr, None) is None:
            raise NO_SUCH_DEVICE_PARAM
        async with controller.changing:
            await self._take_down(controller)
        return True

    async def _serve(self, controller: Controller, bdev: Bdev) -> None:
        controller.below, controller.held = (await bdev.acquire_node()).name, bdev
        await self._daemon.execute_raw("blockdev-add", controller.node(controller.below))
        await self._export(controller)

    async def _export(self, controller: Controller) -> None:
        await self._daemon.execute_raw(
            "block-export-add",
            {
                "type": "vhost-user-blk",
                "id": controller.export_id,
                "node-name": controller.node_name,
                "addr": {"type": "unix", "path": str(controller.socket)},
                "writable": not controller.read_only,
                # The card offers the server a write cache, so the server flushes what it wants kept.
                "writethrough": False,
                "num-queues": 1,
                "logical-block-size": 512,
            },
        )

    async def _bdev_resized(self, controller: Controller, size_bytes: int) -> None:
        async with controller.changing:
            if controller.bdev is None:
                return
            await self._stand_on(controller, controller.bdev.node_name)
            resize = {"node_name": controller.node_name, "size": size_bytes}
            if self._daemon.vhost_peers().get(controller.socket):
                await self._daemon.execute("block_resize", **resize)
                return
            # The storage daemon (10.0) crashes when an export that nobody has ever connected to is resized.
            await self._daemon.delete_export(controller.export_id)
            await self._daemon.execute("block_resize", **resize)
            controller.socket.unlink(missing_ok=True)
            await self._export(controller)

    async def _bdev_gone(self, controller: Controller) -> None:
        """The bdev was taken away: the controller stays, and the server's requests fail."""
        async with controller.changing:
            bdev, controller.bdev = controller.bdev, None
            if bdev is None:
                return
            if controller.opening is not None:
                bdev.close(controller.opening)
            if not bdev.fails:
                await self._daemon.execute_raw("blockdev-add", _failing(controller.node_without_bdev, bdev.size_bytes))
                await self._stand_on(controller, controller.node_without_bdev)
                controller.held = None
                await bdev.release_node()

    async def _stand_on(self, controller: Controller, below: str) -> None:
        if below != controller.below:
            await self._daemon.execute("blockdev-reopen", options=[controller.node(below)])
            controller.below = below

    async def _take_down(self, controller: Controller) -> None:
        await self._daemon.delete_export(controller.export_id)
        controller.socket.unlink(missing_ok=True)
        await self._daemon.execute("blockdev-del", node_name=controller.node_name)
        if controller.bdev is not None and controller.opening is not None:
            controller.bdev.close(controller.opening)
        if controller.held is None:
            await self._daemon.execute("blockdev-del", node_name=controller.node_without_bdev)
        else:
            await controller.held.release_node()

    def _describe(self, controller: Controller, peers: Mapping[Path, int]) -> Json:
        sessions = [
            {
                "vid": number,
                "id": number,
                "name": f"{controller.name}s{number}",
                "started": True,
                "max_queues": 1,
                "inflight_task_cnt": 0,
            }
            for number in range(peers.get(controller.socket, 0))
        ]
        return {
            "ctrlr": controller.name,
            "cpumask": f"{_CPUMASK:#x}",
            "delay_base_us": 0,
            "iops_threshold": 60000,
            "socket": str(controller.socket),
            "sessions": sessions,
            "backend_specific": {
                "block": {
                    "readonly": controller.read_only,
                    "bdev": None if controller.bdev is None else controller.bdev.name,
                    "transport": "vhost_user_blk",
                }
            },
        }


def _failing(node_name: str, size_bytes: int) -> dict[str, Json]:
    """A node of that size whose every request fails with EIO."""
    error = {"event": "none", "errno": errno.EIO, "once": False, "immediately": True}
    nothing = {"driver": "null-co", "size": size_bytes}
    return {"driver": "blkdebug", "node-name": node_name, "image": nothing, "inject-error": [error]}
