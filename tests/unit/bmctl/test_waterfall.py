"""The waterfall that is drawn of spans."""

from pathlib import Path

import pytest

from bmctl import spans
from bmctl.commands.trace import until_answered
from bmctl.errors import BmctlError
from bmctl.waterfall import render, rows
from provider.runtime.tracefiles import Span

TRACE = "11111111222233334444555555555555"


def span(span_id: str, parent: str, name: str, start_ms: int, end_ms: int, error: str = "") -> Span:
    return Span(TRACE, span_id, parent, name, "metalplane-provider", start_ms * 10**6, end_ms * 10**6, error)


def test_children_stand_under_their_parent_in_time_order() -> None:
    trace = [span("a", "", "provision", 0, 100), span("c", "a", "late", 50, 60), span("b", "a", "early", 10, 20)]
    assert [(row.span.name, row.depth) for row in rows(trace)] == [("provision", 0), ("early", 1), ("late", 1)]


def test_what_is_nested_too_deep_is_folded_and_counted() -> None:
    trace = [span("a", "", "provision", 0, 9), span("b", "a", "reconcile", 0, 5), span("c", "b", "request", 0, 1)]
    trace.append(span("d", "c", "deeper", 0, 1))
    assert [(row.span.name, row.folded) for row in rows(trace, deepest=1)] == [("provision", 0), ("reconcile", 2)]
    assert "reconcile (+2)" in render(trace, deepest=1)[2]


def test_a_span_whose_parent_is_missing_is_still_shown() -> None:
    assert [row.span.name for row in rows([span("b", "gone", "orphan", 0, 1)])] == ["orphan"]


def test_bars_lie_where_the_spans_lie() -> None:
    header, whole, half = render([span("a", "", "all", 0, 1000), span("b", "a", "half", 500, 1000)], width=120)
    assert header.startswith("SPAN")
    assert whole.count("█") == 2 * half.count("█")
    assert half.index("█") > whole.index("█")
    assert "500.0 ms" in half


def test_a_failed_span_is_marked() -> None:
    assert "✗ attach" in render([span("a", "", "attach", 0, 1, error="refused")])[1]


def test_spans_after_the_first_answer_are_left_out() -> None:
    trace = [span("a", "", "provision", 0, 100), span("b", "a", "drift", 200, 201)]
    assert [each.name for each in until_answered(trace)] == ["provision"]


def test_a_provisioning_under_way_shows_all_it_has() -> None:
    trace = [span("b", "a", "attach", 0, 1)]
    assert until_answered(trace) == trace


def test_a_missing_directory_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(BmctlError) as caught:
        spans.read(tmp_path / "nowhere", TRACE)
    assert "--from" in caught.value.next_step
