"""A PowerState: its planner is asked about every case, and cases that it treats alike become one row."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product

from provider.api.powerstate import PowerState
from provider.api.reasons import Reason
from provider.planning.action import SwitchPower
from provider.planning.powerstate import PowerPlan, plan
from provider.planning.powerworld import ASK_AGAIN_S, Fault, World
from tests.states.markdown import OUTSIDE, diagram, prose, table
from tests.unit.planning.builders import DELETED, Json, child, hold_on

_NOW = datetime(2026, 1, 1, 10, tzinfo=UTC)
_GRACE_S = 60.0
_AGES = {"just now": 1.0, f"{ASK_AGAIN_S:g} s ago": ASK_AGAIN_S, "longer ago than the grace": _GRACE_S}
_DESIRED = {"On": "On", "Off": "Off", "left as it is (Manual)": None, "deleted": None}
_ASKED = ("On", "GracefulShutdown", "ForceOff")
_FOLLOWS = {"On": "On", "GracefulShutdown": "Off", "ForceOff": "Off"}


@dataclass(frozen=True, slots=True)
class Case:
    """What is desired, what the BMC says, what was asked of it and when."""

    desired: str
    reading: str
    asked: str | None = None
    age: str = "just now"

    def world(self) -> World:
        """What the planner is shown."""
        wanted: Json = {"gracefulShutdownTimeoutSeconds": int(_GRACE_S)}
        if state := _DESIRED[self.desired]:
            wanted["state"] = state
        made = child("PowerState", "power", wanted, **(DELETED if self.desired == "deleted" else {}))
        seen = {"state": self.reading} | self._transition()
        power = PowerState.parse(made | {"status": {"atProvider": seen}})
        return World(power, hold_on(), _NOW, self.reading)  # type: ignore[arg-type]

    def _transition(self) -> Json:
        if self.asked is None:
            return {}
        asked_at = _NOW - timedelta(seconds=_AGES[self.age])
        # Power is cut at the end of a shutdown's grace, which began when the shutdown was asked for.
        started_at = asked_at - timedelta(seconds=_GRACE_S if self.asked == "ForceOff" else 0)
        times = {"startedAt": started_at.isoformat(), "askedAt": asked_at.isoformat()}
        return {"transition": {"action": self.asked, **times}}

    @property
    def state(self) -> str:
        """What it is called in the diagram."""
        return self.reading if self.asked is None else f"{self.reading}, {self.asked} asked"


def lines() -> Iterator[str]:
    yield from prose("## A PowerState")
    yield from prose(
        "What is desired, what the BMC says, and what it was asked for before decide what it is asked for now. A",
        "command is repeated from what is seen, never from what is remembered.",
    )
    yield from table(("desired", "BMC says", "asked before", "asked now", "Ready"), _rows())
    yield from prose("Before all of these:")
    yield from table(("when", "asked now", "Ready"), _exceptions())
    yield from prose(
        "The ways between, walked with the planner (the grace is the machine's terminationGracePeriodSeconds):"
    )
    yield from diagram(_edges())


def _rows() -> Iterator[tuple[str, ...]]:
    for desired, reading in product(_DESIRED, ("Off", "On")):
        grouped: defaultdict[tuple[str, str], list[Case]] = defaultdict(list)
        for case in _cases(desired, reading):
            grouped[_decided(plan(case.world()))].append(case)
        most = max(grouped.values(), key=len)
        for decided, cases in sorted(grouped.items(), key=lambda group: len(group[1])):
            rest = "anything" if len(grouped) == 1 else "anything else, or nothing"
            yield desired, reading, rest if cases is most else _before(cases), *decided


def _before(cases: list[Case]) -> str:
    ages: defaultdict[str, list[str]] = defaultdict(list)
    for case in cases:
        ages[case.asked or "nothing"].append(case.age)
    return "; ".join(each if len(ages[each]) == len(_AGES) else f"{each} {' or '.join(ages[each])}" for each in ages)


def _cases(desired: str, reading: str) -> Iterator[Case]:
    yield Case(desired, reading)
    for asked, age in product(_ASKED, _AGES):
        yield Case(desired, reading, asked, age)


def _exceptions() -> Iterator[tuple[str, str, str]]:
    start, off = Case("On", "Off").world(), Case("Off", "On").world()
    fault = Fault(Reason.BMC_UNREACHABLE, "")
    fresh = PowerState.parse(child("PowerState", "power", {"state": "On"}))
    for when, world in (
        ("the BMC cannot be asked", replace(start, reading=None, fault=fault)),
        ("it was not asked yet", replace(off, reading=None)),
        ("a start, and disks or NICs are not ready", replace(start, pending=("VirtualDisk d",))),
        ("a start, and at the first look the server is on for somebody else", _found_on(fresh)),
    ):
        yield when, *_decided(plan(world))


def _found_on(power: PowerState) -> World:
    return World(power, hold_on(), _NOW, "On", boot_disk_shown=False)


def _decided(decided: PowerPlan) -> tuple[str, str]:
    gone = ", and it is gone" if decided.gone else ""
    return _asks(decided) or "–", f"{decided.ready.status}, {decided.ready.reason}{gone}"


def _asks(decided: PowerPlan) -> str:
    return "".join(action.reset_type for action in decided.actions if isinstance(action, SwitchPower))


def _edges() -> dict[tuple[str, str], list[str]]:
    """From each state by what is desired; and by the server doing what it was asked for."""
    edges: dict[tuple[str, str], list[str]] = {(OUTSIDE, "Off"): ["a server is bound"]}
    pending = [Case("On", "Off"), Case("Off", "On")]
    walked: set[Case] = set()
    while pending:
        case = pending.pop(0)
        if case in walked:
            continue
        walked.add(case)
        if asked := _asks(plan(case.world())):
            after = replace(case, asked=asked, age="just now")
            late = f" and that was {case.age}" if case.asked else ""
            cause = f"{case.desired} is desired{late}"
            if after.state != case.state:
                edges.setdefault((case.state, after.state), []).append(cause)
            pending += [replace(after, age=age) for age in _AGES]
            follows = replace(case, reading=_FOLLOWS[asked], asked=None, age="just now")
            edges[after.state, follows.state] = ["the server follows"]
            pending += [replace(follows, desired=desired) for desired in ("On", "Off")]
    return edges
