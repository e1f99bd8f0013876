"""From answers to a verdict: one answer suffices, one silence does not, and a pulled cable is told in time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpu_handler.controllers.drift import LOOK_EVERY_S
from dpu_handler.probe.prober import ANSWER_S
from dpu_handler.probe.reachability import ASK_AGAIN_EVERY_S, ASK_EVERY_S, MISSES, Verdict

LEAVES_RUNNING_WITHIN_S = 15.0
FOR_THE_CONTROL_PLANE_S = 5.0
"""Left for writing the status, the machine's reconcile and a busy machine."""

steps = st.lists(st.sampled_from(["answered", "silent", "link_down"]), max_size=20)


def after(verdict: Verdict, *events: str) -> Verdict:
    """The verdict after events, a second apart."""
    for number, event in enumerate(events):
        verdict = getattr(verdict, event)(100.0 + number)
    return verdict


NEVER_SEEN = Verdict("Unreachable", 0.0)
SEEN = Verdict("Reachable", 10.0)


def silence_until_unreachable_s(verdict: Verdict) -> float:
    """How long a machine that fell silent right after its last answer is still believed to be there."""
    passed = 0.0
    while verdict.state == "Reachable":
        passed += verdict.ask_in_s + ANSWER_S
        verdict = verdict.silent(passed)
    return passed


def test_one_answer_suffices() -> None:
    assert after(NEVER_SEEN, "silent", "silent", "answered") == Verdict("Reachable", 102.0)


@pytest.mark.parametrize("misses", range(1, MISSES))
def test_a_few_lost_probes_are_no_verdict(misses: int) -> None:
    assert after(SEEN, *["silent"] * misses).state == "Reachable"
    assert after(SEEN, *["silent"] * misses, "answered") == SEEN


def test_several_unanswered_probes_in_a_row_are() -> None:
    assert after(SEEN, *["silent"] * MISSES) == Verdict("Unreachable", 100.0 + MISSES - 1, MISSES)


def test_a_link_that_is_down_needs_no_probe() -> None:
    assert after(SEEN, "link_down").state == "Unreachable"
    assert after(NEVER_SEEN, "link_down") == NEVER_SEEN


@given(steps)
def test_the_time_stands_still_while_the_verdict_does(events: list[str]) -> None:
    verdict = NEVER_SEEN
    for number, event in enumerate(events):
        before, verdict = verdict, getattr(verdict, event)(100.0 + number)
        assert (verdict.since_s == before.since_s) == (verdict.state == before.state)


@given(steps)
def test_whatever_was_before_an_answer_is_believed_and_a_down_link_too(events: list[str]) -> None:
    verdict = after(NEVER_SEEN, *events)
    assert verdict.answered(200.0).state == "Reachable"
    assert verdict.link_down(200.0).state == "Unreachable"


def test_a_machine_that_falls_silent_leaves_running_in_time() -> None:
    noticed_s = silence_until_unreachable_s(SEEN)
    assert noticed_s < 8.0
    assert noticed_s + FOR_THE_CONTROL_PLANE_S < LEAVES_RUNNING_WITHIN_S
    assert LOOK_EVERY_S + FOR_THE_CONTROL_PLANE_S < LEAVES_RUNNING_WITHIN_S


def test_who_is_awaited_is_asked_often_and_who_is_there_seldom() -> None:
    assert NEVER_SEEN.ask_in_s == ASK_EVERY_S < ASK_AGAIN_EVERY_S == SEEN.ask_in_s
    assert SEEN.silent(0.0).ask_in_s == ASK_EVERY_S
    assert ASK_EVERY_S + ANSWER_S <= 1.0
