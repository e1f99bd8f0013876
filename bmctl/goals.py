"""What the verbs wait for: when it is reached, how far it is, and when it never will be. Pure."""

from collections.abc import Callable
from typing import Any

from bmctl.errors import UsageError
from bmctl.progress import State
from bmctl.tree import condition
from bmctl.waiting import Goal, Seen
from provider.api.names import ANNOTATION_FINISHED_POWER_REQUEST, LABEL_DISK, LABEL_NIC
from provider.api.resources import POWERSTATE, VIRTUALDISK, VIRTUALNIC, VOLUME, ResourceType

Json = dict[str, Any]

_FAILED, _SUCCEEDED = "Failed", "Succeeded"


def word(machine: Json) -> str:
    """STATUS."""
    return machine.get("status", {}).get("printableStatus") or "Pending"


def of_machine(seen: Seen) -> State:
    """How far the machine as a whole is, by its condition Progressing."""
    machine = seen.machine or {}
    progressing = condition(machine, "Progressing")
    return State(word(machine), progressing.message)


def running() -> Goal:
    """It runs; one without interfaces cannot be seen to answer, so there that its power is on is all."""

    def reached(seen: Seen) -> bool:
        machine = seen.machine or {}
        if word(machine) == "Running":
            return True
        silent = not machine.get("spec", {}).get("networkInterfaces")
        return bool(silent and word(machine) == "Starting" and machine.get("status", {}).get("powerState") == "On")

    return Goal("is Running", reached, of_machine)


def stopped() -> Goal:
    """Its power was seen off, and should be."""
    return Goal("is Stopped", lambda seen: word(seen.machine or {}) == "Stopped", of_machine)


def reset() -> Goal:
    """Its BMC took the reset. That it runs proves nothing then: it is said to run until it is seen silent."""
    return Goal("was reset", lambda _: True, lambda _: State("Reset"))


def deleted() -> Goal:
    """It is gone."""
    return Goal("is gone", lambda _: False, of_machine, gone_is_reached=True)


def has_condition(type_: str, status: str = "True") -> Goal:
    """A condition of the machine has a status, seen for the machine as it is now."""

    def reached(seen: Seen) -> bool:
        machine = seen.machine or {}
        for entry in machine.get("status", {}).get("conditions", ()):
            if entry["type"].lower() == type_.lower():
                current = entry.get("observedGeneration", machine["metadata"].get("generation"))
                fresh = current == machine["metadata"].get("generation")
                return bool(fresh and entry["status"].lower() == status.lower())
        return False

    return Goal(f"has {type_}={status}", reached, of_machine)


def named(text: str) -> Goal:
    """What ``--for`` names."""
    simple: dict[str, Callable[[], Goal]] = {"running": running, "stopped": stopped, "delete": deleted}
    if text.lower() in simple:
        return simple[text.lower()]()
    if text.lower() == "ready":
        return has_condition("Ready")
    if text.startswith("condition="):
        type_, _, status = text.removeprefix("condition=").partition("=")
        if type_:
            return has_condition(type_, status or "True")
    raise UsageError(
        "Reading the arguments",
        f"--for={text} is nothing that a machine can be",
        "Write Ready, Running, Stopped, delete, or condition=TYPE[=STATUS].",
    )


