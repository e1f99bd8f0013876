"""What each verb of power decides."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from provider.apiserver import power
from provider.apiserver.errors import StateForbids
from provider.apiserver.options import PowerOptions, ResetOptions, RestartOptions, StartOptions, StopOptions
from provider.apiserver.verdicts import Decision
from tests.unit.apiserver.machines import REQUEST_ID, applied, machine, powered

ALWAYS, HALTED, MANUAL = "Always", "Halted", "Manual"


def asked(decision: Decision) -> Mapping[str, Any]:
    """The request of the power, which is of the PowerState that was seen."""
    assert decision.request is not None
    assert (decision.request.power, decision.request.uid, decision.request.resource_version) == (
        "bm-01-power",
        "2222",
        "5",
    )
    return decision.request.parameters


def test_a_halted_machine_is_started_by_its_strategy() -> None:
    decision = power.start(powered(machine(runStrategy=HALTED), "Off"), StartOptions())
    assert decision.spec == {"runStrategy": "Always"}
    assert decision.request is None


def test_a_machine_that_is_kept_on_needs_no_start() -> None:
    assert power.start(powered(machine(runStrategy=ALWAYS)), StartOptions()).changes_nothing


def test_a_manual_machine_is_started_by_a_request() -> None:
    decision = power.start(powered(machine(runStrategy=MANUAL), "Off"), StartOptions())
    assert asked(decision) == {"id": REQUEST_ID, "action": "On", "requestedAt": "2026-01-01T12:00:00Z"}
    assert not decision.spec
    assert power.start(powered(machine(runStrategy=MANUAL), "On"), StartOptions()).changes_nothing


def test_a_machine_is_stopped_by_its_strategy() -> None:
    decision = power.stop(powered(machine(runStrategy=ALWAYS)), StopOptions())
    assert decision.spec == {"runStrategy": "Halted"}
    assert decision.request is None


def test_a_forced_stop_also_cuts_the_power() -> None:
    decision = power.stop(powered(machine(runStrategy=ALWAYS)), StopOptions(force=True))
    assert decision.spec == {"runStrategy": "Halted"}
    assert asked(decision)["action"] == "ForceOff"


def test_a_stop_that_takes_its_time_can_be_forced_later() -> None:
    decision = power.stop(powered(machine(runStrategy=HALTED)), StopOptions(force=True))
    assert not decision.spec
    assert asked(decision)["action"] == "ForceOff"


def test_a_manual_machine_is_shut_down_within_the_grace_that_was_given() -> None:
    decision = power.stop(powered(machine(runStrategy=MANUAL)), StopOptions(grace_period_seconds=5))
    assert asked(decision)["action"] == "GracefulShutdown"
    assert asked(decision)["gracePeriodSeconds"] == 5
    assert asked(decision)["forceAfterGracePeriod"] is True


@pytest.mark.parametrize("strategy", [ALWAYS, HALTED])
def test_a_grace_of_its_own_is_a_request_beside_the_strategy(strategy: str) -> None:
    decision = power.stop(powered(machine(runStrategy=strategy)), StopOptions(grace_period_seconds=300))
    assert decision.spec == ({"runStrategy": "Halted"} if strategy == ALWAYS else {})
    assert asked(decision)["action"] == "GracefulShutdown"
    assert asked(decision)["gracePeriodSeconds"] == 300
    assert asked(decision)["forceAfterGracePeriod"] is True


@pytest.mark.parametrize("strategy", [ALWAYS, MANUAL])
def test_a_restart_is_a_request_whatever_the_strategy(strategy: str) -> None:
    options = RestartOptions(grace_period_seconds=7, force_after_grace_period=True)
    decision = power.restart(powered(machine(runStrategy=strategy)), options)
    assert asked(decision) == {
        "id": REQUEST_ID,
        "action": "GracefulRestart",
        "requestedAt": "2026-01-01T12:00:00Z",
        "gracePeriodSeconds": 7,
        "forceAfterGracePeriod": True,
    }
    assert not decision.spec


def test_a_forced_restart_cuts_the_power() -> None:
    decision = power.restart(powered(machine()), RestartOptions(force=True))
    assert asked(decision)["action"] == "PowerCycle"


def test_a_second_restart_waits_for_the_first_or_takes_its_place() -> None:
    under_way = {"id": "first", "phase": "PoweringOff", "startedAt": "2026-01-01T11:59:00Z"}
    with pytest.raises(StateForbids, match="first is under way"):
        power.restart(powered(machine(), request=under_way), RestartOptions())
    assert power.restart(powered(machine(), request=under_way), RestartOptions(force=True)).request


def test_a_finished_request_is_in_nobodys_way() -> None:
    finished = {"id": "first", "phase": "Failed", "startedAt": "2026-01-01T11:59:00Z"}
    assert power.restart(powered(machine(), request=finished), RestartOptions()).request


@pytest.mark.parametrize(
    ("strategy", "state", "why"),
    [
        (HALTED, "Off", "Halted"),
        (ALWAYS, "Off", "is off"),
        (ALWAYS, "Unknown", "not known"),
        (ALWAYS, None, "not known"),
    ],
)
def test_what_is_not_on_is_neither_restarted_nor_reset(strategy: str, state: str | None, why: str) -> None:
    with pytest.raises(StateForbids, match=why):
        power.restart(powered(machine(runStrategy=strategy), state), RestartOptions())
    with pytest.raises(StateForbids, match=why):
        power.reset(powered(machine(runStrategy=strategy), state), ResetOptions())


def test_a_reset_leaves_the_power_on() -> None:
    assert asked(power.reset(powered(machine()), ResetOptions()))["action"] == "ForceRestart"


def test_a_machine_that_is_deleted_is_left_alone() -> None:
    leaving = machine()
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T11:00:00Z"
    verbs: list[Callable[[], Decision]] = [
        lambda: power.start(powered(leaving), StartOptions()),
        lambda: power.stop(powered(leaving), StopOptions()),
        lambda: power.restart(powered(leaving), RestartOptions()),
        lambda: power.switch(powered(leaving), PowerOptions(action="ForceOff")),
    ]
    for decide in verbs:
        with pytest.raises(StateForbids, match="being deleted"):
            decide()


def test_what_git_says_is_changed_in_git() -> None:
    tracked = machine(annotations={"argocd.argoproj.io/tracking-id": "racks:metalplane.io/BareMetalMachine:t/bm-01"})
    with pytest.raises(StateForbids, match=r"Argo CD \(application racks\).*runStrategy: Halted"):
        power.stop(powered(tracked), StopOptions())
    assert power.restart(powered(tracked), RestartOptions()).request, "a restart changes nothing that git says"


def test_an_applier_that_says_nothing_of_the_strategy_is_not_asked() -> None:
    elsewhere = machine(managed=[applied("kubectl", "disks")])
    assert power.stop(powered(elsewhere), StopOptions()).spec
    here = machine(managed=[applied("flux", "runStrategy")])
    with pytest.raises(StateForbids, match="field manager flux"):
        power.stop(powered(here), StopOptions())


def test_an_operator_may_switch_off_but_not_on_what_its_tenant_halted() -> None:
    halted = powered(machine(runStrategy=HALTED), "On")
    assert asked(power.switch(halted, PowerOptions(action="ForceOff")))["action"] == "ForceOff"
    with pytest.raises(StateForbids, match="Halted"):
        power.switch(halted, PowerOptions(action="On"))
