"""The verbs of disks and network interfaces, decided. Pure.

Each edits one item of a list of the machine's spec, or of what it has beside its spec until its next stop; the rest
(volume, slot, plugging, and the unplugging that waits for the operating system) is what follows from that.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from provider.apiserver import ephemeral
from provider.apiserver.equipped import NOUN, DeviceList, Equipped
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


def add_volume(seen: Equipped, options: AddVolumeOptions) -> Decision:
    """A disk more."""
    item = {
        "name": options.name,
        "size": options.size,
        "image": options.image,
        "storageClass": options.storage_class,
        "keep": options.keep,
    }
    return _add(seen, "disks", item, until_stop=options.ephemeral)


def add_nic(seen: Equipped, options: AddNicOptions) -> Decision:
    """An interface more."""
    item = {"name": options.name, "network": options.network, "address": options.address, "mac": options.mac}
    return _add(seen, "networkInterfaces", item, until_stop=options.ephemeral)


def remove_volume(seen: Equipped, options: RemoveVolumeOptions) -> Decision:
    """A disk less; by force also one that was asked to go before, and that the operating system holds on to."""
    if _is_leaving(seen, "disks", options.name, seen.disk_objects):
        return _leave(seen, "disks", options.name, f"VirtualDisk/{seen.disk_objects[options.name]}", options.force)
    item, passing = _present(seen, "remove", "disks", options.name)
    if item.get("boot"):
        raise StateForbids(f"Cannot remove disk {options.name} of {seen.name}: it boots from it; make a new machine")
    held = seen.disk_objects.get(options.name) if options.force else None
    kept = "its volume is kept" if item.get("keep", not passing) else "its volume is deleted"
    return _remove(seen, "disks", options.name, f"VirtualDisk/{held}" if held else None, kept, passing=passing)


def remove_nic(seen: Equipped, options: RemoveNicOptions) -> Decision:
    """An interface less; by force also one that was asked to go before, as with disks."""
    if _is_leaving(seen, "networkInterfaces", options.name, seen.nic_objects):
        leaving = f"VirtualNIC/{seen.nic_objects[options.name]}"
        return _leave(seen, "networkInterfaces", options.name, leaving, options.force)
    _, passing = _present(seen, "remove", "networkInterfaces", options.name)
    held = seen.nic_objects.get(options.name) if options.force else None
    taken = f"VirtualNIC/{held}" if held else None
    return _remove(seen, "networkInterfaces", options.name, taken, "", passing=passing)


def expand(seen: Equipped, options: ExpandOptions) -> Decision:
    """A disk larger. That one of the spec does not shrink is the admission's to say."""
    item, passing = _present(seen, "expand", "disks", options.name)
    if passing:
        return ephemeral.expand(seen, options.name, options.size)
    if item["size"] == options.size:
        return Decision(f"disk {options.name} has {options.size} already")
    _may_edit(seen, "expand disk", "disks", options.name)
    larger = [{**each, "size": options.size} if each is item else each for each in seen.items("disks")]
    return _edit(seen, "disks", larger, f"disk {options.name} grows from {item['size']} to {options.size}")


def _add(seen: Equipped, list_: DeviceList, wanted: Json, *, until_stop: bool) -> Decision:
    noun, name = NOUN[list_], wanted["name"]
    item = {key: value for key, value in wanted.items() if value is not None}
    _stays(seen, f"add {noun} {name} to")
    of_spec, passing = _named(seen.items(list_), name), _named(ephemeral.items(seen, list_), name)
    if (passing if until_stop else of_spec) == item:
        return Decision(f"{noun} {name} is there already")
    if of_spec is not None or passing is not None:
        until = " until its next stop" if of_spec is None else ""
        raise StateForbids(
            f"Cannot add {noun} {name} to {seen.name}: it has another of that name{until}; choose another name",
            causes=[Cause("name", f"{name} is taken", "FieldValueDuplicate")],
        )
    if until_stop:
        return ephemeral.add(seen, list_, item)
    _may_edit(seen, f"add {noun}", list_, name, ", or add it with ephemeral (bmctl: --ephemeral), until the next stop")
    return _edit(seen, list_, [*seen.items(list_), item], f"{noun} {name} is added")


def _remove(seen: Equipped, list_: DeviceList, name: str, held: str | None, follows: str, *, passing: bool) -> Decision:
    noun = NOUN[list_]
    if not passing:
        _may_edit(seen, f"remove {noun}", list_, name)
    manner = "is taken away by force" if held else "is taken away once the operating system lets go of it"
    told = f"{noun} {name} {manner}" + (f"; {follows}" if follows else "")
    let_go = (held,) if held else ()
    if passing:
        return ephemeral.remove(seen, list_, name, let_go, told)
    rest = [each for each in seen.items(list_) if each["name"] != name]
    return _edit(seen, list_, rest, told, let_go)


def _is_leaving(seen: Equipped, list_: DeviceList, name: str, objects: Mapping[str, str]) -> bool:
    """Whether the machine names the device no more, and its object is still there: it waits to be unplugged."""
    named = _named(seen.items(list_), name) or _named(ephemeral.items(seen, list_), name)
    return named is None and name in objects


def _leave(seen: Equipped, list_: DeviceList, name: str, held: str, force: bool) -> Decision:
    noun = NOUN[list_]
    _stays(seen, f"remove {noun} {name} of")
    if force:
        return Decision(f"{noun} {name} is taken away by force", let_go=(held,))
    return Decision(f"{noun} {name} is being taken away already, once the operating system lets go of it")


def _edit(seen: Equipped, list_: DeviceList, items: list[Json], told: str, let_go: tuple[str, ...] = ()) -> Decision:
    return Decision(told, spec={list_: items}, annotations=ephemeral.pruned(seen), let_go=let_go)


def _present(seen: Equipped, verb: str, list_: DeviceList, name: str) -> tuple[Json, bool]:
    """The device of that name, and whether it is there until the next stop only. What the spec has comes first."""
    noun = NOUN[list_]
    _stays(seen, f"{verb} {noun} {name} of")
    of_spec = _named(seen.items(list_), name)
    if of_spec is not None:
        return of_spec, False
    passing = ephemeral.items(seen, list_)
    found = _named(passing, name)
    if found is not None:
        return found, True
    names = [each["name"] for each in (*seen.items(list_), *passing)]
    raise Missing(
        f"Cannot {verb} {noun} {name} of {seen.name}: it has none of that name; {_there_are(names)}",
        causes=[Cause("name", f"no {noun} is called {name}", "FieldValueNotFound")],
    )


def _named(items: Sequence[Json], name: str) -> Json | None:
    return next((each for each in items if each["name"] == name), None)


def _there_are(names: Sequence[str]) -> str:
    return f"there are {', '.join(names)}" if names else "there is none"


def _stays(seen: Equipped, attempt: str) -> None:
    if seen.machine["metadata"].get("deletionTimestamp"):
        raise StateForbids(f"Cannot {attempt} {seen.name}: it is being deleted")


def _may_edit(seen: Equipped, attempt: str, list_: DeviceList, name: str, instead: str = "") -> None:
    other = steward(seen.machine, list_)
    if other is not None:
        raise StateForbids(
            f"Cannot {attempt} {name} of {seen.name}: {other} looks after spec.{list_} and would undo it; "
            f"edit the machine where that has it from{instead}",
            causes=[Cause(f"spec.{list_}", f"looked after by {other}", "FieldManagerConflict")],
        )
