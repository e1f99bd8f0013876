"""Stories of a server's power: asked for from what is seen; cut only where that is desired and the server is ours."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.api.powerstate import Power, PowerState
from provider.api.reasons import Reason
from provider.planning.action import BootFromDisk, SwitchPower
from provider.planning.powerstate import PowerPlan, plan
from provider.planning.powerworld import ASK_AGAIN_S, Fault, World
from provider.planning.tenancy import NoHold
from tests.unit.planning.builders import DELETED, REFUSED, UNBOUND, Json, child, hold_on
from tests.unit.planning.played_server import PlayedServer

NOW = datetime(2026, 1, 1, 10, tzinfo=UTC)
GRACE_S = 60


def power(state: str | None, *, deleted: bool = False, seen: Json | None = None, **parameters: object) -> PowerState:
    wanted = ({} if state is None else {"state": state}) | parameters
    made = child("PowerState", "power", wanted, **(DELETED if deleted else {}))
    return PowerState.parse(made | ({"status": {"atProvider": seen}} if seen else {}))


def decide(made: PowerState, reading: Power | None = "Off", **known: object) -> PowerPlan:
    return plan(replace(World(made, hold_on(), NOW, reading), **known))  # type: ignore[arg-type]


def resets(decided: PowerPlan) -> list[str]:
    return [action.reset_type for action in decided.actions if isinstance(action, SwitchPower)]


def under_way(action: str, seconds_ago: float, *, asked_s_ago: float | None = None) -> Json:
    asked = NOW - timedelta(seconds=seconds_ago if asked_s_ago is None else asked_s_ago)
    started = NOW - timedelta(seconds=seconds_ago)
    return {"transition": {"action": action, "startedAt": started.isoformat(), "askedAt": asked.isoformat()}}


def test_a_server_is_told_to_boot_from_its_disks_and_then_switched_on() -> None:
    decided = decide(power("On"))
    boot, switch = decided.actions
    assert isinstance(boot, BootFromDisk)
    assert isinstance(switch, SwitchPower)
    assert switch.reset_type == "On"
    assert decided.intent is not None, "written down before it is sent"
    assert decided.intent.transition is not None
    assert decided.intent.transition.asked_at == NOW


def test_the_start_waits_for_the_machines_disks_and_nics_and_names_the_last_of_them() -> None:
    decided = decide(power("On"), pending=("VirtualDisk d", "VirtualNIC n"))
    assert decided.actions == ()
    assert decided.ready.reason is Reason.WAITING_FOR_DEVICES
    assert decided.ready.message == "waiting for VirtualDisk d (its conditions say why)"


def test_a_server_that_runs_is_not_bothered_when_a_device_is_not_ready() -> None:
    assert decide(power("On"), "On", pending=("VirtualDisk d",)).actions == ()


@pytest.mark.parametrize(("ago_s", "again"), [(ASK_AGAIN_S - 1, []), (ASK_AGAIN_S, ["On"])])
def test_a_server_that_does_not_follow_is_asked_again_after_a_while(ago_s: float, again: list[str]) -> None:
    assert resets(decide(power("On", seen=under_way("On", ago_s)))) == again


def test_a_shutdown_is_asked_for_before_the_power_is_cut() -> None:
    assert resets(decide(power("Off"), "On")) == ["GracefulShutdown"]
    asked = under_way("GracefulShutdown", GRACE_S - 1, asked_s_ago=ASK_AGAIN_S - 1)
    assert resets(decide(power("Off", seen=asked), "On")) == []
    assert resets(decide(power("Off", seen=under_way("GracefulShutdown", GRACE_S)), "On")) == ["ForceOff"]


def test_a_server_that_may_have_missed_its_power_button_is_asked_again_within_its_grace() -> None:
    decided = decide(power("Off", seen=under_way("GracefulShutdown", ASK_AGAIN_S)), "On")
    assert resets(decided) == ["GracefulShutdown"]
    assert decided.record is not None
    assert decided.record.transition is not None
    assert decided.record.transition.started_at == NOW - timedelta(seconds=ASK_AGAIN_S), "the grace goes on"


@pytest.mark.parametrize(("ago_s", "gone"), [(ASK_AGAIN_S - 1, False), (ASK_AGAIN_S, True)])
def test_a_server_that_was_just_asked_to_start_is_not_taken_for_off(ago_s: float, gone: bool) -> None:
    decided = decide(power("On", deleted=True, seen=under_way("On", ago_s)), "Off")
    assert decided.gone is gone
    assert decided.actions == ()


def test_no_grace_cuts_the_power_at_once() -> None:
    assert resets(decide(power("Off", gracefulShutdownTimeoutSeconds=0), "On")) == ["ForceOff"]


def test_a_start_that_was_recorded_is_no_reason_to_cut_the_power_without_grace() -> None:
    assert resets(decide(power("Off", seen=under_way("On", 3600)), "On")) == ["GracefulShutdown"]


def notes(decided: PowerPlan) -> list[str]:
    return [action.note for action in decided.actions if isinstance(action, SwitchPower)]


@pytest.mark.parametrize(("wanted", "reading"), [("On", "Off"), ("Off", "On")])
def test_a_server_that_was_switched_by_hand_is_shown_as_such_until_it_is_put_back(wanted: str, reading: Power) -> None:
    decided = decide(power(wanted, seen={"state": wanted}), reading)
    (note,) = notes(decided)
    assert note.startswith(f"found Server s1 {reading}, which is to be {wanted}: asked the BMC of Server s1 for ")
    assert "by hand" in decided.ready.message
    seen = (decided.record or decided.seen).to_json()
    waits = decide(power(wanted, seen=seen), reading)
    assert (waits.actions, waits.ready.message) == ((), decided.ready.message)
    again = decide(power(wanted, seen=seen), reading, now=NOW + timedelta(seconds=ASK_AGAIN_S))
    assert again.ready.message == decided.ready.message
    assert not any(note.startswith("found") for note in notes(again)), "that is no news any more"
    assert decide(power(wanted, seen=seen), wanted).ready.status == "True"  # type: ignore[arg-type]


@pytest.mark.parametrize(("state", "seen"), [("On", {"state": "Off"}), ("On", None), ("Off", {"state": "On"})])
def test_what_was_desired_only_now_is_no_drift(state: str, seen: Json | None) -> None:
    decided = decide(power(state, seen=seen), "Off" if state == "On" else "On")
    assert decided.actions
    assert "by hand" not in decided.ready.message
    assert not any(note.startswith("found") for note in notes(decided))


def test_the_power_is_left_as_it_is_where_no_state_is_desired() -> None:
    for reading in ("On", "Off"):
        decided = decide(power(None), reading)
        assert (decided.actions, decided.ready.status) == ((), "True")


@pytest.mark.parametrize("state", ["On", None])
@pytest.mark.parametrize(
    "seen", [None, under_way("ForceOff", 3600), under_way("GracefulShutdown", 3600), {"state": "Off"}]
)
def test_no_status_ever_switches_off_what_is_to_be_on(state: str | None, seen: Json | None) -> None:
    assert resets(decide(power(state, seen=seen), "On")) == []


@pytest.mark.parametrize("deleted", [False, True])
@pytest.mark.parametrize("hold", [REFUSED, UNBOUND], ids=["refused", "unbound"])
@pytest.mark.parametrize("state", ["On", "Off"])
def test_a_server_that_is_not_ours_is_never_switched(hold: NoHold, state: str, deleted: bool) -> None:
    decided = decide(power(state, deleted=deleted), "On", hold=hold)
    assert decided.actions == ()
    assert decided.gone == deleted, "with no server of ours nothing is left to switch off"


@pytest.mark.parametrize("deleted", [False, True])
def test_a_power_that_cannot_be_read_is_unknown_and_nothing_is_done_or_let_go(deleted: bool) -> None:
    fault = Fault(Reason.BMC_AUTHENTICATION_FAILED, "the BMC refused the password of Secret s")
    decided = decide(power("Off", deleted=deleted), None, fault=fault)
    assert (decided.actions, decided.gone) == ((), False)
    assert decided.seen.state == "Unknown"
    assert (decided.synced.status, decided.ready.reason) == ("False", Reason.BMC_AUTHENTICATION_FAILED)
    assert decided.look_again_s is not None


def test_a_deleted_powerstate_goes_only_when_the_power_was_seen_off() -> None:
    on = decide(power("On", deleted=True), "On")
    assert (resets(on), on.gone) == (["GracefulShutdown"], False)
    assert all(action.policy == "Delete" for action in on.actions)
    assert decide(power("On", deleted=True), "Off").gone
    assert not decide(power("On", deleted=True), None).gone


def test_a_start_after_a_shutdown_waits_until_the_shutdown_is_over() -> None:
    shutting = power("On", seen=under_way("GracefulShutdown", 5))
    assert decide(shutting, "On").actions == ()
    assert decide(shutting, "On").ready.reason is Reason.POWERING_OFF
    assert resets(decide(shutting, "Off")) == ["On"]


UNSHOWN: Json = {"boot_disk_shown": False, "pending": ("VirtualDisk root (WaitingForVolume)",)}


@pytest.mark.parametrize("state", ["On", None])
@pytest.mark.parametrize("seen", [None, {"state": "Off"}], ids=["first look", "seen off"])
def test_a_server_that_is_on_before_it_is_shown_the_boot_disk_is_not_the_machine(
    state: str | None, seen: Json | None
) -> None:
    decided = decide(power(state, seen=seen), "On", **UNSHOWN)
    assert resets(decided) == ["ForceOff"]
    assert decided.ready.reason is Reason.POWERING_OFF
    assert decided.intent is not None, "written down before it is sent"
    assert decided.intent.found_on


def test_a_server_that_was_found_on_is_switched_off_though_the_boot_disk_was_shown_since() -> None:
    found = {"state": "On", "foundOn": True}
    assert resets(decide(power("On", seen=found), "On")) == ["ForceOff"]
    assert resets(decide(power("On", seen=found | under_way("ForceOff", ASK_AGAIN_S)), "On")) == ["ForceOff"]
    waits = decide(power("On", seen=found | under_way("ForceOff", 1)), "On")
    assert (waits.actions, waits.ready.reason, waits.seen.found_on) == ((), Reason.POWERING_OFF, True)
    off = decide(power("On", seen=found | under_way("ForceOff", 1)), "Off")
    assert (resets(off), off.seen.found_on) == (["On"], None)


def test_a_power_that_cannot_be_read_at_the_first_look_is_not_taken_for_ours_later() -> None:
    silent = Fault(Reason.BMC_UNREACHABLE, "silence")
    first = decide(power("On"), None, fault=silent, **UNSHOWN)
    assert first.seen.found_on
    again = decide(power("On", seen=first.seen.to_json()), None, fault=silent)
    assert resets(decide(power("On", seen=again.seen.to_json()), "On")) == ["ForceOff"]


@pytest.mark.parametrize("seen", [{"state": "On"}, {"state": "Unknown"}, {"state": "Off"} | under_way("On", 5)])
def test_a_machine_that_was_started_runs_on_whatever_becomes_of_its_devices(seen: Json) -> None:
    assert decide(power("On", seen=seen), "On", **UNSHOWN).actions == ()


def test_a_machine_whose_power_has_lost_its_status_runs_on_while_its_boot_disk_is_shown() -> None:
    assert decide(power("On"), "On", pending=("VirtualDisk root (AgentLost)",)).actions == ()


@given(
    st.sampled_from(["On", "Off"]),
    st.sampled_from(["On", "Off"]),
    st.integers(0, 40),
    st.booleans(),
    st.booleans(),
    st.lists(st.booleans(), min_size=200, max_size=200),
)
def test_the_power_comes_to_what_is_desired_and_rests_there_even_when_the_status_is_lost(
    start: Power, wanted: Power, lag_s: int, obedient: bool, deleted: bool, forgets: list[bool]
) -> None:
    server, now = PlayedServer(lag_s, obedient, start), NOW
    seen: Json = {}
    final: Power = "Off" if deleted else wanted
    for second in range(200):
        if forgets[second] and second < 20:
            seen = {}
        made = power(wanted, deleted=deleted, seen=seen)
        decided = decide(made, server.read(now), now=now)
        for action in decided.actions:
            if isinstance(action, SwitchPower):
                assert final == "On" or action.reset_type != "On"
                assert final == "Off" or action.reset_type == "On", "nothing but a desired Off switches off"
                server.switch(action.reset_type, now)
        seen = (decided.record or decided.seen).to_json()
        now += timedelta(seconds=1)
    last = decide(power(wanted, deleted=deleted, seen=seen), server.read(now), now=now)
    assert server.reading == final
    assert last.actions == ()
    assert last.gone == deleted
    assert last.seen.transition is None
