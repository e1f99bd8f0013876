"""The NVMe-oF initiator: controllers that are attached to a remote subsystem, and the bdevs that their namespaces are.

The wire is NBD (`nvmf`). The storage daemon reconnects by itself and holds I/O back meanwhile, as SPDK does with
`ctrlr_loss_timeout_sec` -1. It cannot be told to cut a connection: a disabled controller is one by its state alone,
which decides whether a detach waits for the storage node.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import json
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from sandbox.spdk.bdevs import FILE_EXISTS, NO_SUCH_DEVICE, Bdev, BdevRegistry, BlockNode
from sandbox.spdk.data_path import DataPath
from sandbox.spdk.dispatch import INVALID_ARGUMENT, Json, MethodTable, Params, RpcError
from sandbox.spdk.nbd import ExportInfo, NbdRefused, NbdSilent
from sandbox.spdk.nvmf import export_name
from sandbox.spdk.storage_daemon import StorageDaemonError

_ATTACHES = itertools.count(1)
_TRANSFER_BYTES = 128 * 1024
_RECONNECT_S = 7 * 24 * 3600
_ANSWER_S = 3.0
_INPUT_OUTPUT = RpcError.from_errno(errno.EIO)
_TIMED_OUT = RpcError.from_errno(errno.ETIMEDOUT)
_INVALID = RpcError.from_errno(errno.EINVAL)


class Attach(Params):
    name: str
    trtype: str
    traddr: str
    adrfam: str = "IPv4"
    trsvcid: str = ""
    subnqn: str = ""
    hostnqn: str = "nqn.2014-08.org.nvmexpress:uuid:00000000-0000-0000-0000-000000000000"
    ctrlr_loss_timeout_sec: int = Field(default=0, ge=-1)
    reconnect_delay_sec: int = Field(default=0, ge=0)
    fast_io_fail_timeout_sec: int = Field(default=0, ge=0)
    multipath: str = "multipath"
    num_io_queues: int = 1024

    @property
    def path(self) -> tuple[str, str, str, str]:
        return (self.traddr, self.trsvcid, self.subnqn, self.hostnqn)


class Name(Params):
    name: str


class MaybeName(Params):
    name: str | None = None


@dataclass
class Controller:
    """An attached controller; without a bdev where an older one holds the namespace's UUID."""

    params: Attach
    bdev: NvmeBdev | None
    state: Literal["enabled", "disabled", "deleting"] = "enabled"