def power_request(request_id: str, then: Goal) -> Goal:
    """A request of power was carried out, and ``then`` the machine is as that goal says."""

    def power(seen: Seen) -> Json:
        return next((child for child in seen.owned() if child["kind"] == POWERSTATE.kind), {})

    def progress(seen: Seen) -> Json:
        told = power(seen).get("status", {}).get("atProvider", {}).get("request") or {}
        return told if told.get("id") == request_id else {}

    def finished(seen: Seen) -> bool:
        annotations = power(seen).get("metadata", {}).get("annotations", {})
        done = annotations.get(ANNOTATION_FINISHED_POWER_REQUEST) == request_id
        return progress(seen).get("phase") == _SUCCEEDED or (done and not failed(seen))

    def state(seen: Seen) -> State:
        if finished(seen):
            return then.state(seen)
        told = progress(seen)
        return State(told.get("phase") or "Pending", told.get("message") or "")

    def failed(seen: Seen) -> str:
        told = progress(seen)
        if told.get("phase") == _FAILED:
            return told.get("message") or "the request failed"
        asked = power(seen).get("spec", {}).get("forProvider", {}).get("request") or {}
        # The API server answers for what was written: another id was written later.
        newer = not told and asked.get("id", request_id) != request_id
        return "a newer request of power took the place of this one" if newer else ""

    return Goal(then.what, lambda seen: finished(seen) and then.reached(seen), state, (POWERSTATE,), failed)


def _child(seen: Seen, kind: ResourceType, label: str, name: str) -> Json | None:
    for child in seen.owned():
        if child["kind"] == kind.kind and child["metadata"].get("labels", {}).get(label) == name:
            return child
    return None


def _state_of(kind: ResourceType, label: str, name: str) -> Callable[[Seen], State]:
    def state(seen: Seen) -> State:
        child = _child(seen, kind, label, name)
        if child is None:
            return of_machine(seen) if condition(seen.machine or {}, "Progressing").message else State("Creating")
        synced, ready = condition(child, "Synced"), condition(child, "Ready")
        told = synced if synced.status == "False" else ready
        return State(ready.reason or "Creating", told.message)

    return state


def has_disk(name: str) -> Goal:
    """The disk is plugged in."""
    return _has(VIRTUALDISK, LABEL_DISK, name, f"has disk {name}")


def has_nic(name: str) -> Goal:
    """The interface is plugged in."""
    return _has(VIRTUALNIC, LABEL_NIC, name, f"has interface {name}")


def _has(kind: ResourceType, label: str, name: str, what: str) -> Goal:
    def reached(seen: Seen) -> bool:
        child = _child(seen, kind, label, name)
        return child is not None and condition(child, "Ready").status == "True"

    return Goal(what, reached, _state_of(kind, label, name), (kind,))


def lacks_disk(name: str) -> Goal:
    """The disk is unplugged."""
    return _lacks(VIRTUALDISK, LABEL_DISK, name, f"has let go of disk {name}")


def lacks_nic(name: str) -> Goal:
    """The interface is unplugged."""
    return _lacks(VIRTUALNIC, LABEL_NIC, name, f"has let go of interface {name}")


def _lacks(kind: ResourceType, label: str, name: str, what: str) -> Goal:
    def reached(seen: Seen) -> bool:
        return _child(seen, kind, label, name) is None

    def state(seen: Seen) -> State:
        child = _child(seen, kind, label, name)
        if child is None:
            return State("Removed")
        ready = condition(child, "Ready")
        leaving = "deletionTimestamp" in child["metadata"]
        return State("Unplugging" if leaving else "Waiting", ready.message)

    return Goal(what, reached, state, (kind,))


def disk_has_size(name: str, size_bytes: int) -> Goal:
    """The volume has grown, and the machine is shown the new size."""

    def size(seen: Seen, kind: ResourceType) -> int:
        child = _child(seen, kind, LABEL_DISK, name) or {}
        return int(child.get("status", {}).get("atProvider", {}).get("sizeBytes") or 0)

    def reached(seen: Seen) -> bool:
        return min(size(seen, VOLUME), size(seen, VIRTUALDISK)) >= size_bytes

    def state(seen: Seen) -> State:
        step = "Showing" if size(seen, VOLUME) >= size_bytes else "Growing"
        kind = VIRTUALDISK if step == "Showing" else VOLUME
        child = _child(seen, kind, LABEL_DISK, name)
        return State(step, condition(child, "Ready").message if child else "")

    return Goal(f"shows disk {name} grown", reached, state, (VOLUME, VIRTUALDISK))
