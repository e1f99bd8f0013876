"""The chassis itself: slots and power of one server, and the order in which they change.

Every change is decided and saved under one lock, then carried out. What was saved and not carried out, because the
chassis was killed in between, is carried out when QEMU is found again: `_settle` compares the saved slots with QEMU's.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from dataclasses import replace
from typing import Any

from sandbox.chassis.backend import accepts, unserved
from sandbox.chassis.boots import BootLedger
from sandbox.chassis.errors import (
    BackendRefused,
    ChassisError,
    FunctionBusy,
    InvalidRequest,
    PoweredOff,
    QemuRefused,
    ReleaseTimeout,
    SlotEmpty,
    SlotOccupied,
)
from sandbox.chassis.functions import DiskFunction, Function, NicFunction, check_fits, record_of
from sandbox.chassis.guest import Guest
from sandbox.chassis.methods import BOOT_DEVICES
from sandbox.chassis.process import QemuProcess, QemuSlot
from sandbox.chassis.qemu_command import Hardware, Paths, command_line, device_id
from sandbox.chassis.qmp import Event
from sandbox.chassis.state import Power, Slot, State, StateFile

_log = logging.getLogger(__name__)

_HOLD_POLL_S = 0.2
_ASK_AGAIN_S = 5.0
# Shorter than a client's usual patience of 10 s, so that the caller gets an answer and not a broken connection.
_RELEASE_TIMEOUT_S = 8.0


class Chassis:
    """One server's slots and power. Requests that cannot be carried out raise ChassisError."""

    def __init__(
        self,
        hardware: Hardware,
        *,
        netns: str,
        representors: Iterable[str],
        paths: Paths,
        qemu: QemuSlot,
        file: StateFile,
        ledger: BootLedger,
    ) -> None:
        self._hardware = hardware
        self._netns = netns
        self._representors = frozenset(representors)
        self._paths = paths
        self._qemu = qemu
        self._file = file
        self._ledger = ledger
        self._state = State()
        self._guest: Guest | None = None
        self._change = asyncio.Lock()
        self._slots_changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._asking: set[tuple[Guest, int]] = set()
        """Who is being asked to release which slot."""

    async def start(self) -> None:
        """Load what is saved, and find the server as it was left: running, held, or off."""
        self._state = self._file.load()
        process = await self._qemu.adopt()
        if process is not None:
            _log.info("%s: found its QEMU running, pid %d", self._hardware.name, process.pid)
            self._save(replace(self._state, power=Power.ON))
            self._watch(process)
        elif self._state.power is Power.HELD:
            self._run(self._bring_up())
        else:
            self._save(self._state.powered_off())

    async def stop(self) -> None:
        """Take the server away: the power is cut and QEMU is gone when this returns."""
        await self.power_off()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ---- slots

    async def list_functions(self) -> list[dict[str, Any]]:
        """What sits in the slots, in their order, with its state and whether a driver of the server uses it."""
        # All at once: of a QEMU that waits for a target that has died, each question costs seconds, and whoever is to
        # bring that target's sockets back looks here first.
        return await asyncio.gather(*(self._describe(slot) for _, slot in sorted(self._state.slots.items())))

    async def plug(self, function: Function) -> None:
        """Put a function into its slot; the same one again changes nothing."""
        check_fits(function, slots=self._hardware.slots, representors=self._representors)
        async with self._change:
            present = self._state.slots.get(function.slot)
            if present is None:
                await self._plug_new(function)
            elif present.function != function:
                raise SlotOccupied(f"slot {function.slot} holds another function: {record_of(present.function)}")
            elif present.unplugging:
                raise FunctionBusy(f"slot {function.slot} is being unplugged; plug again when it is empty")
            elif self._guest is not None and function.slot not in await self._guest.plugged_slots():
                await self._hot_plug(self._guest, function)

    async def unplug(self, number: int, *, wait_for_done: bool, force: bool) -> None:
        """Take a function out of its slot. With power, the server is asked to let go of it first.

        wait_for_done: return when it is gone, ReleaseTimeout when that takes longer than 8 s (the server stays asked).
        force: a NIC's cable is cut at once. A disk cannot be torn from a running server: FunctionBusy after 8 s.
        """
        async with self._change:
            slot = self._state.slots.get(number)
            if slot is None:
                raise SlotEmpty(f"slot {number} holds no function")
            if self._guest is None:
                await self._forget(number)
                return
            self._save(self._state.with_slot(replace(slot, unplugging=True)))
            self._ask_to_release(self._guest, number)
            if force and isinstance(slot.function, NicFunction):
                await self._guest.set_link(number, up=False)
        if wait_for_done or force:
            await self._wait_released(number, force=force)

    async def set_link(self, number: int, *, up: bool) -> None:
        """Pull (up=False) or put back the cable of a NIC; it stays so over power cycles."""
        async with self._change:
            slot = self._state.slots.get(number)
            if slot is None or not isinstance(slot.function, NicFunction):
                raise SlotEmpty(f"slot {number} holds no NIC")
            self._save(self._state.with_slot(replace(slot, link_up=up)))
            if self._guest is not None:
                await self._guest.set_link(number, up=up)

    # ---- power

    @property
    def power(self) -> Power:
        """The power now; HELD is a server that has power and waits for its DPU."""
        return self._state.power

    @property
    def boots(self) -> int:
        """How often the firmware has started since the state directory was made."""
        return self._state.boots

    @property
    def boot_device(self) -> str:
        """Where the firmware boots from: "disk" (the slots' boot order) or "none" (no override; the same here)."""
        return self._state.boot_device

    async def set_boot_device(self, device: str) -> None:
        """Choose the boot device; this server has no other than its emulated disks."""
        if device not in BOOT_DEVICES:
            raise InvalidRequest(f"boot device {device!r}: this server boots from {' or '.join(BOOT_DEVICES)} only")
        async with self._change:
            self._save(replace(self._state, boot_device=device))

    async def power_on(self) -> None:
        """Switch on. The server stays in reset until every disk in its slots is served; power_off ends that too."""
        async with self._change:
            if self._state.power is Power.OFF:
                self._save(replace(self._state, power=Power.HELD))
                self._run(self._bring_up())

    async def power_off(self) -> None:
        """Cut the power at once; the server is off when this returns."""
        async with self._change:
            guest = self._guest
            if guest is not None:
                await guest.cut_power()
            await self._lost_power()

    async def power_reset(self) -> None:
        """Hard reset; a server that is held in reset stays there."""
        self._check_power("resetting")
        if self._guest is not None:
            await self._guest.reset()

    async def power_soft(self) -> None:
        """Press the ACPI power button; the power goes when the server's system has shut down."""
        self._check_power("asking for a shutdown of")
        if self._guest is None:
            raise PoweredOff(f"{self._hardware.name} is still held in reset: there is no system to shut down")
        await self._guest.press_power_button()

    # ---- how it is done

    async def _plug_new(self, function: Function) -> None:
        for slot in self._state.slots.values():
            if slot.function.backing == function.backing:
                raise FunctionBusy(f"slot {slot.function.slot} shows {function.backing} already")
        if isinstance(function, DiskFunction) and not await accepts(function.vhost_socket):
            raise BackendRefused(f"nobody accepts on {function.vhost_socket}; make the vhost controller first")
        if self._guest is not None and function.slot in await self._guest.plugged_slots():
            # QEMU did not answer in time when it was plugged, and did it all the same.
            await self._guest.request_unplug(function.slot)
            raise FunctionBusy(f"slot {function.slot} is being emptied of an earlier plug; plug again when it is empty")
        self._save(self._state.with_slot(Slot(function)))
        if self._guest is not None:
            await self._hot_plug(self._guest, function)

    async def _hot_plug(self, guest: Guest, function: Function) -> None:
        """Show it to a server that runs. Where that fails the slot is empty: who reads the list knows to plug again."""
        try:
            if isinstance(function, DiskFunction) and not await accepts(function.vhost_socket):
                raise BackendRefused(f"nobody accepts on {function.vhost_socket}; make the vhost controller first")
            await guest.plug(function)
        except (BackendRefused, QemuRefused):
            await self._forget(function.slot)
            raise

    def _ask_to_release(self, guest: Guest, number: int) -> None:
        if (guest, number) not in self._asking:
            self._asking.add((guest, number))
            self._run(self._ask_until_released(guest, number))

    async def _ask_until_released(self, guest: Guest, number: int) -> None:
        """Ask until the function is gone: a server that is just booting misses the first request."""
        try:
            while self._guest is guest and self._is_unplugging(number):
                await self._ask_once(guest, number)
        finally:
            self._asking.discard((guest, number))

    async def _ask_once(self, guest: Guest, number: int) -> None:
        try:
            await guest.request_unplug(number)
        except QemuRefused as error:
            _log.info("slot %d: asking the server to release it: %s", number, error)
        await self._wait_empty(number, _ASK_AGAIN_S)

    def _is_unplugging(self, number: int) -> bool:
        slot = self._state.slots.get(number)
        return slot is not None and slot.unplugging

    async def _wait_released(self, number: int, *, force: bool) -> None:
        if await self._wait_empty(number, _RELEASE_TIMEOUT_S):
            return
        if force:
            raise FunctionBusy(f"the server's driver holds on to slot {number}; switch the server off to free it")
        raise ReleaseTimeout(
            f"the server has not released slot {number} within {_RELEASE_TIMEOUT_S:g} s; it stays asked"
        )

    async def _wait_empty(self, number: int, timeout_s: float) -> bool:
        """True as soon as the slot is empty or no longer being unplugged; False after timeout_s."""
        try:
            async with asyncio.timeout(timeout_s), self._slots_changed:
                await self._slots_changed.wait_for(lambda: not self._is_unplugging(number))
        except TimeoutError:
            return False
        return True

    async def _describe(self, slot: Slot) -> dict[str, Any]:
        number = slot.function.slot
        bound = self._guest is not None and await self._guest.driver_bound(number)
        state = "unplugging" if slot.unplugging else "plugged"
        return {**record_of(slot.function), "state": state, "driver_bound": bound}

    def _check_power(self, attempt: str) -> None:
        if self._state.power is Power.OFF:
            raise PoweredOff(f"{attempt} {self._hardware.name}: the server is off; switch it on first")

    async def _bring_up(self) -> None:
        """Wait until every disk is served, then start QEMU; ends early when the power is switched off meanwhile."""
        reported: list[str] = []
        while self._state.power is Power.HELD:
            missing = await unserved(slot.function for slot in self._state.slots.values())
            async with self._change:
                if not missing and self._state.power is Power.HELD:
                    await self._boot()
                    return
            if missing != reported:
                _log.info("%s: held in reset until these answer: %s", self._hardware.name, ", ".join(missing))
                reported = missing
            await asyncio.sleep(_HOLD_POLL_S)

    async def _boot(self) -> None:
        functions = {number: slot.function for number, slot in self._state.slots.items()}
        command = command_line(self._hardware, self._paths, functions, self._netns)
        self._save(replace(self._state, power=Power.ON, boots=self._state.boots + 1))
        self._ledger.note(self._hardware.name, "power-on")
        try:
            self._watch(self._qemu.start(command))
        except (OSError, QemuRefused) as error:
            _log.error("%s: starting QEMU: %s", self._hardware.name, error)
            await self._lost_power()

    def _watch(self, process: QemuProcess) -> None:
        guest = Guest(process, self._paths.qmp_socket, self._on_event, self._settle)
        self._guest = guest
        self._run(self._see_end(guest))

    async def _see_end(self, guest: Guest) -> None:
        try:
            await guest.process.ended()
        finally:
            await guest.close()
        async with self._change:
            if self._guest is guest:
                _log.info("%s: powered itself off", self._hardware.name)
                await self._lost_power()

    async def _lost_power(self) -> None:
        self._guest = None
        for file in (self._paths.qmp_socket, self._paths.console_socket, self._qemu.pid_file):
            file.unlink(missing_ok=True)  # QEMU leaves them behind when it is cut off
        self._save(self._state.powered_off())
        await self._tell_waiting()

    async def _settle(self, guest: Guest) -> None:
        """Make QEMU's slots what the saved ones are; runs whenever the connection to QEMU is made.

        Raises QemuRefused, once it went over all slots, when QEMU refused something in any of them.
        """
        refused: list[str] = []
        async with self._change:
            if self._guest is not guest:
                return
            present = await guest.plugged_slots()
            for number in sorted(present | set(self._state.slots)):
                try:
                    await self._settle_slot(guest, number, is_present=number in present)
                except QemuRefused as error:
                    refused.append(f"slot {number}: {error}")
        if refused:
            raise QemuRefused("; ".join(refused))

    async def _settle_slot(self, guest: Guest, number: int, *, is_present: bool) -> None:
        slot = self._state.slots.get(number)
        if slot is None:
            await guest.request_unplug(number)
            return
        if slot.unplugging and not is_present:
            await self._forget(number)
            return
        if slot.unplugging:
            self._ask_to_release(guest, number)
        elif not is_present:
            await self._settle_missing(guest, slot.function)
        if isinstance(slot.function, NicFunction) and not slot.link_up and number in self._state.slots:
            await guest.set_link(number, up=False)

    async def _settle_missing(self, guest: Guest, function: Function) -> None:
        try:
            await self._hot_plug(guest, function)
        except ChassisError as error:
            _log.warning("slot %d: plugging it again: %s", function.slot, error)

    def _on_event(self, event: Event) -> None:
        data = event.get("data", {})
        match event["event"]:
            case "RESET":
                self._run(self._count_reset("guest-reset" if data.get("guest") else "reset"))
            case "DEVICE_DELETED" if "device" in data:
                self._run(self._released(str(data["device"])))
            case "DEVICE_UNPLUG_GUEST_ERROR":
                _log.warning("the server refuses to release %s", data.get("device"))
            case _:
                pass

    async def _count_reset(self, cause: str) -> None:
        async with self._change:
            self._save(replace(self._state, boots=self._state.boots + 1))
            self._ledger.note(self._hardware.name, cause)

    async def _released(self, device: str) -> None:
        async with self._change:
            for number, slot in self._state.slots.items():
                if device_id(number) == device and slot.unplugging:
                    if self._guest is not None:
                        await self._guest.unplugged(slot.function)
                    await self._forget(number)
                    return

    async def _forget(self, number: int) -> None:
        self._save(self._state.without_slot(number))
        await self._tell_waiting()

    async def _tell_waiting(self) -> None:
        async with self._slots_changed:
            self._slots_changed.notify_all()

    def _save(self, state: State) -> None:
        if state != self._state:
            self._file.save(state)
            self._state = state

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s: %s", self._hardware.name, error, exc_info=error)
