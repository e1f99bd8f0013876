"""What a plan tells the user, and the plan itself."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from provider.api.conditions import ConditionStatus
from provider.api.reasons import Reason
from provider.api.schema import ApiModel
from provider.planning.action import Action

Seen = TypeVar("Seen", bound=ApiModel)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Status, reason and message of a condition; the rest of it (times, generation) is not a decision."""

    status: ConditionStatus
    reason: Reason
    message: str = ""


AVAILABLE = Verdict("True", Reason.AVAILABLE)
IN_SYNC = Verdict("True", Reason.RECONCILE_SUCCESS)


def waiting(reason: Reason, message: str = "") -> Verdict:
    """Not ready, and that is nobody's fault yet."""
    return Verdict("False", reason, message)


@dataclass(frozen=True, slots=True)
class Plan(Generic[Seen]):
    """What to do now, and what is so.

    ``gone``: on the delete path, nothing of the external resource is left and the object may go.
    ``intent``: what takes the place of ``seen`` before the actions are carried out: a successor of ours must know that
    they may be under way.
    ``record``: what takes the place of ``seen`` once the actions are done, and is written before anything else is
    looked at, because the next plan rests on it.
    ``look_again_s``: when no event will tell. ``polled``: that look is routine and may wait behind new work.
    """

    ready: Verdict
    seen: Seen
    actions: tuple[Action, ...] = ()
    synced: Verdict = IN_SYNC
    gone: bool = False
    intent: Seen | None = None
    record: Seen | None = None
    look_again_s: float | None = None
    polled: bool = False


def refused(reason: Reason, message: str, seen: Seen) -> Plan[Seen]:
    """A plan to do nothing, because what is asked for must not or cannot be done: a human has to change something."""
    verdict = Verdict("False", reason, message)
    return Plan(ready=verdict, seen=seen, synced=verdict)
