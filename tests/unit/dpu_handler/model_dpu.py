"""A model of one DPU behind the agent's own clients: an SPDK target, a device emulation, Open vSwitch's tables.

It is no stand-in for them (the conformance suites have those). It lets a plan be cut off at any change, and it fails at
once, with ``Harm``, when it is asked for what a real one would do and a user's data or server would suffer from.
"""

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dpu_handler.execution.dpu import Dpu
from dpu_handler.southbound import (
    ConnectionLost,
    DeadlineExceeded,
    EmulationClient,
    RpcRefused,
    SpdkClient,
)
from sandbox.fleet.switch import BRIDGE, Row, Tables, empty_tables
from tests.unit.dpu_handler.model_ovsdb import ModelOvsdb

VHOST_DIR = Path("/run/vhost")
SIZE_BYTES = 1 << 30

Params = Mapping[str, Any]


class Harm(AssertionError):
    """The agent did what it must never do."""


@dataclass
class Fault:
    """The change with number ``at`` (from 0) breaks; ``executed`` says whether it was carried out before it broke."""

    at: int
    executed: bool


@dataclass
class ModelDpu:
    """State of the DPU. ``exports`` is the storage's side: subsystem -> (volume's UUID, host NQNs let in)."""

    exports: dict[str, tuple[str, set[str]]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    lvols: set[str] = field(default_factory=set)
    nvme: dict[str, Row] = field(default_factory=dict)
    vhost: dict[str, str | None] = field(default_factory=dict)
    functions: dict[int, Row] = field(default_factory=dict)
    powered: bool = False
    clinging: set[int] = field(default_factory=set)
    """Slots that the server's operating system does not let go of while it has power."""
    forced: dict[int, bool] = field(default_factory=dict)
    """Slots that somebody wants taken from a running server by force, and whether the card can."""
    waiting: set[str] = field(default_factory=set)
    """vhost controllers with requests under way to a storage node that fell silent."""
    silent: bool = False
    """Whether the storage node answers nothing, though its connections are there."""
    tables: Tables = field(default_factory=empty_tables)
    fault: Fault | None = None
    changes: list[str] = field(default_factory=list)

    def clients(self) -> Dpu:
        return Dpu(ModelSpdk(self), ModelEmulation(self), ModelOvsdb(self.tables, self.change), BRIDGE, VHOST_DIR)

    def snapshot(self) -> Any:
        """All of its state, to be compared."""
        ports = {name: self.port(name) for name in self.ports()}
        return repr((self.files, self.nvme, self.vhost, sorted(self.functions.items()), ports))

    def restart_target(self) -> None:
        """What a restart of SPDK loses."""
        self.nvme, self.files, self.vhost = {}, {}, {}

    def sessions(self, controller: str) -> list[Row]:
        """A server's, or what its requests under way keep of it."""
        connected = self.powered and self.slots_of(controller)
        inflight = 2 if controller in self.waiting else 0
        return [{"vid": 0, "started": True, "inflight_task_cnt": inflight}] if connected or inflight else []

    def slots_of(self, controller: str) -> list[int]:
        socket = str(VHOST_DIR / controller)
        return [slot for slot, each in self.functions.items() if each["backing"].get("vhost_socket") == socket]

    def is_stuck(self, bdev: str | None) -> bool:
        """Whether requests to the bdev wait for a storage node that cannot be reached, or lets us in no more."""
        return any(bdev == f"{name}n1" and each["state"] != "enabled" for name, each in self.nvme.items())

    def is_shut_out(self, name: str) -> bool:
        """Whether the storage lets a controller's host in no more: its requests never come back."""
        each = self.nvme[name]
        _, hosts = self.exports.get(each["subnqn"], ("", set()))
        return each["state"] != "enabled" and each["hostnqn"] not in hosts

    def bdevs(self) -> dict[str, Row]:
        files = {name: {"aio": {"filename": path}} for name, path in self.files.items()}
        remote: dict[str, Row] = {f"{name}n1": {} for name, each in self.nvme.items() if each["shown"]}
        uuids = {f"{name}n1": each["uuid"] for name, each in self.nvme.items()} | {name: name for name in self.lvols}
        everything: dict[str, Row] = {**files, **remote, **{name: {} for name in self.lvols}}
        return {
            name: {
                "name": name,
                "uuid": uuids.get(name, f"uuid-of-{name}"),
                "num_blocks": SIZE_BYTES // 512,
                "block_size": 512,
                "driver_specific": specific,
            }
            for name, specific in everything.items()
        }

    def ports(self) -> list[str]:
        return sorted(row["name"] for row in self.tables["Port"].values())

    def port(self, name: str) -> Row:
        """A port with what its interface says of it."""
        (port,) = (row for row in self.tables["Port"].values() if row["name"] == name)
        (interface,) = (row for row in self.tables["Interface"].values() if row["name"] == name)
        return {"tag": port["tag"]} | {key: interface[key] for key in ("external_ids", "mtu_request", "type")}

    def change(self, method: str) -> bool:
        """Count a change. Raises if it is to break before it was executed; True if it is to break afterwards."""
        number = len(self.changes)
        self.changes.append(method)
        if self.fault is None or self.fault.at != number:
            return False
        if not self.fault.executed:
            raise ConnectionLost(method, executed="unknown")
        return True


class ModelSpdk(SpdkClient):
    """The agent's client, cut off above the wire."""

    def __init__(self, model: ModelDpu) -> None:
        self._model = model

    async def call(self, method: str, params: Params | None = None, *, timeout_s: float | None = None) -> Any:
        serve = getattr(self, f"_{method}", None)
        if serve is None:
            raise Harm(f"nothing of the agent's sends {method}")
        if "_get_" in method:
            return serve(**(params or {}))
        lost = self._model.change(method)
        result = serve(**(params or {}))
        if lost:
            raise ConnectionLost(method, executed="unknown")
        return result

    def close(self) -> None:
        """Nothing is open."""

    def _bdev_get_bdevs(self) -> list[Row]:
        return list(self._model.bdevs().values())

    def _bdev_nvme_get_controllers(self) -> list[Row]:
        return [
            {
                "name": name,
                "ctrlrs": [
                    {"state": each["state"], "trid": {"subnqn": each["subnqn"]}, "host": {"nqn": each["hostnqn"]}}
                ],
            }
            for name, each in self._model.nvme.items()
        ]

    def _vhost_get_controllers(self, name: str | None = None) -> list[Row]:
        model = self._model
        if name is not None and name not in model.vhost:
            raise RpcRefused(-32603, "No such device", "vhost_get_controllers")
        return [
            {"ctrlr": each, "backend_specific": {"block": {"bdev": bdev}}, "sessions": model.sessions(each)}
            for each, bdev in model.vhost.items()
            if name in (None, each)
        ]

    def _bdev_nvme_attach_controller(self, name: str, subnqn: str, hostnqn: str, **rest: Any) -> list[str]:
        if rest["ctrlr_loss_timeout_sec"] != -1 or rest["fast_io_fail_timeout_sec"] != 0:
            raise Harm("a controller that gives up takes the bdev away under a running server")
        if name in self._model.nvme:
            raise RpcRefused(-errno.EALREADY, "A controller of that name already exists", "attach")
        volume, hosts = self._model.exports.get(subnqn, ("", set()))
        if hostnqn not in hosts:
            raise RpcRefused(-errno.EIO, "Input/output error", "attach")
        held = any(bdev["uuid"] == volume for bdev in self._model.bdevs().values())
        self._model.nvme[name] = attached(volume, subnqn, hostnqn, shown=not held)
        return [] if held else [f"{name}n1"]

    def _bdev_nvme_detach_controller(self, name: str) -> bool:
        if name not in self._model.nvme:
            raise RpcRefused(-errno.ENODEV, "No such device", "detach")
        if any(self._model.vhost.get(controller) == f"{name}n1" for controller in self._model.waiting):
            raise Harm("a detach waits for requests under way, and the target crashes when they come back late")
        if self._model.silent and self._model.nvme[name]["state"] == "enabled":
            raise Harm("a detach waits for the answer of a silent storage node, and cannot be taken back")
        if self._model.is_stuck(f"{name}n1"):
            self._drop(f"{name}n1")
        self._free(f"{name}n1")
        del self._model.nvme[name]
        return True

    def _bdev_nvme_disable_controller(self, name: str) -> bool:
        if name not in self._model.nvme:
            raise RpcRefused(-errno.ENODEV, "No such device", "disable")
        if self._model.nvme[name]["state"] == "resetting":
            raise RpcRefused(-errno.EBUSY, "Device or resource busy", "disable")
        served = [controller for controller, bdev in self._model.vhost.items() if bdev == f"{name}n1"]
        used = self._model.powered and any(self._model.slots_of(controller) for controller in served)
        if used and not self._model.is_shut_out(name):
            raise Harm("requests of a running server are failed")
        if self._model.nvme[name]["state"] == "enabled":
            # Others are with the target itself, and come back with its next try.
            self._model.waiting -= set(served)
        self._model.nvme[name]["state"] = "disabled"
        return True

    def _bdev_nvme_enable_controller(self, name: str) -> bool:
        if name not in self._model.nvme:
            raise RpcRefused(-errno.ENODEV, "No such device", "enable")
        each = self._model.nvme[name]
        if each["state"] != "disabled":
            return True
        if self._model.silent:
            each["state"] = "resetting"
            raise DeadlineExceeded("bdev_nvme_enable_controller", 0.5, executed="unknown")
        _, hosts = self._model.exports.get(each["subnqn"], ("", set()))
        each["state"] = "enabled" if each["hostnqn"] in hosts else "reconnect_is_delayed"
        return True

    def _bdev_aio_create(self, name: str, filename: str, block_size: int, readonly: bool) -> str:
        if name in self._model.files:
            raise RpcRefused(-errno.EEXIST, "File exists", "bdev_aio_create")
        if not readonly:
            raise Harm("a seed is never written")
        self._model.files[name] = filename
        return name

    def _bdev_aio_delete(self, name: str) -> bool:
        if name not in self._model.files:
            raise RpcRefused(-errno.ENODEV, "No such device", "bdev_aio_delete")
        self._free(name)
        del self._model.files[name]
        return True

    def _vhost_create_blk_controller(self, ctrlr: str, dev_name: str, readonly: bool = False) -> bool:
        bdev = self._model.bdevs().get(dev_name)
        if bdev is None:
            raise RpcRefused(-32602, "No such device", "vhost_create_blk_controller")
        if ctrlr in self._model.vhost:
            raise RpcRefused(-32602, "File exists", "vhost_create_blk_controller")
        if bdev["name"] in self._model.vhost.values():
            raise Harm(f"{dev_name} is exported twice, and both exports write to it")
        self._model.vhost[ctrlr] = bdev["name"]
        return True

    def _vhost_delete_controller(self, ctrlr: str) -> bool:
        if self._model.sessions(ctrlr):
            raise Harm("with a server connected the target never answers this")
        if self._model.slots_of(ctrlr):
            raise Harm(f"a slot still points at the socket of {ctrlr}")
        if ctrlr not in self._model.vhost:
            raise RpcRefused(-32602, "No such device", "vhost_delete_controller")
        if self._model.is_stuck(self._model.vhost[ctrlr]):
            raise Harm("with requests waiting for the storage the target never answers this")
        del self._model.vhost[ctrlr]
        return True

    def _drop(self, bdev: str) -> None:
        """What waited fails, and the vhost controller is left with nothing."""
        for controller, served in self._model.vhost.items():
            if served == bdev and (
                not self._model.slots_of(controller) or self._model.is_shut_out(bdev.removesuffix("n1"))
            ):
                self._model.vhost[controller] = None

    def _free(self, bdev: str) -> None:
        if bdev in self._model.vhost.values():
            raise Harm(f"{bdev} is taken away under a disk that is still served")


class ModelEmulation(EmulationClient):
    """As the chassis behaves; with power, a slot in ``clinging`` stays asked for."""

    def __init__(self, model: ModelDpu) -> None:
        self._model = model
        self._timeout_s = 1.0

    def close(self) -> None:
        """Nothing is open."""

    async def _call(self, method: str, params: Params | None, timeout_s: float) -> Any:
        if method == "emulation_function_list":
            bound = self._model.powered
            return [{**each, "driver_bound": bound} for each in self._model.functions.values()]
        lost = self._model.change(method)
        getattr(self, f"_{method}")(**(params or {}))
        if lost:
            raise ConnectionLost(method, executed="unknown")
        return True

    def _emulation_plug(self, slot: int, **params: Any) -> None:
        wanted = {"slot": slot, **params}
        there = self._model.functions.get(slot)
        if there is not None and wanted.items() <= there.items():
            return
        if there is not None:
            raise RpcRefused(-errno.EEXIST, "the slot is occupied", "emulation_plug")
        if any(each["backing"] == params["backing"] for each in self._model.functions.values()):
            raise RpcRefused(-errno.EBUSY, "shown already", "emulation_plug")
        socket = params["backing"].get("vhost_socket")
        if socket is not None and Path(socket).name not in self._model.vhost:
            raise RpcRefused(-errno.ECONNREFUSED, "nobody accepts", "emulation_plug")
        self._model.functions[slot] = {**wanted, "state": "plugged", "driver_bound": self._model.powered}

    def _emulation_unplug(self, slot: int, wait_for_done: bool, force: bool) -> None:
        if force and slot not in self._model.forced:
            raise Harm("a running server's device is torn out")
        if slot not in self._model.functions:
            raise RpcRefused(-errno.ENODEV, "the slot is empty", "emulation_unplug")
        torn_out = force and self._model.forced[slot]
        if self._model.powered and slot in self._model.clinging and not torn_out:
            self._model.functions[slot]["state"] = "unplugging"
            if force:
                raise RpcRefused(-errno.EBUSY, "switch the server off to free the slot", "emulation_unplug")
            raise RpcRefused(-errno.ETIMEDOUT, "the server has not released the slot", "emulation_unplug")
        del self._model.functions[slot]


def attached(volume: str, subnqn: str, hostnqn: str, *, shown: bool = True, state: str = "enabled") -> Row:
    """An NVMe controller of the target; ``shown`` if its namespace became a bdev."""
    return {"uuid": volume, "subnqn": subnqn, "hostnqn": hostnqn, "shown": shown, "state": state}
