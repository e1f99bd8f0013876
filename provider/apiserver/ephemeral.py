"""Devices until the next stop, decided. Pure.

They stand in an annotation of the machine (``provider.api.ephemeral``), which nobody admits: so the API server is asked
for its judgement of a machine that had them in its spec (``Decision.trial``), and then the annotation is written. The
run that they belong to is marked before they are: a mark without devices does no harm.
"""

import json
from collections.abc import Sequence
from typing import Any

from provider.api.ephemeral import EphemeralDevices
from provider.api.names import ANNOTATION_EPHEMERAL_DEVICES
from provider.api.quantity import parse_bytes
from provider.apiserver.equipped import NOUN, DeviceList, Equipped
from provider.apiserver.errors import Cause, InvalidOptions, StateForbids
from provider.apiserver.stewardship import annotation_steward
from provider.apiserver.verdicts import Decision, NewRun

Json = dict[str, Any]
Lists = dict[DeviceList, list[Json]]


def items(seen: Equipped, list_: DeviceList) -> list[Json]:
    """What it has of these for this run only. Raises ``StateForbids`` where nobody can tell."""
    return _present(seen)[list_]


def add(seen: Equipped, list_: DeviceList, item: Json) -> Decision:
    """One more, whose name nothing has yet. Raises ``StateForbids`` of a machine that is not on."""
    noun, name = NOUN[list_], item["name"]
    attempt = f"add {noun} {name} to {seen.name} until its next stop"
    _runs(seen, attempt)
    present = _present(seen)
    present[list_] = [*present[list_], item]
    return _write(seen, attempt, present, f"{noun} {name} is added until the machine is next off")


def remove(seen: Equipped, list_: DeviceList, name: str, let_go: tuple[str, ...], told: str) -> Decision:
    """One less, that is there."""
    present = _present(seen)
    present[list_] = [each for each in present[list_] if each["name"] != name]
    return _write(seen, f"remove {NOUN[list_]} {name} of {seen.name}", present, told, let_go)


def expand(seen: Equipped, name: str, size: str) -> Decision:
    """A disk that is there, larger."""
    present = _present(seen)
    (disk,) = (each for each in present["disks"] if each["name"] == name)
    if disk["size"] == size:
        return Decision(f"disk {name} has {size} already")
    attempt = f"expand disk {name} of {seen.name}"
    if _shrinks(disk["size"], size):
        raise InvalidOptions(
            f"Cannot {attempt}: a disk cannot shrink, and it has {disk['size']}; ask for a larger size",
            causes=[Cause("size", "a disk cannot shrink")],
        )
    present["disks"] = [{**each, "size": size} if each is disk else each for each in present["disks"]]
    return _write(seen, attempt, present, f"disk {name} grows from {disk['size']} to {size}")


def pruned(seen: Equipped) -> dict[str, str | None]:
    """The annotation to write beside a change of the spec: taken away where its run is over, else none."""
    if seen.ephemeral_text is None:
        return {}
    try:
        over = EphemeralDevices.read(seen.ephemeral_text).run != seen.run
    except ValueError:
        # Whoever wrote it by hand is told by the machine's condition, and mends it.
        return {}
    return {ANNOTATION_EPHEMERAL_DEVICES: None} if over else {}


def _present(seen: Equipped) -> Lists:
    """Those of the present run, save what the spec has under the same name."""
    none: Lists = {"disks": [], "networkInterfaces": []}
    if seen.ephemeral_text is None:
        return none
    try:
        devices = EphemeralDevices.read(seen.ephemeral_text)
    except ValueError as error:
        raise StateForbids(
            f"Cannot tell which devices {seen.name} has until its next stop: {error}",
            causes=[Cause(f"metadata.annotations[{ANNOTATION_EPHEMERAL_DEVICES}]", str(error))],
        ) from error
    if devices.run != seen.run:
        return none
    return {
        "disks": _unlike(seen.items("disks"), [disk.to_json() for disk in devices.disks]),
        "networkInterfaces": _unlike(
            seen.items("networkInterfaces"), [each.to_json() for each in devices.network_interfaces]
        ),
    }


def _unlike(of_spec: Sequence[Json], devices: Sequence[Json]) -> list[Json]:
    taken = {each["name"] for each in of_spec}
    return [each for each in devices if each["name"] not in taken]


def _runs(seen: Equipped, attempt: str) -> None:
    power = seen.power
    if power is not None and power.status.at_provider.state == "On" and power.spec.for_provider.state != "Off":
        return
    state = "not started yet" if power is None else f"not on (power {power.status.at_provider.state or 'unknown'})"
    if power is not None and power.spec.for_provider.state == "Off":
        state = "being stopped, or off"
    raise StateForbids(f"Cannot {attempt}: it is {state}; start it first, and wait until it is on")


def _shrinks(present: str, wanted: str) -> bool:
    try:
        return parse_bytes(wanted) < parse_bytes(present)
    except ValueError:
        # What is no size at all is refused in the words of the machine's admission.
        return False


def _write(seen: Equipped, attempt: str, devices: Lists, told: str, let_go: tuple[str, ...] = ()) -> Decision:
    other = annotation_steward(seen.machine, ANNOTATION_EPHEMERAL_DEVICES)
    if other is not None:
        raise StateForbids(
            f"Cannot {attempt}: {other} looks after annotation {ANNOTATION_EPHEMERAL_DEVICES} and would undo it; "
            "take the annotation out where that has it from",
            causes=[Cause("metadata.annotations", f"looked after by {other}", "FieldManagerConflict")],
        )
    left = any(devices.values())
    run = seen.run or seen.new_run
    document: Json = {"run": run} | {str(list_): each for list_, each in devices.items() if each}
    return Decision(
        told,
        annotations={ANNOTATION_EPHEMERAL_DEVICES: json.dumps(document, separators=(",", ":")) if left else None},
        trial={list_: [*seen.items(list_), *each] for list_, each in devices.items() if each},
        new_run=_mark(seen, run) if left and seen.run is None else None,
        let_go=let_go,
    )


def _mark(seen: Equipped, run: str) -> NewRun | None:
    if seen.power is None:
        return None
    metadata = seen.power.metadata
    return NewRun(run, metadata.name, metadata.resource_version)
