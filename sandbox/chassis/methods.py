"""The methods of the two sockets as tables: device emulation for the DPU; power and cables for the BMC and tests."""

from collections.abc import Mapping
from typing import Any, Protocol

from sandbox.chassis.errors import InvalidRequest
from sandbox.chassis.functions import Function, parse_function, parse_slot
from sandbox.chassis.rpc import Handler
from sandbox.chassis.state import Power

Params = Mapping[str, Any]

BOOT_DEVICES = ("none", "disk")


class SlotsAndPower(Protocol):
    """A chassis, whatever its server is made of. Every method may raise ChassisError."""

    @property
    def power(self) -> Power:
        """The power now."""

    @property
    def boots(self) -> int:
        """How often the firmware has started."""

    @property
    def boot_device(self) -> str:
        """Where the firmware boots from."""

    async def list_functions(self) -> list[dict[str, Any]]:
        """What sits in the slots."""

    async def plug(self, function: Function) -> None:
        """Put a function into its slot."""

    async def unplug(self, number: int, *, wait_for_done: bool, force: bool) -> None:
        """Take a function out of its slot."""

    async def set_link(self, number: int, *, up: bool) -> None:
        """Pull or put back the cable of a NIC."""

    async def set_boot_device(self, device: str) -> None:
        """Choose the boot device."""

    async def power_on(self) -> None:
        """Switch on."""

    async def power_off(self) -> None:
        """Cut the power."""

    async def power_reset(self) -> None:
        """Hard reset."""

    async def power_soft(self) -> None:
        """Press the power button."""


def emulation_methods(chassis: SlotsAndPower) -> dict[str, Handler]:
    """``emulation_function_list``, ``emulation_plug``, ``emulation_unplug``."""

    async def function_list(params: Params) -> Any:
        _only(params)
        return await chassis.list_functions()

    async def plug(params: Params) -> Any:
        await chassis.plug(parse_function(params))
        return True

    async def unplug(params: Params) -> Any:
        _only(params, "slot", "wait_for_done", "force")
        wait_for_done = _flag(params, "wait_for_done", default=False)
        force = _flag(params, "force", default=False)
        await chassis.unplug(parse_slot(params), wait_for_done=wait_for_done, force=force)
        return True

    return {"emulation_function_list": function_list, "emulation_plug": plug, "emulation_unplug": unplug}


def control_methods(chassis: SlotsAndPower) -> dict[str, Handler]:
    """``power_get/on/off/reset/soft``, ``boot_device_get/set``, ``link_set``, ``boots``."""

    async def power_get(params: Params) -> Any:
        _only(params)
        return {"power": "off" if chassis.power is Power.OFF else "on"}

    async def power_on(params: Params) -> Any:
        _only(params)
        await chassis.power_on()
        return True

    async def power_off(params: Params) -> Any:
        _only(params)
        await chassis.power_off()
        return True

    async def power_reset(params: Params) -> Any:
        _only(params)
        await chassis.power_reset()
        return True

    async def power_soft(params: Params) -> Any:
        _only(params)
        await chassis.power_soft()
        return True

    async def boot_device_get(params: Params) -> Any:
        _only(params)
        return {"device": chassis.boot_device}

    async def boot_device_set(params: Params) -> Any:
        _only(params, "device")
        await chassis.set_boot_device(str(params.get("device")))
        return True

    async def link_set(params: Params) -> Any:
        _only(params, "slot", "up")
        await chassis.set_link(parse_slot(params), up=_flag(params, "up", default=None))
        return True

    async def boots(params: Params) -> Any:
        _only(params)
        return chassis.boots

    handlers = (
        power_get,
        power_on,
        power_off,
        power_reset,
        power_soft,
        boot_device_get,
        boot_device_set,
        link_set,
        boots,
    )
    return {handler.__name__: handler for handler in handlers}


def _only(params: Params, *known: str) -> None:
    unknown = sorted(set(params) - set(known))
    if unknown:
        raise InvalidRequest(f"unknown parameter {unknown[0]}; known are: {', '.join(known) or 'none'}")


def _flag(params: Params, name: str, *, default: bool | None) -> bool:
    value = params.get(name, default)
    if not isinstance(value, bool):
        raise InvalidRequest(f"{name} must be true or false, not {value!r}")
    return value
