"""What a chassis must not forget: slots, power, boots. Written whole, before the change it describes takes effect."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from sandbox.chassis.functions import Function, parse_function, record_of


class Power(StrEnum):
    """Power of the server. Held: switched on, kept in reset until its DPU serves every disk that is plugged."""

    OFF = "off"
    HELD = "held"
    ON = "on"


@dataclass(frozen=True, slots=True)
class Slot:
    """An occupied slot. link_up is the cable of a NIC, pulled by tests."""

    function: Function
    unplugging: bool = False
    link_up: bool = True


@dataclass(frozen=True, slots=True)
class State:
    """Everything that lasts; slots maps the slot's number (from 1) to what sits in it."""

    power: Power = Power.OFF
    boots: int = 0
    boot_device: str = "disk"
    slots: Mapping[int, Slot] = field(default_factory=dict)

    def with_slot(self, slot: Slot) -> "State":
        """This state with slot in its place."""
        return replace(self, slots={**self.slots, slot.function.slot: slot})

    def without_slot(self, number: int) -> "State":
        """This state with the slot empty."""
        return replace(self, slots={key: slot for key, slot in self.slots.items() if key != number})

    def powered_off(self) -> "State":
        """This state after the power went: what was being unplugged is gone, for nobody holds on to it any more."""
        kept = {number: slot for number, slot in self.slots.items() if not slot.unplugging}
        return replace(self, power=Power.OFF, slots=kept)


class StateFile:
    """The state on disk: ``chassis.json`` in the state directory."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "chassis.json"

    def load(self) -> State:
        """The state as last saved; that of a new chassis when there is none."""
        try:
            return decode(json.loads(self._path.read_text()))
        except FileNotFoundError:
            return State()

    def save(self, state: State) -> None:
        """Replace the file in one step, durably: a chassis killed at any moment finds the old state or the new one."""
        partial = self._path.with_suffix(".part")
        with partial.open("w") as file:
            json.dump(encode(state), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._path)


def encode(state: State) -> dict[str, Any]:
    """The state as JSON."""
    slots = [
        {**record_of(slot.function), "unplugging": slot.unplugging, "link_up": slot.link_up}
        for _, slot in sorted(state.slots.items())
    ]
    return {"power": state.power.value, "boots": state.boots, "boot_device": state.boot_device, "slots": slots}


def decode(record: Mapping[str, Any]) -> State:
    """The state that `encode` wrote."""
    slots = {}
    for entry in record["slots"]:
        described = {key: value for key, value in entry.items() if key not in {"unplugging", "link_up"}}
        function = parse_function(described)
        slots[function.slot] = Slot(function, entry["unplugging"], entry["link_up"])
    return State(Power(record["power"]), record["boots"], record["boot_device"], slots)
