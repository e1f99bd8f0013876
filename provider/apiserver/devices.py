"""The verbs of disks and network interfaces, decided. Pure.

Each edits one item of a list of the machine's spec; the rest (volume, slot, plugging, and the unplugging that waits for
the operating system) is what follows from the spec.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from provider.apiserver.errors import Cause, Missing, StateForbids
from provider.apiserver.options import (
    AddNicOptions,
    AddVolumeOptions,
    ExpandOptions,
    RemoveNicOptions,
    RemoveVolumeOptions,
)
from provider.apiserver.stewardship import steward
from provider.apiserver.verdicts import Decision

Json = dict[str, Any]
_List = Literal["disks", "networkInterfaces"]
_NOUN: dict[_List, str] = {"disks": "disk", "networkInterfaces": "network interface"}


@dataclass(frozen=True, slots=True)
class Equipped:
    """A machine as the API server has it, and the names of its VirtualDisks and VirtualNICs by disk and interface."""

    machine: Json
    disk_objects: dict[str, str]
    nic_objects: dict[str, str]

    @property
    def name(self) -> str:
        """How a message calls it."""
        metadata = self.machine["metadata"]
        return f"BareMetalMachine {metadata['namespace']}/{metadata['name']}"

    def items(self, list_: _List) -> list[Json]:
        """What it has of these."""
        return list(self.machine["spec"].get(list_, ()))


def add_volume(seen: Equipped, options: AddVolumeOptions) -> Decision:
    """A disk more."""
    item = {
        "name": options.name,
        "size": options.size,
        "image": options.image,
        "storageClass": options.storage_class,
        "keep": options.keep,
    }
    return _add(seen, "disks", item)


def add_nic(seen: Equipped, options: AddNicOptions) -> Decision:
    """An interface more."""
    item = {"name": options.name, "network": options.network, "address": options.address, "mac": options.mac}
    return _add(seen, "networkInterfaces", item)


def remove_volume(seen: Equipped, options: RemoveVolumeOptions) -> Decision:
    """A disk less."""
    item = _present(seen, "remove", "disks", options.name)
    if item.get("boot"):
        raise StateForbids(f"Cannot remove disk {options.name} of {seen.name}: it boots from it; make a new machine")
    held = seen.disk_objects.get(options.name) if options.force else None
    kept = "its volume is kept" if item.get("keep", True) else "its volume is deleted"
    return _remove(seen, "disks", options.name, f"VirtualDisk/{held}" if held else None, kept)


def remove_nic(seen: Equipped, options: RemoveNicOptions) -> Decision:
    """An interface less."""
    _present(seen, "remove", "networkInterfaces", options.name)
    held = seen.nic_objects.get(options.name) if options.force else None
    return _remove(seen, "networkInterfaces", options.name, f"VirtualNIC/{held}" if held else None, "")


def expand(seen: Equipped, options: ExpandOptions) -> Decision:
    """A disk larger. That it does not shrink is the admission's to say."""
    item = _present(seen, "expand", "disks", options.name)
    if item["size"] == options.size:
        return Decision(f"disk {options.name} has {options.size} already")
    _may_edit(seen, "expand disk", "disks", options.name)
    larger = [{**each, "size": options.size} if each is item else each for each in seen.items("disks")]
    return Decision(f"disk {options.name} grows from {item['size']} to {options.size}", spec={"disks": larger})


def _add(seen: Equipped, list_: _List, wanted: Json) -> Decision:
    noun, name = _NOUN[list_], wanted["name"]
    item = {key: value for key, value in wanted.items() if value is not None}
    _stays(seen, f"add {noun} {name} to")
    present = next((each for each in seen.items(list_) if each["name"] == name), None)
    if present == item:
        return Decision(f"{noun} {name} is there already")
    if present is not None:
        raise StateForbids(
            f"Cannot add {noun} {name} to {seen.name}: it has another of that name; choose another name",
            causes=[Cause("name", f"{name} is taken", "FieldValueDuplicate")],
        )
    _may_edit(seen, f"add {noun}", list_, name)
    return Decision(f"{noun} {name} is added", spec={list_: [*seen.items(list_), item]})


def _remove(seen: Equipped, list_: _List, name: str, held: str | None, follows: str) -> Decision:
    noun = _NOUN[list_]
    _may_edit(seen, f"remove {noun}", list_, name)
    rest = [each for each in seen.items(list_) if each["name"] != name]
    manner = "is taken away by force" if held else "is taken away once the operating system lets go of it"
    told = f"{noun} {name} {manner}" + (f"; {follows}" if follows else "")
    return Decision(told, spec={list_: rest}, let_go=(held,) if held else ())


def _present(seen: Equipped, verb: str, list_: _List, name: str) -> Json:
    noun = _NOUN[list_]
    _stays(seen, f"{verb} {noun} {name} of")
    names = [each["name"] for each in seen.items(list_)]
    if name not in names:
        raise Missing(
            f"Cannot {verb} {noun} {name} of {seen.name}: it has none of that name; {_there_are(names)}",
            causes=[Cause("name", f"no {noun} is called {name}", "FieldValueNotFound")],
        )
    return seen.items(list_)[names.index(name)]


def _there_are(names: Sequence[str]) -> str:
    return f"there are {', '.join(names)}" if names else "there is none"


def _stays(seen: Equipped, attempt: str) -> None:
    if seen.machine["metadata"].get("deletionTimestamp"):
        raise StateForbids(f"Cannot {attempt} {seen.name}: it is being deleted")


def _may_edit(seen: Equipped, attempt: str, list_: _List, name: str) -> None:
    other = steward(seen.machine, list_)
    if other is not None:
        raise StateForbids(
            f"Cannot {attempt} {name} of {seen.name}: {other} looks after spec.{list_} and would undo it; "
            "edit the machine where that has it from",
            causes=[Cause(f"spec.{list_}", f"looked after by {other}", "FieldManagerConflict")],
        )
