"""How far the machine is: the first child that fails or is waited for, and the time of each step that is done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from provider.api.conditions import SYNCED, find
from provider.api.machine import TimelineEntry
from provider.api.reasons import Reason
from provider.api.steps import Step
from provider.api.virtualdisk import VirtualDisk
from provider.api.virtualnic import VirtualNIC
from provider.api.volume import Volume
from provider.function.observed import CLAIM, POWER, Child, Observed, as_desired, is_ready, ready_condition

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What the machine waits for. ``failed`` where waiting alone will not help."""

    reason: str
    message: str
    failed: bool


def answering(seen: Observed) -> bool:
    """Whether the agent saw the machine answer on one of its NICs, and still vouches for that NIC."""
    return any(
        is_ready(nic)
        and nic.status.at_provider.reachability is not None
        and nic.status.at_provider.reachability.state == "Reachable"
        for nic in seen.nics
    )


def obstacle(seen: Observed, desired: Mapping[str, Json]) -> Obstacle | None:
    """The first child, in the order of a provisioning, that fails or is waited for; a failure goes first."""
    standings = (_standing(name, desired[name], seen) for name in sorted(desired, key=_order))
    waiting = [each for each in standings if each is not None]
    failure = next((each for each in waiting if each.failed), None)
    if failure is not None or waiting:
        return failure or waiting[0]
    on = seen.power is not None and seen.power.status.at_provider.state == "On"
    if on and seen.machine.spec.run_strategy != "Halted" and not answering(seen):
        silent = "has not answered yet" if seen.nics else "has no network interface on which it could answer"
        return Obstacle(Reason.WAITING_FOR_ANSWER, f"the machine is on and {silent}", failed=False)
    return None


def departure(seen: Observed) -> str:
    """The first child that is still there, in the order in which a machine goes, and what it waits for."""
    for name in sorted(seen.children, key=_order, reverse=True):
        child = seen.children[name]
        ready = ready_condition(child)
        told = "going" if ready is None else ready.message or ready.reason
        return f"{type(child).__name__} {name}: {told}"
    return ""


def timeline(seen: Observed) -> list[TimelineEntry]:
    """When each step was done. A step that was told once stays as it was: later changes are not of the provisioning."""
    told = {entry.step: entry for entry in (seen.machine.status.timeline if seen.machine.status else ())}
    entries: list[TimelineEntry] = []
    for step in Step:
        at = told[step].at if step in told else _done_at(step, seen)
        if at is None:
            break
        not_before = entries[-1].at if entries else at
        entries.append(TimelineEntry(step=step, at=max(at, not_before)))
    return entries


def _done_at(step: Step, seen: Observed) -> datetime | None:
    match step:
        case Step.SERVER_BOUND:
            return _all_ready([seen.children.get(CLAIM)])
        case Step.VOLUMES_READY:
            return _all_ready(_of_kind(seen, Volume))
        case Step.NICS_READY:
            return _all_ready(_of_kind(seen, VirtualNIC)) or _if_none(seen)
        case Step.DISKS_READY:
            return _all_ready(_of_kind(seen, VirtualDisk))
        case Step.POWERED_ON:
            on = seen.power is not None and seen.power.status.at_provider.state == "On"
            return _all_ready([seen.power]) if on else None
        case Step.ANSWERING:
            return _first_answer(seen)


def _if_none(seen: Observed) -> datetime | None:
    """A machine without interfaces has all of them as soon as it has a server."""
    return None if seen.machine.spec.network_interfaces else _all_ready([seen.children.get(CLAIM)])


def _first_answer(seen: Observed) -> datetime | None:
    answers = [
        nic.status.at_provider.reachability.since
        for nic in seen.nics
        if is_ready(nic)
        and nic.status.at_provider.reachability is not None
        and nic.status.at_provider.reachability.state == "Reachable"
    ]
    return min(answers, default=None)


def _of_kind(seen: Observed, kind: type[Child]) -> Sequence[Child]:
    return [child for child in seen.children.values() if isinstance(child, kind)]


def _all_ready(children: Sequence[Child | None]) -> datetime | None:
    times: list[datetime] = []
    for child in children:
        condition = None if child is None else ready_condition(child)
        if child is None or condition is None or not is_ready(child):
            return None
        times.append(condition.last_transition_time)
    return max(times, default=None)


def _order(name: str) -> tuple[int, str]:
    ranks = {CLAIM: 0, "volume": 1, "nic": 2, "disk": 3, "seed": 4, POWER: 5}
    return ranks[name if name in ranks else name.partition("-")[0]], name


def _standing(name: str, manifest: Json, seen: Observed) -> Obstacle | None:
    child = seen.children.get(name)
    if child is None:
        return Obstacle(Reason.CREATING, f"{name} is being made", failed=False)
    synced = find(child.status.conditions, SYNCED)
    ready = ready_condition(child)
    kind = type(child).__name__
    if synced is not None and synced.status == "False":
        reason = ready.reason if ready is not None and ready.status != "True" else synced.reason
        return Obstacle(reason, f"{kind} {name}: {synced.message or synced.reason}", failed=True)
    if not as_desired(child, manifest):
        return Obstacle(Reason.CREATING, f"{kind} {name} is being changed", failed=False)
    if is_ready(child):
        return None
    if ready is None or ready.status == "True":
        # What was said of an earlier generation does not tell what this one waits for.
        return Obstacle(Reason.CREATING, f"{kind} {name}: not looked at yet", failed=False)
    return Obstacle(ready.reason, f"{kind} {name}: {ready.message or ready.reason}", failed=False)
