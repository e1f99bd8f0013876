"""The machine's state in one word: every row of the table, and what no combination may ever claim."""

from dataclasses import fields, replace
from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.api.machine import PrintableStatus
from provider.function.progress import obstacle
from provider.function.status import RULES, Facts, facts, machine_status, word
from tests.unit.function.scenes import grown, machine, observe, unready

RUNNING = Facts(
    deleting=False,
    composed=True,
    unschedulable=False,
    bound=True,
    power="On",
    wanted="Always",
    answers=True,
    lost=False,
    failed=False,
    provisioned=True,
)
NEW = replace(RUNNING, power=None, answers=False, provisioned=False)

# One example for each row of RULES, in its order: the row is the first that holds for it.
EXAMPLES: tuple[tuple[PrintableStatus, Facts], ...] = (
    ("Deleting", replace(RUNNING, deleting=True)),
    ("Pending", replace(NEW, composed=False, bound=False)),
    ("Unschedulable", replace(NEW, unschedulable=True, bound=False)),
    ("Unknown", replace(RUNNING, lost=True)),
    ("Unknown", replace(RUNNING, power="Unknown")),
    ("Failed", replace(NEW, failed=True)),
    ("Stopped", replace(RUNNING, wanted="Halted", power="Off", answers=False)),
    ("Stopping", replace(RUNNING, wanted="Halted")),
    ("Running", RUNNING),
    ("Starting", replace(RUNNING, answers=False)),
    ("Stopped", replace(RUNNING, wanted="Manual", power="Off", answers=False)),
    ("Starting", replace(RUNNING, power="Off", answers=False)),
    ("Provisioning", NEW),
    ("Pending", replace(NEW, bound=False)),
    ("Unknown", replace(NEW, bound=False, power="Off")),
)

any_facts = st.builds(
    Facts,
    **{field.name: st.booleans() for field in fields(Facts) if field.type is bool},
    power=st.sampled_from(["On", "Off", "Unknown", None]),
    wanted=st.sampled_from(["Always", "Manual", "Halted"]),
)


@pytest.mark.parametrize("row", range(len(RULES)), ids=[f"{number}-{rule.word}" for number, rule in enumerate(RULES)])
def test_each_row_is_the_first_that_holds_for_its_example(row: int) -> None:
    expected, known = EXAMPLES[row]
    first = next(number for number, rule in enumerate(RULES) if rule.holds(known))
    assert first == row
    assert word(known) == expected


@given(any_facts)
def test_running_needs_the_power_on_and_an_answer_and_nothing_against_it(known: Facts) -> None:
    if word(known) != "Running":
        return
    assert (known.power, known.answers) == ("On", True)
    assert known.wanted != "Halted"
    assert not known.deleting
    assert not (known.lost and known.provisioned)


@given(any_facts)
def test_every_combination_has_a_word_of_the_api(known: Facts) -> None:
    assert word(known) in get_args(PrintableStatus)


@given(any_facts)
def test_a_server_that_is_on_is_never_called_stopped_and_one_that_is_off_never_running(known: Facts) -> None:
    said = word(known)
    assert not (known.power == "On" and said == "Stopped")
    assert not (known.power != "On" and said in {"Running", "Stopping"})


def test_a_state_that_nobody_decided_on_is_called_unknown() -> None:
    assert word(replace(RUNNING, bound=False, provisioned=False, power="Unknown")) == "Unknown"


@pytest.mark.parametrize(
    ("power", "reachability", "vouched"),
    list(product(["On", "Off", "Unknown"], ["Reachable", "Unreachable", None], [True, False])),
)
def test_running_is_what_bmc_and_agent_both_saw(power: str, reachability: str | None, vouched: bool) -> None:
    wanted = machine()
    children = grown(wanted)
    children["power"]["status"]["atProvider"]["state"] = power
    nic = children["nic-eth0"]["status"]["atProvider"]
    nic.pop("reachability")
    if reachability is not None:
        nic["reachability"] = {"state": reachability, "since": "2026-01-01T10:00:09Z"}
    if not vouched:
        unready(children["nic-eth0"], "AgentLost", "nobody heard of it", status="Unknown")
    seen = observe(wanted, children)
    status = machine_status(seen, obstacle(seen, children))
    assert (status.printable_status == "Running") == ((power, reachability, vouched) == ("On", "Reachable", True))


def test_an_answer_seen_for_an_earlier_generation_of_the_nic_does_not_count() -> None:
    wanted = machine()
    children = grown(wanted)
    children["nic-eth0"]["metadata"]["generation"] = 2
    seen = observe(wanted, children)
    assert machine_status(seen, None).printable_status == "Starting"


def test_an_agent_that_fell_silent_makes_a_machine_that_ran_unknown() -> None:
    told = [{"step": "PoweredOn", "at": "2026-01-01T10:00:06Z"}]
    wanted = machine(status={"timeline": told})
    children = grown(wanted)
    unready(children["disk-root"], "AgentLost", "nobody heard of it", status="Unknown")
    assert word(facts(observe(wanted, children), None)) == "Unknown"


def test_a_machine_that_no_server_fits_is_unschedulable() -> None:
    wanted = machine()
    children = {"claim": grown(wanted)["claim"]}
    unready(children["claim"], "NoFittingServer", "none of 1 server fits")
    assert word(facts(observe(wanted, children), None)) == "Unschedulable"


@pytest.mark.parametrize("reason", ["ImageNotGranted", "BMCAuthenticationFailed", "AttachFailed", "SlotUnavailable"])
def test_what_waiting_does_not_cure_is_called_failed(reason: str) -> None:
    wanted = machine()
    children = grown(wanted)
    children["power"]["status"]["atProvider"]["state"] = "Off"
    unready(children["disk-root"], reason, "look at it")
    seen = observe(wanted, children)
    assert machine_status(seen, obstacle(seen, children)).printable_status == "Failed"
