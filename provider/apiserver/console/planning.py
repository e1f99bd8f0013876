"""What to do about the console of one server. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from provider.api.names import GROUP_PREFIX

ANNOTATION_FINISHED_REQUEST = f"{GROUP_PREFIX}/finished-power-request"
_SWITCHES_OFF = ("ForceOff", "GracefulShutdown")


class Owner(Enum):
    """Who has a console."""

    OURS = "ours"
    THEIRS = "theirs"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known. ``held``: a machine that exists holds the server; ``free``: no claim has it.

    ``visited``: somebody looks, or wants to; ``power``: the server has power, or is about to have it.
    """

    held: bool
    free: bool
    visited: bool
    power: bool
    owner: Owner
    our_turn: bool


@dataclass(frozen=True, slots=True)
class Seal:
    """There is no console: its machine is gone, or nobody looks at a server that is free."""


@dataclass(frozen=True, slots=True)
class Yield:
    """Another replica has it."""


@dataclass(frozen=True, slots=True)
class Keep:
    """It is ours. ``connect``: there should be a session at the BMC."""

    connect: bool


@dataclass(frozen=True, slots=True)
class Take:
    """Nobody has it: become its owner, then keep it."""

    connect: bool


@dataclass(frozen=True, slots=True)
class Wait:
    """Nobody has it, and it is another's turn."""


Plan = Seal | Yield | Keep | Take | Wait


def plan(facts: Facts) -> Plan:
    """What to do next."""
    if not facts.held and not (facts.free and facts.visited):
        return Seal()
    connect = facts.power or not facts.held
    match facts.owner:
        case Owner.OURS:
            return Keep(connect)
        case Owner.THEIRS:
            return Yield()
        case Owner.NOBODY:
            return Take(connect) if facts.our_turn or facts.visited else Wait()


def has_power(power_states: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a machine's server has power, or is about to: what the firmware says first should be heard too."""
    return any(_has_power(state) for state in power_states)


def _has_power(state: Mapping[str, Any]) -> bool:
    asked = state.get("spec", {}).get("forProvider", {})
    seen = state.get("status", {}).get("atProvider", {})
    if seen.get("state") == "On" or (seen.get("transition") or {}).get("action") == "On":
        return True
    if state["metadata"].get("deletionTimestamp"):
        return False
    return asked.get("state") == "On" or _is_to_be_started(state, asked.get("request") or {})


def _is_to_be_started(state: Mapping[str, Any], request: Mapping[str, Any]) -> bool:
    finished = (state["metadata"].get("annotations") or {}).get(ANNOTATION_FINISHED_REQUEST)
    return bool(request) and request.get("id") != finished and request.get("action") not in _SWITCHES_OFF
