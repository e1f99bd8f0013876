"""From what the function was told to what it answers. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provider.api.machine import MachineStatus
from provider.function import children, progress
from provider.function import status as machine_status
from provider.function.children import Missing
from provider.function.observed import POWER, Observed, as_desired, is_ready
from provider.function.status import Progressing

Json = dict[str, Any]

_BAD = frozenset({"Failed", "Unschedulable", "Unknown"})


@dataclass(frozen=True, slots=True)
class News:
    """What happened to the machine since it was last told of: an Event, told once."""

    bad: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Children with their readiness, the machine's status, and what the function would have to see to go further."""

    desired: Mapping[str, Json]
    ready: Mapping[str, bool]
    status: MachineStatus
    progressing: Progressing
    missing: tuple[Missing, ...]
    asks: tuple[Missing, ...]
    news: News | None


def answer(seen: Observed) -> Answer:
    """The whole answer.

    A machine that has no children yet gets none while anything is missing; one that has them keeps them all.
    """
    lacks = children.missing(seen)
    nothing_yet = bool(lacks) and not seen.children
    desired = {} if nothing_yet else children.compose(seen)
    obstacle = None if nothing_yet else progress.obstacle(seen, desired)
    status = machine_status.machine_status(seen, obstacle)
    progressing = machine_status.progressing(seen, obstacle, lacks)
    return Answer(
        desired=desired,
        ready={name: _ready(name, manifest, seen) for name, manifest in desired.items()},
        status=status,
        progressing=progressing,
        missing=tuple(lacks),
        asks=asks(seen),
        news=_news(seen, status, progressing),
    )


def _news(seen: Observed, status: MachineStatus, progressing: Progressing) -> News | None:
    """The machine's word, where it is another one than before, with what is behind it."""
    word, before = status.printable_status, seen.machine.status.printable_status if seen.machine.status else None
    if word is None or word == before:
        return None
    told = {
        "Running": f"the machine answers at {', '.join(status.addresses)}",
        "Stopped": "the power is off",
        "Stopping": "the power is being switched off",
        "Deleting": "its power, devices, volumes and server are being given back",
    }.get(word, progressing.message or f"the machine is {word}")
    return News(word in _BAD, word, told)


def asks(seen: Observed) -> tuple[Missing, ...]:
    """The cluster objects that the answer depends on: whatever is not pinned yet, found or not."""
    return tuple(children.missing(Observed(machine=seen.machine, children=seen.children)))


def _ready(name: str, manifest: Json, seen: Observed) -> bool:
    child = seen.children.get(name)
    # A change that is applied only after this answer has no generation yet that its owner could have spoken of.
    if child is None or not is_ready(child) or not as_desired(child, manifest):
        return False
    if name != POWER or seen.machine.spec.run_strategy == "Halted":
        return True
    on = seen.power is not None and seen.power.status.at_provider.state == "On"
    # A machine that is on is ready when it answers: that is what users wait for.
    return not on or progress.answering(seen)
