"""The NVMe-oF initiator: controllers that are attached to a remote subsystem, and the bdevs that their namespaces are.

The wire is NBD (`nvmf`). A connection that is lost is made anew for ever and its I/O waits meanwhile, as with SPDK's
`ctrlr_loss_timeout_sec` -1 and `fast_io_fail_timeout_sec` 0; a detach fails what waits. A disabled controller is one by
its state alone, which decides whether a detach waits for the storage node.
"""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from sandbox.spdk.bdevs import FILE_EXISTS, NO_SUCH_DEVICE, Bdev, BdevRegistry, BlockNode
from sandbox.spdk.data_path import Connection, DataPath
from sandbox.spdk.dispatch import INVALID_ARGUMENT, Json, MethodTable, Params, RpcError
from sandbox.spdk.nbd import ExportInfo, NbdRefused, NbdSilent
from sandbox.spdk.nvmf import export_name
from sandbox.spdk.storage_daemon import StorageDaemonError

BLOCK_BYTES = 512
_TRANSFER_BYTES = 128 * 1024
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
    """An attached controller.

    It has no bdev while its subsystem shows no namespace, or one whose UUID an older controller holds.
    """

    params: Attach
    connection: Connection
    bdev: NvmeBdev | None = None
    state: Literal["enabled", "disabled", "deleting"] = "enabled"

    @property
    def shown_state(self) -> str:
        """As the target lists it."""
        lost = self.state == "enabled" and not self.connection.connected
        return "reconnect_is_delayed" if lost else self.state


class NvmeBdev(Bdev):
    """A namespace of a remote subsystem."""

    product_name = "NVMe disk"
    io_types = frozenset(
        {"read", "write", "unmap", "flush", "reset", "nvme_admin", "nvme_io", "write_zeroes", "compare", "abort",
         "compare_and_write", "copy"}
    )  # fmt: skip

    def __init__(self, daemon: DataPath, params: Attach, connection: Connection) -> None:
        identity = _identity(connection.info)
        super().__init__(f"{params.name}n1", identity["uuid"], BLOCK_BYTES, connection.info.size_bytes // BLOCK_BYTES)
        self._daemon = daemon
        self._connection = connection
        self._users = 0
        self._detached = False
        self._disconnecting = False
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

    @property
    def node_name(self) -> str:
        return self._connection.node_name

    def driver_specific(self) -> dict[str, Json]:
        return dict(self.detail)

    @property
    def fails(self) -> bool:
        return self._detached

    async def acquire_node(self) -> BlockNode:
        self._users += 1
        return BlockNode(self._daemon, self.node_name)

    async def release_node(self) -> None:
        self._users -= 1
        await self._disconnect_unused()

    def detach(self) -> None:
        """Its controller goes: whatever is asked of it fails."""
        self._detached = True
        if self._users:
            self._connection.give_up()

    async def disconnect(self) -> None:
        """Close the connection, as soon as nobody has the node any more."""
        self._disconnecting = True
        await self._disconnect_unused()

    async def _disconnect_unused(self) -> None:
        if self._disconnecting and not self._users:
            await self._connection.close()


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
        controller = Controller(params, await self._connect(params))
        self._controllers[params.name] = controller
        await self._show_namespace(controller)
        return [controller.bdev.name] if controller.bdev is not None else []

    async def detach(self, params: Name) -> Json:
        """What waits for the subsystem fails, and whoever holds the bdev is left with none.

        The storage node is told good-bye first, and its answer waited for; a disabled controller has none to tell.
        """
        controller = self._controller(params.name)
        if controller.state != "disabled":
            await _say_goodbye(controller)
        del self._controllers[params.name]
        bdev, controller.bdev = controller.bdev, None
        if bdev is None:
            await controller.connection.close()
            return True
        bdev.detach()
        await self._registry.unregister(bdev)
        await bdev.disconnect()
        return True

    async def reset(self, params: Name) -> Json:
        self._controller(params.name).connection.reset()
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

    async def _connect(self, params: Attach) -> Connection:
        name = export_name(params.subnqn, params.hostnqn)
        try:
            port = int(params.trsvcid or "4420")
            return await self._daemon.connect_to_export(params.traddr, port, name, lambda _: self._changed(params.name))
        except (NbdRefused, StorageDaemonError, ValueError) as error:
            raise _INPUT_OUTPUT from error

    async def _show_namespace(self, controller: Controller) -> None:
        if _identity(controller.connection.info) == {}:
            return
        bdev = NvmeBdev(self._daemon, controller.params, controller.connection)
        # While an older controller holds this namespace the target says yes to an attach, and shows nothing.
        if all(bdev.uuid != other.uuid for other in self._registry):
            controller.bdev = bdev
            await self._registry.register(bdev)

    async def _changed(self, name: str) -> None:
        """The subsystem shows something else: another size, no namespace any more, or one again."""
        controller = self._controllers.get(name)
        if controller is None:
            return
        bdev, connection = controller.bdev, controller.connection
        if bdev is None:
            await self._show_namespace(controller)
        elif _identity(connection.info).get("uuid") != bdev.uuid:
            controller.bdev = None
            await self._registry.unregister(bdev)
            await self._show_namespace(controller)
        elif connection.info.size_bytes != bdev.size_bytes:
            await self._registry.resized(bdev, connection.info.size_bytes // BLOCK_BYTES)


async def _say_goodbye(controller: Controller) -> None:
    try:
        await controller.connection.say_goodbye()
    except NbdSilent as error:
        controller.state = "deleting"
        raise _TIMED_OUT from error


def _identity(info: ExportInfo) -> dict[str, Any]:
    """What the subsystem shows of its namespace; nothing when it has none."""
    identity: dict[str, Any] = json.loads(info.description)
    return identity


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
    host = {"nqn": controller.params.hostnqn, "addr": "", "svcid": "", "no_shn_notification": False}
    return {
        "name": controller.params.name,
        "ctrlrs": [{"state": controller.shown_state, "trid": _trid(controller.params), "cntlid": 1, "host": host}],
    }
