"""The mark of a machine's run: it is there until the server is seen off, and gone before anything else is done."""

import pytest

from provider.api.names import ANNOTATION_FINISHED_POWER_REQUEST, ANNOTATION_RUN
from provider.api.powerstate import Power, PowerState
from provider.planning.action import PatchObject
from provider.planning.powerstate import PowerPlan, plan
from provider.planning.powerworld import World
from tests.unit.planning.builders import DELETED, Json, child, hold_on
from tests.unit.planning.test_powerstate_plan import NOW

RESTART: Json = {"id": "q1", "action": "PowerCycle", "requestedAt": "2026-01-01T10:00:00Z"}
CUT_OFF: Json = {
    "state": "On",
    "request": {"id": "q1", "phase": "PoweringOff", "startedAt": "2026-01-01T10:00:00Z"},
    "transition": {
        "action": "ForceOff",
        "startedAt": "2026-01-01T10:00:00Z",
        "askedAt": "2026-01-01T10:00:00Z",
    },
}


def decided(
    reading: Power,
    seen: Json,
    *,
    state: str | None = "On",
    run: str | None = "r1",
    request: Json | None = None,
    deleted: bool = False,
) -> PowerPlan:
    wanted: Json = ({"state": state} if state else {}) | ({"request": request} if request else {})
    marks = {ANNOTATION_RUN: run} if run else {}
    made = child("PowerState", "power", wanted, annotations=marks, **(DELETED if deleted else {}))
    power = PowerState.parse(made | {"status": {"atProvider": seen}})
    return plan(World(power, hold_on(), NOW, reading))


def ends_run(decided: PowerPlan) -> bool:
    bodies = [action.body for action in decided.actions if isinstance(action, PatchObject)]
    return {"metadata": {"annotations": {ANNOTATION_RUN: None}}} in bodies


@pytest.mark.parametrize("state", ["On", "Off", None])
@pytest.mark.parametrize("seen", [{}, {"state": "On"}, {"state": "Off"}, {"state": "Unknown"}])
def test_a_server_that_is_off_ends_the_run_whatever_is_remembered_and_wanted(seen: Json, state: str | None) -> None:
    ended = decided("Off", seen, state=state)
    assert ends_run(ended)
    assert len(ended.actions) == 1, "a start would come before the end of the run is written"
    assert not ends_run(decided("Off", seen, state=state, run=None))


@pytest.mark.parametrize("state", ["On", "Off", None])
@pytest.mark.parametrize("seen", [{}, {"state": "On"}, {"state": "Off"}, {"state": "Unknown"}])
def test_a_server_that_is_on_ends_no_run(seen: Json, state: str | None) -> None:
    assert not ends_run(decided("On", seen, state=state))


def test_the_off_phase_of_a_restart_ends_the_run_and_forgets_nothing_of_the_restart() -> None:
    ended = decided("Off", CUT_OFF, request=RESTART)
    assert ends_run(ended)
    assert (
        ended.seen.request
        == PowerState.parse(
            child("PowerState", "power", {}) | {"status": {"atProvider": CUT_OFF}}
        ).status.at_provider.request
    )
    assert ended.seen.transition is not None
    after = decided("Off", CUT_OFF, request=RESTART, run=None)
    assert [getattr(action, "reset_type", None) for action in after.actions] == [None, "On"]


def test_the_patch_is_of_the_version_that_was_seen_and_touches_no_other_mark() -> None:
    (mark,) = decided("Off", {"state": "On"}).actions
    assert isinstance(mark, PatchObject)
    assert mark.resource_version == "1"
    assert ANNOTATION_FINISHED_POWER_REQUEST not in mark.body["metadata"]["annotations"]


def test_a_machine_that_is_deleted_needs_no_end_of_its_run() -> None:
    assert decided("Off", {"state": "Off"}, deleted=True).gone
