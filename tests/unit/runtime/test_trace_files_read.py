"""Trace files are read whatever stands in them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from provider.runtime import tracefiles
from provider.runtime.tracefiles import Span

TRACE = "11111111222233334444555555555555"
FIRST, SECOND, THIRD = "0000000000000001", "0000000000000002", "0000000000000003"
LVOL = {"attributes": [{"key": "service.name", "value": {"stringValue": "metalplane-lvol"}}]}
SURROGATE = "\ud800"


def message(span_id: str, **extra: Any) -> dict[str, Any]:
    """A ``Span`` message; None as a field's value takes it away."""
    body = {
        "traceId": TRACE,
        "spanId": span_id,
        "name": "bdev_lvol_clone",
        "startTimeUnixNano": "1000",
        "endTimeUnixNano": "2000",
        "attributes": [{"key": "rpc.jsonrpc.request_id", "value": {"intValue": "7"}}],
    } | extra
    return {key: value for key, value in body.items() if value is not None}


def request(*messages: Any, resource: Any = LVOL) -> str:
    """A line with one export request."""
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(messages)}]}]})


def read(directory: Path, *lines: str | bytes) -> list[Span]:
    """What is read where these are the lines of the only file."""
    encoded = [line.encode() if isinstance(line, str) else line for line in lines]
    (directory / "lvol-1.jsonl").write_bytes(b"\n".join(encoded))
    return tracefiles.read(directory, TRACE)


def attributes(directory: Path, *entries: Any) -> Any:
    """What is read of a span's attributes."""
    (span,) = read(directory, request(message(FIRST, attributes=list(entries))))
    return span.attributes


def test_reading_keeps_one_trace_and_each_span_once(tmp_path: Path) -> None:
    (tmp_path / "lvol-2.jsonl").write_text(f"{request(message(FIRST))}\n{request(message(SECOND))}\n")
    other = request(message(THIRD, traceId="f" * 32, attributes=[{"key": TRACE, "value": {"stringValue": TRACE}}]))
    found = read(tmp_path, request(message(FIRST)), other, "")
    assert [span.span_id for span in found] == [FIRST, SECOND]
    assert found[0].service == "metalplane-lvol"
    assert found[0].attributes == {"rpc.jsonrpc.request_id": 7}


def test_spans_come_by_their_begin_and_the_longer_before_what_it_contains(tmp_path: Path) -> None:
    late = message("a", startTimeUnixNano="1001")
    within = message("b", endTimeUnixNano="1999")
    assert [span.span_id for span in read(tmp_path, request(late, within, message("c")))] == ["c", "b", "a"]


def test_ids_are_hex_in_whatever_case(tmp_path: Path) -> None:
    upper = "ABCDEF00222233334444555555555555"
    (tmp_path / "collector.jsonl").write_text(request(message("AB", traceId=upper, parentSpanId="CD")))
    (span,) = tracefiles.read(tmp_path, upper.lower())
    assert (span.trace_id, span.span_id, span.parent_span_id) == (upper.lower(), "ab", "cd")


def test_a_line_cut_by_a_kill_is_passed_over(tmp_path: Path) -> None:
    whole = request(message(FIRST))
    for length in range(len(whole)):
        assert [span.span_id for span in read(tmp_path, request(message(SECOND)), whole[:length])] == [SECOND]


@pytest.mark.parametrize(
    "foreign",
    [
        f'"{TRACE}"',
        f'["{TRACE}"]',
        f'{{"level": "info", "traceId": "{TRACE}"}}',
        f'{{"resourceSpans": "{TRACE}"}}',
        f'{{"resourceSpans": ["{TRACE}", null, 1, {{"scopeSpans": {{"spans": "{TRACE}"}}}}]}}',
        f'{{"resourceSpans": [{{"resource": "{TRACE}", "scopeSpans": [{{"spans": [null, "{TRACE}"]}}]}}]}}',
        f'{{"resourceLogs": [{{"scopeLogs": [{{"logRecords": [{{"traceId": "{TRACE}"}}]}}]}}]}}',
        f"{TRACE} {'[' * 100_000}",
        "[" * 100_000 + TRACE,
        f'"{TRACE}'.encode() + b'\xff\xfe"',
        b"\x00\xff\xfe" + TRACE.encode(),
        f"{'9' * 5000}{TRACE}",
        "",
    ],
)
def test_a_line_that_is_no_export_request_is_passed_over(tmp_path: Path, foreign: str | bytes) -> None:
    found = read(tmp_path, request(message(FIRST)), foreign, request(message(SECOND)))
    assert [span.span_id for span in found] == [FIRST, SECOND]


