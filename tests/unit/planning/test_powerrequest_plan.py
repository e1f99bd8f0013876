"""Stories of requests: each is carried out once, whoever is killed when, and never on so little as a lost status."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.api.names import ANNOTATION_FINISHED_POWER_REQUEST
from provider.api.powerstate import Power, PowerState, PowerStateObservation
from provider.api.reasons import Reason
from provider.planning.action import BootFromDisk, PatchObject, SwitchPower
from provider.planning.powerrequest import MAY_CHANGE_S, RESET_AGAIN_S
from provider.planning.powerstate import PowerPlan, plan
from provider.planning.powerworld import ASK_AGAIN_S, Fault, World
from tests.unit.planning.builders import DELETED, REFUSED, UNBOUND, Json, child, hold_on
from tests.unit.planning.played_server import PlayedServer
from tests.unit.planning.test_powerstate_plan import NOW, resets

GRACE_S = 60
RESTARTS = ("GracefulRestart", "PowerCycle", "ForceRestart")
SWITCH_OFF = ("GracefulShutdown", "ForceOff", "ForceRestart")
SILENT = Fault(Reason.BMC_UNREACHABLE, "silence")


def asked(action: str, id_: str = "r1", options: Json | None = None) -> Json:
    return {"id": id_, "action": action, "requestedAt": "2026-01-01T10:00:00Z"} | (options or {})


class Killed(Exception):
    """The process is gone."""


class Control:
    """A PowerState and its controller's loop, as ``ManagedController`` turns it: intent, actions, record.

    Each write and each command burns a step before it is made and one after; at ``ends_at`` the process is killed.
    """

    def __init__(self, server: PlayedServer, state: str | None, request: Json | None = None) -> None:
        self.server, self.state, self.request = server, state, request
        self.status: Json = {"state": server.reading, "serverName": "s1"}
        self.finished: str | None = None
        self.now = NOW
        self.pending: tuple[str, ...] = ()
        self.fault: Fault | None = None
        self.deleted = False
        self.burnt = 0
        self.ends_at: int | None = None

    def run(self, seconds: int) -> PowerPlan:
        """Look once a second; the plan of the last look that came to its end."""
        last: PowerPlan | None = None
        for _ in range(seconds):
            try:
                last = self.look()
            except Killed:
                last = None
            self.now += timedelta(seconds=1)
        assert last is not None
        return last

    def look(self) -> PowerPlan:
        for _ in range(8):
            decided = self.decide()
            if not decided.actions:
                self._tell(decided.seen)
                return decided
            if decided.intent is not None:
                self._tell(decided.intent)
            for action in decided.actions:
                self._carry_out(action)
            if decided.record is not None:
                self._tell(decided.record)
        return decided

    def decide(self) -> PowerPlan:
        read = None if self.fault else self.server.read(self.now)
        return plan(World(self.power(), hold_on(), self.now, read, self.fault, self.pending))

    def power(self) -> PowerState:
        wanted: Json = {"gracefulShutdownTimeoutSeconds": GRACE_S}
        if self.state is not None:
            wanted["state"] = self.state
        if self.request is not None:
            wanted["request"] = self.request
        marks = {ANNOTATION_FINISHED_POWER_REQUEST: self.finished} if self.finished else {}
        made = child("PowerState", "power", wanted, annotations=marks, **(DELETED if self.deleted else {}))
        return PowerState.parse(made | {"status": {"atProvider": self.status}})

    def _tell(self, seen: PowerStateObservation) -> None:
        told = seen.to_json()
        if told != self.status:
            self._burn()
            self.status = told
            self._burn()

    def _carry_out(self, action: object) -> None:
        self._burn()
        match action:
            case SwitchPower(reset_type):
                self.server.switch(reset_type, self.now)
            case PatchObject(body=body):
                self.finished = body["metadata"]["annotations"][ANNOTATION_FINISHED_POWER_REQUEST]
            case _:
                assert isinstance(action, BootFromDisk)
        self._burn()

    def _burn(self) -> None:
        self.burnt += 1
        if self.burnt == self.ends_at:
            raise Killed

    @property
    def phase(self) -> str | None:
        progress: Json = self.status.get("request", {})
        return progress.get("phase")

    @property
    def message(self) -> str:
        said: str = self.status["request"].get("message", "")
        return said


def on(action: str, state: str | None = "On", *, lag_s: int = 3, obedient: bool = True, **options: object) -> Control:
    """A server that runs, and a request about it."""
    return Control(PlayedServer(lag_s, obedient, "On"), state, asked(action, options=options))


def off(action: str, state: str | None = None) -> Control:
    """A server that is off, and a request about it."""
    return Control(PlayedServer(3, True, "Off"), state, asked(action))


BOTH = pytest.mark.parametrize("state", ["On", None], ids=["Always", "Manual"])


@BOTH
def test_a_graceful_restart_is_a_shutdown_seen_off_and_a_start(state: str | None) -> None:
    control = on("GracefulRestart", state)
    control.look()
    assert (control.phase, control.server.commands) == ("PoweringOff", ["GracefulShutdown"])
    control.run(4)
    assert (control.phase, control.server.commands) == ("PoweringOn", ["GracefulShutdown", "On"])
    rests = control.run(10)
    assert (control.phase, control.finished, control.server.life) == ("Succeeded", "r1", ["Off", "On"])
    assert (rests.actions, rests.ready.status) == ((), "True")


@BOTH
def test_a_server_that_does_not_shut_down_runs_on_and_the_request_says_so(state: str | None) -> None:
    control = on("GracefulRestart", state, obedient=False, gracePeriodSeconds=20)
    control.run(20)
    assert control.phase == "PoweringOff"
    rests = control.run(5)
    assert (control.phase, control.server.life, rests.ready.status) == ("Failed", [], "True")
    assert control.message == "Server s1 did not shut down within 20 s and runs on: ask again, or with force"
    assert set(control.server.commands) == {"GracefulShutdown"}


@BOTH
def test_with_force_the_power_is_cut_when_the_grace_is_over(state: str | None) -> None:
    control = on("GracefulRestart", state, obedient=False, gracePeriodSeconds=20, forceAfterGracePeriod=True)
    control.run(20)
    assert "ForceOff" not in control.server.commands
    control.run(30)
    assert (control.phase, control.server.life) == ("Succeeded", ["Off", "On"])
    assert control.server.commands[-2:] == ["ForceOff", "On"]


def test_without_a_grace_of_its_own_a_request_has_that_of_the_server() -> None:
    control = on("GracefulShutdown", None, obedient=False)
    control.run(GRACE_S)
    assert control.phase == "PoweringOff"
    control.run(2)
    assert control.phase == "Failed"


@BOTH
def test_a_power_cycle_cuts_the_power_at_once(state: str | None) -> None:
    control = on("PowerCycle", state, obedient=False)
    control.run(20)
    assert (control.phase, control.server.commands) == ("Succeeded", ["ForceOff", "On"])


@BOTH
def test_a_reset_is_one_command_and_the_power_stays_on(state: str | None) -> None:
    control = on("ForceRestart", state)
    control.run(60)
    assert (control.phase, control.server.commands, control.server.life) == ("Succeeded", ["ForceRestart"], ["reset"])


@pytest.mark.parametrize("action", RESTARTS)
@BOTH
def test_a_server_that_is_off_is_not_restarted(action: str, state: str | None) -> None:
    control = off(action, state)
    control.look()
    assert (control.phase, control.message) == ("Failed", "Server s1 is off: start it")
    control.run(20)
    assert control.server.reading == (state or "Off"), "the state alone decides what becomes of it"


@pytest.mark.parametrize("action", ["GracefulShutdown", "ForceOff"])
def test_a_server_that_nobody_wants_on_is_switched_off_and_stays_off(action: str) -> None:
    control = on(action, None)
    rests = control.run(20)
    assert (control.phase, control.server.commands, control.server.life) == ("Succeeded", [action], ["Off"])
    assert (rests.actions, rests.ready.status) == ((), "True")


def test_a_start_waits_for_the_devices_and_is_over_when_the_server_was_seen_on() -> None:
    control = off("On")
    control.pending = ("VirtualDisk d",)
    waits = control.run(5)
    assert (control.phase, waits.ready.reason) == ("PoweringOn", Reason.WAITING_FOR_DEVICES)
    assert control.message == "waiting for VirtualDisk d (its conditions say why)"
    control.pending = ()
    control.run(10)
    assert (control.phase, control.server.commands) == ("Succeeded", ["On"])


def test_a_restart_waits_for_the_devices_before_its_start() -> None:
    control = on("PowerCycle", "On")
    control.pending = ("VirtualDisk d",)
    control.run(10)
    assert (control.phase, control.server.life) == ("PoweringOn", ["Off"])
    control.pending = ()
    control.run(10)
    assert (control.phase, control.server.life) == ("Succeeded", ["Off", "On"])


def test_the_off_phase_of_a_restart_is_no_drift() -> None:
    control = on("GracefulRestart", "On")
    told = []
    for _ in range(10):
        decided = control.decide()
        told += [action.note for action in decided.actions if isinstance(action, SwitchPower)]
        control.run(1)
    assert control.phase == "Succeeded"
    assert not any("found" in note for note in told)
    assert "repairs" not in str(control.status)


def test_where_the_server_is_to_be_off_force_cuts_its_power_at_once() -> None:
    control = on("ForceOff", "Off", obedient=False)
    control.run(5)
    assert (control.phase, control.server.commands) == ("Succeeded", ["ForceOff"])


def test_force_is_heard_in_the_middle_of_a_shutdown() -> None:
    control = Control(PlayedServer(3, False, "On"), "Off")
    control.run(5)
    control.request = asked("ForceOff")
    control.run(5)
    assert (control.phase, control.server.commands) == ("Succeeded", ["GracefulShutdown", "ForceOff"])


def test_a_shutdown_with_another_grace_has_that_one_where_the_server_is_to_be_off() -> None:
    control = on("GracefulShutdown", "Off", obedient=False, gracePeriodSeconds=10)
    control.run(10)
    assert "ForceOff" not in control.server.commands
    control.run(6)
    assert (control.phase, control.server.life) == ("Succeeded", ["Off"])


def test_a_request_to_switch_off_that_came_before_its_state_waits_for_it() -> None:
    control = on("ForceOff", "On", obedient=False)
    decided = control.run(5)
    assert (control.phase, control.server.commands) == ("Pending", [])
    assert (decided.ready.status, decided.polled) == ("True", False)
    control.state = "Off"
    control.run(5)
    assert (control.phase, control.server.commands) == ("Succeeded", ["ForceOff"])


def test_a_request_to_switch_off_what_is_to_run_does_not_lie_in_wait_for_ever() -> None:
    control = on("ForceOff", "On")
    control.run(int(MAY_CHANGE_S) + 1)
    assert (control.phase, control.server.commands) == ("Failed", [])
    assert "set runStrategy to Halted or Manual" in control.message
    control.state = None
    control.run(20)
    assert control.server.commands == []


@pytest.mark.parametrize("deleted", [False, True])
@pytest.mark.parametrize("action", ["GracefulRestart", "PowerCycle"])
@pytest.mark.parametrize("after_s", [0, 1, 4, 6])
def test_that_the_server_is_to_be_off_wins_over_a_restart(action: str, after_s: int, deleted: bool) -> None:
    control = on(action, "On")
    for _ in range(after_s):
        control.run(1)
    control.state, control.deleted = ("On", True) if deleted else ("Off", False)
    starts = control.server.commands.count("On")
    rests = control.run(40)
    assert (control.finished, control.server.reading, rests.actions) == ("r1", "Off", ())
    assert control.server.commands.count("On") == starts
    assert rests.gone is deleted
    if control.phase != "Succeeded" and not deleted:
        assert (control.phase, control.message) == ("Failed", "superseded: the server is to be off")


@pytest.mark.parametrize("after_s", range(9))
@pytest.mark.parametrize("second", RESTARTS)
@BOTH
def test_a_newer_request_takes_the_place_of_an_unfinished_one_and_leaves_no_server_off(
    state: str | None, second: str, after_s: int
) -> None:
    control = on("GracefulRestart", state)
    for _ in range(after_s):
        control.run(1)
    control.request = asked(second, "r2")
    control.run(60)
    assert (control.phase, control.finished, control.server.reading) == ("Succeeded", "r2", "On")
    assert control.server.life.count("Off") <= 2


def test_a_newer_request_that_comes_while_the_bmc_is_silent_knows_what_was_under_way() -> None:
    control = on("GracefulRestart", None)
    control.run(2)
    control.fault, control.request = SILENT, asked("GracefulRestart", "r2")
    control.run(3)
    control.fault = None
    control.run(30)
    assert (control.phase, control.finished, control.server.life) == ("Succeeded", "r2", ["Off", "On"])


def test_a_request_that_comes_while_the_bmc_is_silent_is_carried_out_later() -> None:
    control = on("PowerCycle", None)
    control.fault = SILENT
    control.run(20)
    assert (control.phase, control.server.commands) == ("Pending", [])
    control.fault = None
    control.run(20)
    assert (control.phase, control.server.life) == ("Succeeded", ["Off", "On"])


def test_a_request_is_not_begun_on_a_server_that_is_on_for_somebody_else() -> None:
    control = on("GracefulRestart", None)
    control.status = {"state": "On", "foundOn": True}
    decided = control.decide()
    assert resets(decided) == ["ForceOff"]
    assert decided.seen.request is not None
    assert decided.seen.request.phase == "Pending"
    control.run(20)
    assert (control.phase, control.server.commands) == ("Failed", ["ForceOff"])


@pytest.mark.parametrize("hold", [REFUSED, UNBOUND], ids=["refused", "unbound"])
@pytest.mark.parametrize("action", ["On", "GracefulShutdown", "ForceOff", *RESTARTS])
@pytest.mark.parametrize("reading", ["On", "Off"])
def test_no_request_touches_a_server_that_is_not_ours(reading: Power, action: str, hold: object) -> None:
    control = Control(PlayedServer(3, True, reading), None, asked(action))
    world = World(control.power(), hold_on(), NOW, reading)
    assert plan(replace(world, hold=hold)).actions == ()  # type: ignore[arg-type]


@pytest.mark.parametrize("action", [*RESTARTS, "GracefulShutdown", "ForceOff"])
def test_a_request_that_was_under_way_when_the_server_was_lost_switches_nothing_off_on_the_next(action: str) -> None:
    control = on(action, None)
    control.look()
    lost = plan(replace(World(control.power(), hold_on(), NOW, "On"), hold=UNBOUND))
    control.status = lost.seen.to_json()
    control.server = PlayedServer(3, True, "On")
    control.run(30)
    assert control.server.commands == []
    assert control.phase in ("Failed", "Succeeded")


@pytest.mark.parametrize("reading", ["On", "Off"])
@pytest.mark.parametrize("action", ["On", "GracefulShutdown", "ForceOff", *RESTARTS])
@BOTH
def test_a_finished_request_asks_for_nothing_whatever_became_of_the_status(
    state: str | None, action: str, reading: Power
) -> None:
    control = Control(PlayedServer(3, True, reading), state, asked(action))
    control.finished, control.status = "r1", {}
    control.run(30)
    assert control.server.commands == (["On"] if (state, reading) == ("On", "Off") else [])


@pytest.mark.parametrize("fault", [None, SILENT], ids=["read", "silent"])
@pytest.mark.parametrize("action", ["GracefulShutdown", "ForceOff", *RESTARTS])
def test_nothing_is_switched_off_on_so_little_as_a_missing_status(action: str, fault: Fault | None) -> None:
    control = on(action, None)
    control.status, control.fault = {}, fault
    control.run(5)
    control.fault = None
    control.run(30)
    assert control.server.commands == []
    assert (control.phase, control.finished) == ("Failed", "r1")
    assert "ask again" in control.message


@BOTH
@pytest.mark.parametrize("action", RESTARTS)
def test_a_restart_that_lost_its_status_goes_on_with_the_start_of_a_server_that_is_off(
    action: str, state: str | None
) -> None:
    control = off(action, state)
    control.status = {}
    control.run(20)
    assert (control.phase, control.server.commands) == ("Succeeded", ["On"])


def test_a_reset_that_the_bmc_did_not_confirm_is_sent_again_for_a_little_while() -> None:
    for killed_at, life in ((3, ["reset"]), (5, ["reset", "reset"])):  # just before it was sent; just after
        control = on("ForceRestart")
        control.ends_at = killed_at
        control.run(20)
        assert (control.phase, control.server.life) == ("Succeeded", life)
    late = on("ForceRestart")
    late.ends_at = 3
    with pytest.raises(Killed):
        late.look()
    late.now += timedelta(seconds=RESET_AGAIN_S)
    late.run(5)
    assert (late.phase, late.server.life) == ("Failed", [])
    assert "did not confirm the reset" in late.message


def outcome(action: str, *, obedient: bool) -> tuple[str, list[str]]:
    """What becomes of a request that nobody disturbs, and of its server."""
    if action == "ForceRestart":
        return "Succeeded", ["reset"]
    if action == "GracefulRestart" and not obedient:
        return "Failed", []
    return "Succeeded", ["Off", "On"] if action in RESTARTS else ["Off"]


def followed(action: str, state: str | None, lag_s: int, *, obedient: bool, kills: Iterable[int] = ()) -> Control:
    """A request followed to its end, by a process that is killed at each of these steps."""
    control = on(action, state, lag_s=lag_s, obedient=obedient)
    deaths = sorted(kills)
    for _ in range(300):
        control.ends_at = next((death for death in deaths if death > control.burnt), None)
        with suppress(Killed):
            control.look()
        control.now += timedelta(seconds=1)
        if control.finished:
            break
    control.ends_at = None
    rests = control.run(3)
    assert (rests.actions, control.finished) == ((), "r1"), "planning again after carrying out gives the empty plan"
    return control


@BOTH
@pytest.mark.parametrize("obedient", [True, False], ids=["obedient", "deaf"])
@pytest.mark.parametrize("action", RESTARTS)
def test_a_restart_is_one_off_and_one_on_whatever_step_the_process_is_killed_at(
    action: str, obedient: bool, state: str | None
) -> None:
    whole = followed(action, state, 3, obedient=obedient)
    assert (whole.phase, whole.server.life) == outcome(action, obedient=obedient)
    assert whole.burnt >= 8
    for step in range(1, whole.burnt + 1):
        killed = followed(action, state, 3, obedient=obedient, kills=[step])
        life = list(dict.fromkeys(killed.server.life)) if action == "ForceRestart" else killed.server.life
        assert life == outcome(action, obedient=obedient)[1], f"killed at step {step}"
        assert len(killed.server.life) <= 2
        assert killed.phase == outcome(action, obedient=obedient)[0], f"killed at step {step}"


@given(
    st.sampled_from(["GracefulShutdown", "ForceOff", *RESTARTS]),
    st.sampled_from(["On", None]),
    st.integers(0, 40),
    st.booleans(),
    st.lists(st.integers(1, 60), max_size=6, unique=True),
)
def test_a_request_ends_once_and_is_never_carried_out_again(
    action: str, state: str | None, lag_s: int, obedient: bool, kills: list[int]
) -> None:
    if action in ("GracefulShutdown", "ForceOff"):
        state = None
    control = followed(action, state, lag_s, obedient=obedient, kills=kills)
    reading, commands = control.server.reading, list(control.server.commands)
    if action != "ForceRestart":
        assert len(control.server.life) <= 2
    if action in RESTARTS or control.phase == "Failed":
        assert state is None or reading == "On"
    for lost in (False, True):
        if lost:
            control.status = {}
        rests = control.run(12)
        assert rests.actions == ()
        assert control.server.commands == commands
        assert control.server.reading == reading


@given(st.sampled_from(RESTARTS), st.sampled_from(["On", None]), st.integers(0, 20), st.integers(1, 30))
def test_losing_the_status_in_the_middle_switches_nothing_off_that_runs(
    action: str, state: str | None, lag_s: int, after_s: int
) -> None:
    control = on(action, state, lag_s=lag_s)
    control.run(after_s)
    before = len(control.server.commands)
    control.status = {}
    rests = control.run(50)
    assert not set(control.server.commands[before:]).intersection(SWITCH_OFF)
    assert (rests.actions, control.finished) == ((), "r1")
    if state == "On":
        assert control.server.reading == "On"


def late(moment: datetime) -> float:
    return (moment - NOW).total_seconds()


def test_a_server_that_does_not_follow_is_asked_again_after_a_while() -> None:
    control = on("PowerCycle", "On", lag_s=100)
    sent: list[float] = []
    for _ in range(25):
        if resets(control.decide()):
            sent.append(late(control.now))
        control.run(1)
    assert sent == [0, ASK_AGAIN_S, 2 * ASK_AGAIN_S]
