"""What is done about the console of one server."""

from typing import Any

import pytest

from provider.apiserver.console.planning import Facts, Keep, Owner, Plan, Seal, Take, Wait, Yield, has_power, plan


def facts(**known: Any) -> Facts:
    usual: dict[str, Any] = {
        "held": True,
        "free": False,
        "visited": False,
        "power": True,
        "owner": Owner.OURS,
        "our_turn": False,
    }
    return Facts(**(usual | known))


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, Keep(connect=True)),
        ({"power": False}, Keep(connect=False)),
        ({"owner": Owner.THEIRS}, Yield()),
        ({"owner": Owner.THEIRS, "visited": True, "our_turn": True}, Yield()),
        ({"owner": Owner.NOBODY}, Wait()),
        ({"owner": Owner.NOBODY, "our_turn": True, "power": False}, Take(connect=False)),
        ({"owner": Owner.NOBODY, "visited": True}, Take(connect=True)),
        ({"held": False}, Seal()),
        ({"held": False, "visited": True}, Seal()),
        ({"held": False, "free": True}, Seal()),
        ({"held": False, "owner": Owner.THEIRS}, Seal()),
        ({"held": False, "free": True, "visited": True, "power": False}, Keep(connect=True)),
        ({"held": False, "free": True, "visited": True, "owner": Owner.NOBODY}, Take(connect=True)),
    ],
)
def test_plan(known: dict[str, Any], expected: Plan) -> None:
    assert plan(facts(**known)) == expected


def power(asked: dict[str, Any], seen: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    return {"metadata": metadata, "spec": {"forProvider": asked}, "status": {"atProvider": seen or {}}}


REQUEST = {"id": "r1", "action": "On"}
GOING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (power({"state": "On"}), True),
        (power({"state": "Off"}, {"state": "On"}), True),
        (power({"state": "Off"}, {"state": "Off"}), False),
        (power({}, {"state": "Off"}), False),
        (power({}, {"state": "Off", "transition": {"action": "On"}}), True),
        (power({}, {"state": "Off", "transition": None}), False),
        (power({"request": REQUEST}, {"state": "Off"}), True),
        (power({"request": REQUEST}, {}, annotations={"metalplane.io/finished-power-request": "r1"}), False),
        (power({"request": REQUEST}, {}, annotations={"metalplane.io/finished-power-request": "r0"}), True),
        (power({"request": {"id": "r1", "action": "ForceOff"}}), False),
        (power({"state": "On"}, {"state": "Off"}, **GOING), False),
        (power({"state": "On"}, {"state": "On"}, **GOING), True),
    ],
)
def test_a_server_has_power_from_when_it_is_to_be_started_until_it_is_seen_off(
    state: dict[str, Any], expected: bool
) -> None:
    assert has_power([state]) is expected
    assert has_power([]) is False
    assert has_power([power({}), state]) is expected
