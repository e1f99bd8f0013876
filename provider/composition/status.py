"""The machine's status: the function's, with the engine's two conditions beside it. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal

from provider.api.conditions import READY, SYNCED, Condition, merge
from provider.api.reasons import Reason
from provider.composition.children import Desired

Json = dict[str, Any]
Answer = Literal["True", "False", "Unknown"]


def compose(machine: Json, from_function: Json, conditions: Iterable[Condition]) -> Json:
    """The whole status to apply. Transition times move only where a condition's status does."""
    merged = merge(current_conditions(machine), *conditions)
    kept = {key: value for key, value in from_function.items() if key != "conditions"}
    return kept | {"conditions": [condition.to_json() for condition in merged]}


def current_conditions(machine: Json) -> list[Condition]:
    """The conditions that the machine has now."""
    return [Condition.model_validate(entry) for entry in machine.get("status", {}).get("conditions", ())]


def readiness(machine: Json, desired: Sequence[Desired], explicit: bool | None, now: datetime) -> Condition:
    """Ready: every child is, as the function said; or what the function said of the machine itself."""
    unready = sorted(each.resource_name for each in desired if not each.ready)
    if explicit is True or (explicit is None and not unready):
        return condition(machine, READY, "True", Reason.AVAILABLE, now)
    silent = "The function counts the machine as not ready" if desired else "Nothing is composed yet"
    waiting = f"Unready resources: {', '.join(unready)}" if unready else silent
    return condition(machine, READY, "False", Reason.CREATING, now, waiting)


def succeeded(machine: Json, now: datetime) -> Condition:
    """Synced: the last reconcile went through."""
    return condition(machine, SYNCED, "True", Reason.RECONCILE_SUCCESS, now)


def failed(machine: Json, message: str, now: datetime) -> Condition:
    """Synced: the last reconcile failed."""
    return condition(machine, SYNCED, "False", Reason.RECONCILE_ERROR, now, message)


def paused(machine: Json, now: datetime) -> Condition:
    """Synced: somebody paused the machine."""
    message = "Reconciliation is paused by the annotation crossplane.io/paused; remove it to go on"
    return condition(machine, SYNCED, "False", Reason.RECONCILE_PAUSED, now, message)


def deleting(machine: Json, waiting_for: Iterable[str], now: datetime) -> Condition:
    """Ready: the machine is on its way out."""
    names = ", ".join(sorted(waiting_for))
    message = f"Waiting for {names} to go" if names else ""
    return condition(machine, READY, "False", Reason.DELETING, now, message)


def condition(machine: Json, type_: str, answer: Answer, reason: str, now: datetime, message: str = "") -> Condition:
    """A condition that speaks of the machine's present generation."""
    return Condition(
        type=type_,
        status=answer,
        reason=reason,
        message=message,
        last_transition_time=now,
        observed_generation=machine["metadata"]["generation"],
    )
