"""A running server: its QEMU process and the QMP connection to it, with the verbs a chassis needs.

The connection is kept up for as long as the process lives; while QEMU does not answer, the verbs raise QemuRefused, and
the power can be cut all the same.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from sandbox.chassis.errors import QemuRefused, QemuSilent
from sandbox.chassis.functions import DiskFunction, Function
from sandbox.chassis.process import QemuProcess
from sandbox.chassis.qemu_command import (
    backend_id,
    chardev_arguments,
    device_arguments,
    device_id,
    netdev_arguments,
)
from sandbox.chassis.qmp import Event, QmpConnection

_log = logging.getLogger(__name__)
_RECONNECT_S = 0.1
_SETTLE_AGAIN_S = 1.0
_PERIPHERALS = "/machine/peripheral"
_DRIVER_OK = "VIRTIO_CONFIG_S_DRIVER_OK"


class Guest:
    """QEMU behind its QMP socket.

    on_connected runs after each connect, and again soon while it raises QemuRefused. Other verbs may come in between:
    it goes by what QEMU has, not by what was asked for last.
    """

    def __init__(
        self,
        process: QemuProcess,
        qmp_socket: Path,
        on_event: Callable[[Event], None],
        on_connected: Callable[["Guest"], Awaitable[None]],
    ) -> None:
        self.process = process
        self._qmp_socket = qmp_socket
        self._on_event = on_event
        self._on_connected = on_connected
        self._qmp: QmpConnection | None = None
        self._keeper = asyncio.create_task(self._keep_connected(), name="qmp-keep")

    async def close(self) -> None:
        """Let go of QEMU without touching it."""
        self._keeper.cancel()
        await asyncio.wait([self._keeper])
        if self._qmp is not None:
            await self._qmp.close()

    # ---- slots

    async def plugged_slots(self) -> set[int]:
        """The slots in which QEMU has a function."""
        entries = await self._connected().execute("qom-list", path=_PERIPHERALS)
        names = {entry["name"] for entry in entries}
        prefix = device_id(0)[:-1]
        return {int(name.removeprefix(prefix)) for name in names if name.removeprefix(prefix).isdigit()}

    async def plug(self, function: Function) -> None:
        """Hot-plug a function whose backend is known to accept; on an error nothing of it is left behind."""
        qmp = self._connected()
        await self._remove_backend(function)
        match function:
            case DiskFunction():
                await qmp.execute("chardev-add", **chardev_arguments(function))
            case _:
                await qmp.execute("netdev_add", **netdev_arguments(function))
        try:
            await qmp.execute("device_add", **device_arguments(function))
        except QemuRefused:
            await self._remove_backend(function)
            raise

    async def request_unplug(self, slot: int) -> None:
        """Ask the server to let go of a function; DEVICE_DELETED follows when it has. Asking again is harmless."""
        try:
            await self._connected().execute("device_del", id=device_id(slot))
        except QemuRefused as error:
            if "in the process of unplug" not in str(error):
                raise

    async def unplugged(self, function: Function) -> None:
        """Clear up behind a function that is gone."""
        await self._remove_backend(function)

    async def driver_bound(self, slot: int) -> bool:
        """True when a driver (the firmware's included) has set DRIVER_OK on the virtio device.

        So it is of a server that cannot be asked: whoever hears false may fail its requests.
        """
        path = f"{_PERIPHERALS}/{device_id(slot)}/virtio-backend"
        try:
            status = await self._connected().execute("x-query-virtio-status", path=path)
        except QemuSilent:
            return True
        except QemuRefused:
            return False
        return any(text.startswith(_DRIVER_OK) for text in status["status"]["statuses"])

    async def set_link(self, slot: int, *, up: bool) -> None:
        """Pull or put back the cable of a NIC."""
        await self._connected().execute("set_link", name=device_id(slot), up=up)

    # ---- power

    async def press_power_button(self) -> None:
        """The ACPI power button; what the server makes of it is its own affair."""
        await self._connected().execute("system_powerdown")

    async def reset(self) -> None:
        """Hard reset: the firmware starts again."""
        await self._connected().execute("system_reset")

    async def cut_power(self) -> None:
        """End QEMU at once and wait until it is gone."""
        self.process.kill()
        await self.process.ended()

    def _connected(self) -> QmpConnection:
        if self._qmp is None:
            raise QemuSilent("QEMU is not answering on its QMP socket; try again, or switch the power off")
        return self._qmp

    async def _remove_backend(self, function: Function) -> None:
        command = "chardev-remove" if isinstance(function, DiskFunction) else "netdev_del"
        try:
            await self._connected().execute(command, id=backend_id(function.slot))
        except QemuRefused as error:
            _log.debug("slot %d: %s: %s", function.slot, command, error)

    async def _keep_connected(self) -> None:
        while True:
            try:
                connection = await QmpConnection.open(self._qmp_socket, self._on_event)
            except (OSError, QemuRefused) as error:
                _log.debug("connecting to %s: %s", self._qmp_socket, error)
                await asyncio.sleep(_RECONNECT_S)
                continue
            self._qmp = connection
            while not await self._is_settled():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(connection.closed(), _SETTLE_AGAIN_S)
                    break
            await connection.closed()
            self._qmp = None
            await connection.close()

    async def _is_settled(self) -> bool:
        try:
            await self._on_connected(self)
        except QemuRefused as error:
            _log.warning("settling the slots of the running server, and again soon: %s", error)
            return False
        return True
