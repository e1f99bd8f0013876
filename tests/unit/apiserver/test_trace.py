"""The trace of a machine as bm-api tells it."""

import json
from pathlib import Path
from typing import Any

from provider.apiserver import trace

UID = "11111111-2222-3333-4444-555555555555"
TRACE = UID.replace("-", "")
MACHINE = {
    "metadata": {"namespace": "a", "name": "bm-01", "uid": UID, "creationTimestamp": "2026-01-01T12:00:00Z"},
    "status": {"timeline": [{"step": "ServerBound", "at": "2026-01-01T12:00:02Z"}]},
}


def line(span_id: str, begin: int, **extra: Any) -> str:
    """One export request of one span."""
    times = {"startTimeUnixNano": str(begin), "endTimeUnixNano": str(begin + 1)}
    span = {"traceId": TRACE, "spanId": span_id, "name": "attach", **times, **extra}
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})


async def test_spans_are_told_as_they_were_recorded(tmp_path: Path) -> None:
    failed = {"parentSpanId": "0a", "status": {"code": 2, "message": "refused"}}
    (tmp_path / "provider.jsonl").write_text(f"{line('0b', 2, **failed)}\n{line('0a', 1)}\n")
    told = (await trace.of(MACHINE, tmp_path)).to_json()
    assert (told["source"], told["traceId"]) == ("spans", TRACE)
    whole, part = told["spans"]
    assert (whole["spanId"], whole["startTimeUnixNano"], whole["endTimeUnixNano"]) == ("0a", "1", "2")
    assert (part["spanId"], part["parentSpanId"], part["error"]) == ("0b", "0a", "refused")


async def test_lines_of_others_are_no_reason_to_tell_nothing(tmp_path: Path) -> None:
    others = [f'["{TRACE}"]', f'{{"traceId": "{TRACE}"}}', f'{{"resourceSpans": ["{TRACE}"]}}', line("0b", 1)[:-5]]
    empty = line("0c", 2, parentSpanId=None, attributes=[{"key": "name", "value": {}}, {"key": "none"}])
    (tmp_path / "provider.jsonl").write_text("\n".join([*others, line("0a", 1), empty, others[-1]]))
    told = await trace.of(MACHINE, tmp_path)
    assert [span.span_id for span in told.spans] == ["0a", "0c"]
    assert told.spans[1].attributes == {"name": None, "none": None}


async def test_without_spans_the_timeline_tells(tmp_path: Path) -> None:
    (tmp_path / "provider.jsonl").write_text(f'{{"traceId": "{TRACE}"}}\n')
    for directory in (tmp_path, tmp_path / "nowhere", None):
        told = await trace.of(MACHINE, directory)
        assert told.source == "timeline"
        (step,) = told.spans
        assert step.name == "ServerBound"
        assert int(step.end_time_unix_nano) - int(step.start_time_unix_nano) == 2 * 10**9
