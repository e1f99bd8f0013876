"""A request of power: the planner is asked about every phase, and states that it treats alike become one row."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product

from provider.api.powerstate import Power, PowerState
from provider.planning.action import SwitchPower
from provider.planning.powerrequest import MAY_CHANGE_S
from provider.planning.powerstate import PowerPlan, plan
from provider.planning.powerworld import World
from tests.states.markdown import prose, table
from tests.unit.planning.builders import DELETED, Json, child, hold_on

_NOW = datetime(2026, 1, 1, 10, tzinfo=UTC)
_GRACE_S = 60
_DESIRED = {"On": "On", "left as it is": None, "Off": "Off", "deleted": None}
_STOPS = ("GracefulShutdown", "ForceOff")
_AGAINST = {True: ("On",), False: ("Off", "deleted")}
"""What desires forbid a request to switch off, and one that has the server on in the end."""
_READINGS: tuple[Power, ...] = ("Off", "On")


@dataclass(frozen=True, slots=True)
class _Begun:
    """A phase that an action can be in, and what the BMC was asked for in it."""

    phase: str
    asked: str | None
    ago_s: int = 1
    words: str = ""


_OFF = (_Begun("PoweringOff", "GracefulShutdown"), _Begun("PoweringOff", "GracefulShutdown", _GRACE_S, ", grace over"))
_CUT = (_Begun("PoweringOff", "ForceOff"),)
_ON = (_Begun("PoweringOn", "On"),)
_RESETTING = (_Begun("Resetting", None, words=", not confirmed"), _Begun("Resetting", "ForceRestart"))
_PHASES: dict[tuple[str, bool], tuple[_Begun, ...]] = {
    ("On", False): _ON,
    ("GracefulShutdown", False): _OFF,
    ("GracefulShutdown", True): _OFF,
    ("ForceOff", False): _CUT,
    ("GracefulRestart", False): (*_OFF, *_ON),
    ("GracefulRestart", True): (*_OFF, *_ON),
    ("PowerCycle", False): (*_CUT, *_ON),
    ("ForceRestart", False): _RESETTING,
}
"""By action, and whether forceAfterGracePeriod is set."""


def lines() -> Iterator[str]:
    yield from prose("### A request")
    yield from prose(
        "What is asked for once (`spec.forProvider.request`) comes before what is desired, unless that forbids it. Its",
        "phase is written before the command; one that is finished asks for nothing more.",
    )
    head = ("request", "phase", "BMC says", "desired", "asked now", "becomes")
    yield from table(head, _rows())
    yield from prose("Where what is desired forbids it:")
    yield from table(("request", "desired", "becomes"), _forbidden())
    yield from prose("Without a status that says how far it has come:")
    yield from table(("request", "BMC says", "asked now", "becomes"), _lost())


def _rows() -> Iterator[tuple[str, ...]]:
    for (action, force), phases in _PHASES.items():
        for begun, reading in product((None, *phases), _READINGS):
            grouped: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
            for desired in (each for each in _DESIRED if each not in _AGAINST[action in _STOPS]):
                grouped[_decided(plan(_world(action, force, begun, desired, reading)))].append(desired)
            for decided, desireds in grouped.items():
                name = f"{action}, forced" if force else action
                where = "not begun" if begun is None else begun.phase + begun.words
                yield name, where, reading, ", ".join(desireds), *decided


def _forbidden() -> Iterator[tuple[str, ...]]:
    waited = _Begun("Pending", None, int(MAY_CHANGE_S))
    for action in dict.fromkeys(action for action, _ in _PHASES):
        stops = action in _STOPS
        for desired in _AGAINST[stops]:
            first, later = (_decided(plan(_world(action, False, begun, desired, "On"))) for begun in (None, waited))
            after = f", after {MAY_CHANGE_S:g} s {later[1]}" if stops else ""
            yield action, desired, first[1] + after


def _lost() -> Iterator[tuple[str, ...]]:
    for (action, force), reading in product(_PHASES, _READINGS):
        if not force:
            world = _world(action, force, None, "left as it is", reading)
            unknown = PowerState.model_validate(world.power.to_json() | {"status": {}})
            yield action, reading, *_decided(plan(replace(world, power=unknown)))


def _world(action: str, force: bool, begun: _Begun | None, desired: str, reading: Power) -> World:
    request: Json = {"id": "r", "action": action, "requestedAt": _NOW.isoformat(), "forceAfterGracePeriod": force}
    wanted: Json = {"gracefulShutdownTimeoutSeconds": _GRACE_S, "request": request}
    if state := _DESIRED[desired]:
        wanted["state"] = state
    made = child("PowerState", "power", wanted, **(DELETED if desired == "deleted" else {}))
    seen: Json = {"state": reading}
    if begun is not None:
        at = (_NOW - timedelta(seconds=begun.ago_s)).isoformat()
        seen["request"] = {"id": "r", "phase": begun.phase, "startedAt": at}
        if begun.asked is not None:
            seen["transition"] = {"action": begun.asked, "startedAt": at, "askedAt": at}
    power = PowerState.parse(made | {"status": {"atProvider": seen}})
    return World(power, hold_on(), _NOW, reading)


def _decided(decided: PowerPlan) -> tuple[str, str]:
    asked = "".join(action.reset_type for action in decided.actions if isinstance(action, SwitchPower))
    progress = (decided.record or decided.seen).request
    if progress is None:
        return asked or "–", "–"
    return asked or "–", progress.phase + (f": {progress.message}" if progress.phase == "Failed" else "")
