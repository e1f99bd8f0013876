"""The machine's status: the function's, with the engine's two conditions beside it. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal

from provider.api.conditions import READY, SYNCED, Condition, merge
from provider.api.reasons import Reason
from provider.composition.children import Desired

Json = dict[str, Any]
Answer = Literal["True", "False", "Unknown"]

_FEW = 3


def compose(machine: Json, from_function: Json, conditions: Iterable[Condition]) -> Json:
    """The whole status to apply. Transition times move only where a condition's status does."""
    merged = merge(current_conditions(machine), *conditions)
    kept = {key: value for key, value in from_function.items() if key != "conditions"}
    return kept | {"conditions": [condition.to_json() for condition in merged]}


def current_conditions(machine: Json) -> list[Condition]:
    """The conditions that the machine has now."""
    return [Condition.model_validate(entry) for entry in machine.get("status", {}).get("conditions", ())]


def readiness(machine: Json, desired: Sequence[Desired], explicit: bool | None, now: datetime) -> Condition:
    """Ready: every child is, as the function said; or what the function said of the machine itself, without a word."""
    unready = sorted(each.resource_name for each in desired if not each.ready)
    if explicit is True or (explicit is None and not unready):
        return condition(machine, READY, "True", Reason.AVAILABLE, now)
    waiting = "" if explicit is False else f"Unready resources: {_first_few(unready)}"
    return condition(machine, READY, "False", Reason.CREATING, now, waiting)


def _first_few(names: Sequence[str]) -> str:
    """Names as Crossplane lists them in conditions (crossplane-runtime 2.3, ``resource.StableNAndSomeMore``)."""
    if len(names) < _FEW:
        return ", ".join(names)
    whole = len(names) == _FEW
    shown, last = (names[:-1], names[-1]) if whole else (names[:_FEW], f"{len(names) - _FEW} more")
    return ", ".join([*shown, f"and {last}"])


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
