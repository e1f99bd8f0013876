"""The NVMe-oF initiator: controllers that are attached to a remote subsystem, and the bdevs that their namespaces are.

The wire is NBD (`nvmf`). The storage daemon reconnects by itself and holds I/O back meanwhile, as SPDK does with
`ctrlr_loss_timeout_sec` -1.
"""

from __future__ import annotations

import errno
import itertools
import json
from dataclasses import dataclass

from pydantic import Field

from sandbox.spdk.bdevs import FILE_EXISTS, NO_SUCH_DEVICE, Bdev, BdevRegistry, BlockNode
from sandbox.spdk.data_path import DataPath
from sandbox.spdk.dispatch import INVALID_ARGUMENT, Json, MethodTable, Params, RpcError
from sandbox.spdk.nbd import ExportInfo, NbdRefused
from sandbox.spdk.nvmf import export_name
from sandbox.spdk.storage_daemon import StorageDaemonError

_ATTACHES = itertools.count(1)
_TRANSFER_BYTES = 128 * 1024
_RECONNECT_S = 7 * 24 * 3600
_INPUT_OUTPUT = RpcError.from_errno(errno.EIO)
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
        table.add("bdev_nvme_reset_controller", Name, self.reset, decode_error=INVALID_ARGUMENT)
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
        controller = self._controllers.pop(params.name, None)
        if controller is None:
            raise NO_SUCH_DEVICE
        if controller.bdev is not None:
            await self._registry.unregister(controller.bdev)
            await self._close(controller.bdev, controller.params)
        return True

    async def reset(self, params: Name) -> Json:
        """Nothing is under way here that a cut could bring back: the storage daemon connects anew by itself."""
        if params.name not in self._controllers:
            raise NO_SUCH_DEVICE
        return True

    async def get_controllers(self, params: MaybeName) -> Json:
        if params.name is not None and params.name not in self._controllers:
            raise RpcError(-errno.EINVAL, f"Controller {params.name} does not exist")
        names = list(self._controllers) if params.name is None else [params.name]
        return [_describe(self._controllers[name].params) for name in names]

    async def _connect(self, params: Attach) -> ExportInfo:
        name = export_name(params.subnqn, params.hostnqn)
        try:
            return await self._daemon.export_info(params.traddr, int(params.trsvcid or "4420"), name)
        except (NbdRefused, ValueError) as error:
            raise _INPUT_OUTPUT from error

    async def _close(self, bdev: NvmeBdev, params: Attach) -> None:
        """Close the node; one that was cut off stays open and unused, for closing flushes it first, and would wait."""
        try:
            await self._connect(params)
        except RpcError:
            return
        await self._daemon.execute("blockdev-del", node_name=bdev.node_name)

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


def _describe(params: Attach) -> Json:
    host = {"nqn": params.hostnqn, "addr": "", "svcid": "", "no_shn_notification": False}
    return {
        "name": params.name,
        "ctrlrs": [{"state": "enabled", "trid": _trid(params), "cntlid": 1, "host": host}],
    }