@pytest.mark.parametrize(
    "lacking",
    [
        {},
        {"traceId": TRACE},
        message(FIRST, spanId=None),
        message(FIRST, spanId=17),
        message(FIRST, traceId=[TRACE]),
        message(FIRST, startTimeUnixNano=None),
        message(FIRST, startTimeUnixNano="soon"),
        message(FIRST, startTimeUnixNano=[1000]),
        message(FIRST, startTimeUnixNano="-1"),
        message(FIRST, endTimeUnixNano=None),
        message(FIRST, endTimeUnixNano="0"),
        message(FIRST, endTimeUnixNano=str(2**64)),
        message(FIRST, endTimeUnixNano="9" * 5000),
    ],
)
def test_a_span_that_cannot_be_placed_in_time_or_trace_takes_no_other_with_it(tmp_path: Path, lacking: Any) -> None:
    assert [span.span_id for span in read(tmp_path, request(lacking, message(SECOND)))] == [SECOND]


def test_what_is_absent_or_null_has_its_default(tmp_path: Path) -> None:
    nulls = dict.fromkeys(("parentSpanId", "name", "status", "attributes"))
    absent, null = message(FIRST, **nulls), message(SECOND) | nulls
    for resource in (None, {}, {"attributes": None}, {"attributes": [{"key": "service.name", "value": {}}]}):
        for span in read(tmp_path, request(absent, null, resource=resource)):
            assert span == Span(TRACE, span.span_id, "", "", "unknown", 1000, 2000)


def test_times_may_be_numbers(tmp_path: Path) -> None:
    (span,) = read(tmp_path, request(message(FIRST, startTimeUnixNano=1000, endTimeUnixNano=2000)))
    assert (span.start_ns, span.end_ns) == (1000, 2000)


def test_an_error_status_carries_its_message(tmp_path: Path) -> None:
    refused, silent = message(FIRST, status={"code": 2, "message": "refused"}), message(SECOND, status={"code": 2})
    fine = message(THIRD, status={"code": 1, "message": "fine"})
    assert [span.error for span in read(tmp_path, request(refused, silent, fine))] == ["refused", "error", ""]


def test_values_are_what_their_kind_says(tmp_path: Path) -> None:
    values = {
        "text": {"stringValue": "x"},
        "empty text": {"stringValue": ""},
        "whole": {"intValue": "-9223372036854775808"},
        "yes": {"boolValue": True},
        "no": {"boolValue": False},
        "real": {"doubleValue": 1.5},
        "bytes": {"bytesValue": "AA=="},
        "list": {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "two"}, {}]}},
        "pairs": {"kvlistValue": {"values": [{"key": "in", "value": {"boolValue": True}}]}},
        "empty list": {"arrayValue": {}},
    }
    told = attributes(tmp_path, *({"key": key, "value": value} for key, value in values.items()))
    assert told == {
        "text": "x",
        "empty text": "",
        "whole": -(2**63),
        "yes": True,
        "no": False,
        "real": 1.5,
        "bytes": "AA==",
        "list": [1, "two", None],
        "pairs": {"in": True},
        "empty list": [],
    }


@pytest.mark.parametrize("empty", [{}, None, "bare", 7, {"stringValue": None}, {"intValue": "x"}, {"noValue": 1}])
def test_an_empty_value_is_no_reason_to_lose_the_span(tmp_path: Path, empty: Any) -> None:
    told = attributes(tmp_path, {"key": "odd", "value": empty}, {"key": "absent"}, None, {"value": {"intValue": "1"}})
    assert not told["odd"]
    assert told["absent"] is None
    assert told[""] == 1


def test_whatever_is_read_can_be_told_again(tmp_path: Path) -> None:
    deep: Any = {"intValue": "1"}
    for _ in range(200):
        deep = {"arrayValue": {"values": [deep]}}
    odd = [
        {"key": SURROGATE, "value": {"stringValue": SURROGATE}},
        {"key": "no number", "value": {"doubleValue": float("nan")}},
        {"key": "deep", "value": deep},
    ]
    (span,) = read(tmp_path, request(message(FIRST, name=SURROGATE, attributes=odd)))
    told = json.dumps([span.name, span.attributes], allow_nan=False, ensure_ascii=False)
    assert json.loads(told.encode()) == ["?", {**span.attributes, "?": "?", "no number": "NaN"}]


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "directory.jsonl").mkdir()
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "gone.jsonl").symlink_to(tmp_path / "nowhere")
    assert [span.span_id for span in read(tmp_path, request(message(FIRST)))] == [FIRST]


def test_a_file_that_goes_meanwhile_told_of_another_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old.jsonl").write_text(request(message(SECOND)))
    is_there = Path.is_file

    def goes(path: Path) -> bool:
        there = is_there(path)
        if path.name == "old.jsonl":
            path.unlink()
        return there

    monkeypatch.setattr(Path, "is_file", goes)
    assert [span.span_id for span in read(tmp_path, request(message(FIRST)))] == [FIRST]
