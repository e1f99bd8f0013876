"""QEMU's own hot plug: a server of the same kind, into which nothing but QMP plugs devices.

Its QEMU has a chassis' command line. The disk to plug is served before, as the stand-in of SPDK serves it, and the tap
of the NIC is there; so the clock, which starts as ``device_add`` leaves, runs for QEMU and the guest alone.
"""

import asyncio
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from provider.function.children import BOOT_SLOT, FIRST_DATA_SLOT, SEED_SLOT
from sandbox import inventory
from sandbox.chassis.functions import DiskFunction, Function, NicFunction
from sandbox.chassis.qemu_command import (
    Hardware,
    Paths,
    backend_id,
    chardev_arguments,
    command_line,
    device_arguments,
    device_id,
    netdev_arguments,
)
from sandbox.chassis.qmp import Event, QmpConnection
from sandbox.chassis.taps import ensure_taps
from sandbox.cloud import DEFAULT_IMAGE
from sandbox.process import ProcessSpec, Ready
from tests.bench.byhand import DISK_BYTES, MAC, NIC_SLOT, REPRESENTOR, Disk, ServerByHand
from tests.bench.waiting import BenchFailed

ADDRESS = "10.20.0.12"

_PROCESS = "qemu-alone"
_HOT_MAC, _HOT_TAP = "02:00:00:00:ba:7f", "bare1"
_RELEASE_S = 30.0


class QemuAlone:
    """The server by hand, whose chassis stays off: QEMU takes its place."""

    def __init__(self, server: ServerByHand) -> None:
        self._server = server
        self._netns = server.cloud.layout.dpu_namespace(0)
        self._paths = Paths(
            qmp_socket=server.run / "alone-qmp.sock",
            console_socket=server.run / "alone-console.sock",
            console_log=server.files / "alone-console.log",
            pid_file=server.files / "alone.pid",
        )
        self.console_log = self._paths.console_log
        data = self._disk("data.qcow2", FIRST_DATA_SLOT)
        self._data, self._hot_disk = data, DiskFunction(data.slot, str(server.socket(data)))
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._hot_nic = NicFunction(max(inventory.NIC_SLOTS), _HOT_TAP, _HOT_MAC)

    @contextmanager
    def running(self) -> Iterator[None]:
        """With the power on; its system may still be booting."""
        root = self._disk("root.qcow2", BOOT_SLOT, boot_index=1)
        seed = Disk(self._server.seed("seed.iso", ADDRESS), SEED_SLOT, writable=False)
        supervisor = self._server.cloud.supervisor
        with ExitStack() as stack:
            stack.enter_context(self._server.serving(root, seed, self._data))
            self._loop = stack.enter_context(asyncio.Runner())
            self._loop.run(ensure_taps(self._netns, [_HOT_TAP]))
            supervisor.start([self._process(root, seed)])
            stack.callback(supervisor.stop, [_PROCESS])
            self._qmp = self._loop.run(QmpConnection.open(self._paths.qmp_socket, self._on_event))
            stack.callback(lambda: self._loop.run(self._qmp.close()))
            yield

    def plug_disk(self) -> int:
        """When it was asked for, by Unix time in nanoseconds."""
        self._execute("chardev-add", chardev_arguments(self._hot_disk))
        return self._add(self._hot_disk)

    def plug_nic(self) -> int:
        """When it was asked for, by Unix time in nanoseconds."""
        self._execute("netdev_add", netdev_arguments(self._hot_nic))
        return self._add(self._hot_nic)

    def unplug_disk(self) -> None:
        """Return when it is gone."""
        self._delete(self._hot_disk)
        self._execute("chardev-remove", {"id": backend_id(self._hot_disk.slot)})

    def unplug_nic(self) -> None:
        """Return when it is gone."""
        self._delete(self._hot_nic)
        self._execute("netdev_del", {"id": backend_id(self._hot_nic.slot)})

    def _add(self, function: Function) -> int:
        asked_ns = time.time_ns()
        self._execute("device_add", device_arguments(function))
        return asked_ns

    def _delete(self, function: Function) -> None:
        self._execute("device_del", {"id": device_id(function.slot)})
        self._loop.run(self._deleted(device_id(function.slot)))

    async def _deleted(self, device: str) -> None:
        """Return when QEMU says so: sooner, what is behind it is still busy."""
        try:
            async with asyncio.timeout(_RELEASE_S):
                while (await self._events.get()).get("data", {}).get("device") != device:
                    pass
        except TimeoutError:
            cause = f"the guest did not release {device} within {_RELEASE_S:g} s"
            raise BenchFailed("Unplugging a device from QEMU alone", cause=cause) from None

    def _on_event(self, event: Event) -> None:
        if event["event"] == "DEVICE_DELETED":
            self._events.put_nowait(event)

    def _execute(self, command: str, arguments: dict[str, Any]) -> Any:
        return self._loop.run(self._qmp.execute(command, **arguments))

    def _disk(self, name: str, slot: int, boot_index: int | None = None) -> Disk:
        return Disk(self._server.clone(name, DISK_BYTES), slot, "qcow2", boot_index=boot_index)

    def _process(self, root: Disk, seed: Disk) -> ProcessSpec:
        size = inventory.server_size(DEFAULT_IMAGE)
        disks = [DiskFunction(each.slot, str(self._server.socket(each)), each.boot_index) for each in (root, seed)]
        functions: list[Function] = [*disks, NicFunction(NIC_SLOT, REPRESENTOR, MAC)]
        hardware = Hardware(_PROCESS, str(uuid.uuid4()), size.cpus, size.memory_mib, inventory.SLOTS)
        argv = command_line(hardware, self._paths, {each.slot: each for each in functions}, self._netns)
        return ProcessSpec(_PROCESS, tuple(argv), ready=(Ready("unix", str(self._paths.qmp_socket)),))
