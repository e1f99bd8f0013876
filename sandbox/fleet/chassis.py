"""The chassis of a light server: the same slots and power as one with QEMU, and a server that follows at once."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sandbox.chassis.errors import BackendRefused, FunctionBusy, InvalidRequest, PoweredOff, SlotEmpty, SlotOccupied
from sandbox.chassis.functions import DiskFunction, Function, NicFunction, check_fits, record_of
from sandbox.chassis.methods import BOOT_DEVICES
from sandbox.chassis.state import Power, Slot, State
from sandbox.fleet.disks import Disks
from sandbox.fleet.serialport import SerialPort

_HOLD_POLL_S = 0.2


class LightChassis:
    """One server's slots and power. ``changed`` is called whenever either is another."""

    def __init__(self, name: str, disks: Disks, *, slots: int, representors: Iterable[str]) -> None:
        self.changed: Callable[[], None] = lambda: None
        self.serial = SerialPort()
        self._name = name
        self._disks = disks
        self._slots = slots
        self._representors = frozenset(representors)
        self._state = State()
        self._holding: asyncio.Task[None] | None = None

    # ---- slots

    async def list_functions(self) -> list[dict[str, Any]]:
        """What sits in the slots, in their order; a server that is on uses all of it."""
        bound = self.power is Power.ON
        return [
            {**record_of(slot.function), "state": "plugged", "driver_bound": bound}
            for _, slot in sorted(self._state.slots.items())
        ]

    async def plug(self, function: Function) -> None:
        """Put a function into its slot; the same one again changes nothing."""
        check_fits(function, slots=self._slots, representors=self._representors)
        present = self._state.slots.get(function.slot)
        if present is not None:
            if present.function != function:
                raise SlotOccupied(f"slot {function.slot} holds another function: {record_of(present.function)}")
            return
        for slot in self._state.slots.values():
            if slot.function.backing == function.backing:
                raise FunctionBusy(f"slot {slot.function.slot} shows {function.backing} already")
        if isinstance(function, DiskFunction) and not self._disks.serves(Path(function.vhost_socket)):
            raise BackendRefused(f"nobody accepts on {function.vhost_socket}; make the vhost controller first")
        self._set(self._state.with_slot(Slot(function)))
        if self.power is Power.ON:
            self._open([function])

    async def unplug(self, number: int, *, wait_for_done: bool, force: bool) -> None:  # noqa: ARG002
        """Take a function out of its slot; the server lets go of it at once."""
        slot = self._slot(number)
        if self.power is Power.ON:
            self._close([slot.function])
        self._set(self._state.without_slot(number))

    async def set_link(self, number: int, *, up: bool) -> None:
        """Pull (up=False) or put back the cable of a NIC."""
        slot = self._slot(number)
        if not isinstance(slot.function, NicFunction):
            raise SlotEmpty(f"slot {number} holds no NIC")
        self._set(self._state.with_slot(Slot(slot.function, link_up=up)))

    def has_link(self, representor: str) -> bool:
        """Whether a NIC behind that representor is up: its server has power, and its cable is in."""
        return self.power is Power.ON and any(
            isinstance(slot.function, NicFunction) and slot.function.representor == representor and slot.link_up
            for slot in self._state.slots.values()
        )

    def answers_as(self, mac: str) -> bool:
        """Whether the operating system answers through the NIC with that MAC."""
        return self.power is Power.ON and any(
            isinstance(slot.function, NicFunction) and slot.function.mac == mac and slot.link_up
            for slot in self._state.slots.values()
        )

    # ---- power

    @property
    def power(self) -> Power:
        """The power now; HELD is a server that has power and waits for its DPU."""
        return self._state.power

    @property
    def boots(self) -> int:
        """How often it has started."""
        return self._state.boots

    @property
    def boot_device(self) -> str:
        """Where the firmware boots from."""
        return self._state.boot_device

    async def set_boot_device(self, device: str) -> None:
        """Choose the boot device; this server has no other than its emulated disks."""
        if device not in BOOT_DEVICES:
            raise InvalidRequest(f"boot device {device!r}: this server boots from {' or '.join(BOOT_DEVICES)} only")
        self._set(State(self.power, self.boots, device, self._state.slots))

    async def power_on(self) -> None:
        """Switch on; the server runs as soon as every disk in its slots is served."""
        if self.power is Power.OFF:
            self._set(State(Power.HELD, self.boots, self.boot_device, self._state.slots))
            self._start_if_held()
            self._holding = asyncio.create_task(self._hold())

    async def power_off(self) -> None:
        """Cut the power."""
        if self.power is Power.ON:
            self._close(self._functions())
        self._set(self._state.powered_off())

    async def power_reset(self) -> None:
        """Start again; a server that is held in reset stays there."""
        self._check_power("resetting")
        if self.power is Power.ON:
            self._set(State(Power.ON, self.boots + 1, self.boot_device, self._state.slots))

    async def power_soft(self) -> None:
        """Press the power button; the system shuts down at once."""
        self._check_power("asking for a shutdown of")
        if self.power is Power.HELD:
            raise PoweredOff(f"{self._name} is still held in reset: there is no system to shut down")
        await self.power_off()

    # ---- how it is done

    async def _hold(self) -> None:
        """Wait until every disk is served; ends early when the power is switched off meanwhile."""
        while self.power is Power.HELD:
            await asyncio.sleep(_HOLD_POLL_S)
            self._start_if_held()

    def _start_if_held(self) -> None:
        sockets = [Path(each.vhost_socket) for each in self._functions() if isinstance(each, DiskFunction)]
        if self.power is Power.HELD and all(self._disks.serves(socket) for socket in sockets):
            self._open(self._functions())
            self._set(State(Power.ON, self.boots + 1, self.boot_device, self._state.slots))

    def _functions(self) -> list[Function]:
        return [slot.function for slot in self._state.slots.values()]

    def _open(self, functions: Iterable[Function]) -> None:
        for function in functions:
            if isinstance(function, DiskFunction):
                self._disks.connect(Path(function.vhost_socket))

    def _close(self, functions: Iterable[Function]) -> None:
        for function in functions:
            if isinstance(function, DiskFunction):
                self._disks.disconnect(Path(function.vhost_socket))

    def _slot(self, number: int) -> Slot:
        slot = self._state.slots.get(number)
        if slot is None:
            raise SlotEmpty(f"slot {number} holds no function")
        return slot

    def _check_power(self, attempt: str) -> None:
        if self.power is Power.OFF:
            raise PoweredOff(f"{attempt} {self._name}: the server is off; switch it on first")

    def _set(self, state: State) -> None:
        if state != self._state:
            before, self._state = self._state, state
            self.serial.powered = state.power is Power.ON
            if state.boots != before.boots:
                self.serial.print(f"{self._name}: start {state.boots}\r\n".encode())
            self.changed()