class NvmeBdev(Bdev):
    """A namespace of a remote subsystem."""

    product_name = "NVMe disk"
    io_types = frozenset(
        {"read", "write", "unmap", "flush", "reset", "nvme_admin", "nvme_io", "write_zeroes", "compare", "abort",
         "compare_and_write", "copy"}
    )  # fmt: skip

    def __init__(self, daemon: DataPath, params: Attach, info: ExportInfo) -> None:
        identity = json.loads(info.description)
        super().__init__(f"{params.name}n1", identity["uuid"], 512, info.size_bytes // 512)
        self._daemon = daemon
        self.node_name = f"nvme-{next(_ATTACHES)}-{params.name[:18]}"
        controller = {
            "cntlid": 1,
            "vendor_id": "0x8086",
            "model_number": identity["model_number"],
            "serial_number": identity["serial_number"],
            "firmware_revision": "26.09",
            "subnqn": params.subnqn,
            "oacs": {"security": 0, "format": 0, "firmware": 0, "ns_manage": 0},
            "multi_ctrlr": True,
            "ana_reporting": False,
        }
        namespace = {"vs": {"nvme_version": "2.0"}, "ns_data": {"id": 1, "can_share": True}}
        self.detail = {
            "nvme": [{"trid": _trid(params), "ctrlr_data": controller, **namespace}],
            "mp_policy": "active_passive",
        }

    @property
    def optional_members(self) -> dict[str, Json]:
        return {"numa_id": -1}

    @property
    def memory_domains(self) -> list[str]:
        return ["DMA"]

    @property
    def write_hints(self) -> tuple[int, int, int]:
        return (1, 1, _TRANSFER_BYTES // self.block_size)

    def driver_specific(self) -> dict[str, Json]:
        return dict(self.detail)

    async def acquire_node(self) -> BlockNode:
        return BlockNode(self._daemon, self.node_name)

    async def release_node(self) -> None:
        """The node lives as long as the controller is attached."""


class NvmeRpc:
    """The controllers of one target."""

    def __init__(self, registry: BdevRegistry, daemon: DataPath) -> None:
        self._registry = registry
        self._daemon = daemon
        self._controllers: dict[str, Controller] = {}

    def add_to(self, table: MethodTable) -> None:
        table.add("bdev_nvme_attach_controller", Attach, self.attach)
        table.add("bdev_nvme_detach_controller", Name, self.detach)
        table.add("bdev_nvme_disable_controller", Name, self.disable, decode_error=INVALID_ARGUMENT)
        table.add("bdev_nvme_enable_controller", Name, self.enable, decode_error=INVALID_ARGUMENT)
        table.add("bdev_nvme_get_controllers", MaybeName, self.get_controllers, optional=True)

    async def attach(self, params: Attach) -> Json:
        _check_times(params)
        known = self._controllers.get(params.name)
        if known is not None:
            raise RpcError(
                -errno.EALREADY, f"A controller named {params.name} already exists with the specified network path"
            )
        if any(other.params.path == params.path for other in self._controllers.values()):
            raise FILE_EXISTS
        info = await self._connect(params)
        bdev = NvmeBdev(self._daemon, params, info)
        if any(bdev.uuid == other.uuid for other in self._registry):
            # An older controller still holds this namespace: the target says yes, and shows nothing.
            self._controllers[params.name] = Controller(params, None)
            return []
        await self._open(bdev, params)
        self._controllers[params.name] = Controller(params, bdev)
        await self._registry.register(bdev)
        return [bdev.name]

    async def detach(self, params: Name) -> Json:
        """Tells the storage node good-bye first and waits for its answer; a disabled controller has none to tell."""
        controller = self._controller(params.name)
        try:
            reachable = await self._is_reachable(controller)
        except NbdSilent as error:
            controller.state = "deleting"
            raise _TIMED_OUT from error
        del self._controllers[params.name]
        if controller.bdev is not None:
            await self._registry.unregister(controller.bdev)
            # One that was cut off stays open and unused: closing flushes it first, and would wait.
            if reachable:
                await self._daemon.execute("blockdev-del", node_name=controller.bdev.node_name)
        return True

    async def disable(self, params: Name) -> Json:
        self._controller(params.name).state = "disabled"
        return True

    async def enable(self, params: Name) -> Json:
        self._controller(params.name).state = "enabled"
        return True

    async def get_controllers(self, params: MaybeName) -> Json:
        if params.name is not None and params.name not in self._controllers:
            raise RpcError(-errno.EINVAL, f"Controller {params.name} does not exist")
        names = list(self._controllers) if params.name is None else [params.name]
        return [_describe(self._controllers[name]) for name in names]

    def _controller(self, name: str) -> Controller:
        controller = self._controllers.get(name)
        if controller is None:
            raise NO_SUCH_DEVICE
        return controller

    async def _connect(self, params: Attach) -> ExportInfo:
        try:
            return await self._export_info(params)
        except (NbdRefused, ValueError) as error:
            raise _INPUT_OUTPUT from error

    async def _is_reachable(self, controller: Controller) -> bool:
        """Whether the storage node lets it in. Raises NbdSilent where it has to be asked and does not answer."""
        try:
            async with asyncio.timeout(_ANSWER_S if controller.state == "disabled" else None):
                await self._export_info(controller.params)
        except TimeoutError:
            return False
        except NbdSilent:
            raise
        except NbdRefused:
            return False
        return True

    async def _export_info(self, params: Attach) -> ExportInfo:
        name = export_name(params.subnqn, params.hostnqn)
        return await self._daemon.export_info(params.traddr, int(params.trsvcid or "4420"), name)

    async def _open(self, bdev: NvmeBdev, params: Attach) -> None:
        try:
            await self._daemon.execute_raw(
                "blockdev-add",
                {
                    "driver": "nbd",
                    "node-name": bdev.node_name,
                    "server": {"type": "inet", "host": params.traddr, "port": params.trsvcid},
                    "export": export_name(params.subnqn, params.hostnqn),
                    "reconnect-delay": _RECONNECT_S,
                },
            )
        except StorageDaemonError as error:
            raise _INPUT_OUTPUT from error


def _check_times(params: Attach) -> None:
    """The rules of `bdev_nvme_check_io_error_resiliency_params` in SPDK."""
    loss, delay, fast = params.ctrlr_loss_timeout_sec, params.reconnect_delay_sec, params.fast_io_fail_timeout_sec
    if loss == 0 and (delay or fast):
        raise _INVALID
    if loss != 0 and delay == 0:
        raise _INVALID
    if loss > 0 and (delay > loss or fast > loss):
        raise _INVALID
    if fast and fast < delay:
        raise _INVALID


def _trid(params: Attach) -> dict[str, str]:
    return {
        "trtype": params.trtype.upper(),
        "adrfam": params.adrfam,
        "traddr": params.traddr,
        "trsvcid": params.trsvcid,
        "subnqn": params.subnqn,
    }


def _describe(controller: Controller) -> Json:
    params = controller.params
    host = {"nqn": params.hostnqn, "addr": "", "svcid": "", "no_shn_notification": False}
    return {
        "name": params.name,
        "ctrlrs": [{"state": controller.state, "trid": _trid(params), "cntlid": 1, "host": host}],
    }
