"""Spans survive a kill -9: the next process of a service ends what the killed one had begun, each exactly once."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.runtime.tracing import Tracer, TraceRef, machine_trace, make_tracer, parse_traceparent, root_span_id
from provider.runtime.tracing.otlp_json import decode_span, encode_span
from provider.runtime.tracing.rpc import RpcTracer
from provider.runtime.tracing.span import Span

Json = dict[str, Any]
MACHINE = "11111111-2222-3333-4444-555555555555"
TRACE = machine_trace(MACHINE)
DEADLINE_S = 20.0

# Makes requests one after the other and stands still in the middle of number 3, once it is written ahead.
VICTIM = """
import sys, threading
from pathlib import Path
from provider.runtime.tracing import RpcTracer, machine_trace, make_tracer
tracer = make_tracer("victim", version="1", directory=Path(sys.argv[1]), otlp_endpoint=None)
rpc = RpcTracer(tracer)
with tracer.span("reconcile", trace=machine_trace(sys.argv[2])):
    for number in range(1, 9):
        with rpc.request("spdk", "bdev_get_bdevs", number):
            if number == 3:
                print("in the middle", flush=True)
                threading.Event().wait()
"""


def tracer(directory: Path, service: str = "victim") -> Tracer:
    return make_tracer(service, version="1", directory=directory, otlp_endpoint=None)


def spans(directory: Path) -> list[Json]:
    """All spans of a directory; each line must parse by itself."""
    requests = [
        json.loads(line) for path in sorted(directory.glob("*.jsonl")) for line in path.read_text().splitlines()
    ]
    return [
        span
        for request in requests
        for resource in request["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def attributes(span: Json) -> Json:
    return {entry["key"]: next(iter(entry["value"].values())) for entry in span["attributes"]}


def request_ids(directory: Path) -> Counter[str]:
    seen = (attributes(span).get("rpc.jsonrpc.request_id") for span in spans(directory))
    return Counter(number for number in seen if number is not None)


def killed_in_the_middle(directory: Path) -> None:
    command = [sys.executable, "-c", VICTIM, str(directory), MACHINE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
        try:
            assert victim.stdout is not None
            assert victim.stdout.readline() == "in the middle\n"
        finally:
            victim.kill()
            assert victim.wait(DEADLINE_S) == -signal.SIGKILL


def test_a_process_killed_in_the_middle_of_a_request_leaves_one_span_for_each(tmp_path: Path) -> None:
    killed_in_the_middle(tmp_path)
    assert request_ids(tmp_path) == Counter("12"), "the third is only begun"
    successor = tracer(tmp_path)
    with successor.span("reconcile", trace=TRACE), RpcTracer(successor).request("spdk", "bdev_get_bdevs", 4):
        pass
    successor.close()
    tracer(tmp_path).close()
    assert request_ids(tmp_path) == Counter("1234")
    third = next(span for span in spans(tmp_path) if attributes(span).get("rpc.jsonrpc.request_id") == "3")
    assert attributes(third)["outcome"] == "unknown"
    assert third["status"]["code"] == 2
    assert int(third["endTimeUnixNano"]) >= int(third["startTimeUnixNano"])
    ids = [span["spanId"] for span in spans(tmp_path)]
    assert len(ids) == len(set(ids))
    assert not list(tmp_path.glob("*.journal"))


def test_a_child_of_a_killed_process_hangs_under_a_span_that_is_told(tmp_path: Path) -> None:
    killed_in_the_middle(tmp_path)
    tracer(tmp_path).close()
    told = {span["spanId"]: span for span in spans(tmp_path)}
    for span in told.values():
        assert span["traceId"] == TRACE.trace_id
        assert span["parentSpanId"] in told or span["parentSpanId"] == root_span_id(MACHINE)


def test_another_service_does_not_touch_what_it_did_not_begin(tmp_path: Path) -> None:
    killed_in_the_middle(tmp_path)
    tracer(tmp_path, "bystander").close()
    assert request_ids(tmp_path) == Counter("12")


def test_the_journal_of_a_process_that_lives_is_left_to_it(tmp_path: Path) -> None:
    living = tracer(tmp_path)
    with living.span("long", trace=TRACE):
        tracer(tmp_path).close()
        assert spans(tmp_path) == []
    living.close()
    assert [span["name"] for span in spans(tmp_path)] == ["long"]


def test_a_line_that_the_kill_tore_costs_nothing_but_itself(tmp_path: Path) -> None:
    killed_in_the_middle(tmp_path)
    (journal,), (out,) = tmp_path.glob("*.journal"), tmp_path.glob("*.jsonl")
    with journal.open("a") as file:
        file.write('{"name": "torn')
    whole = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join(whole[:-1]) + whole[-1][:20])
    tracer(tmp_path).close()
    lines = [line for line in out.read_text().splitlines() if _parses(line)]
    assert len(lines) == 4, "1, the torn 2 again, 3, and the reconcile around them"


def _parses(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def test_a_span_is_written_as_otlp_json_wants_it(tmp_path: Path) -> None:
    made = tracer(tmp_path, "provider")
    before = time.time_ns()
    with (
        pytest.raises(RuntimeError),
        made.span("csi CreateVolume", trace=TRACE, kind="client", attributes={"n": 7, "b": True, "f": 0.5, "s": "x"}),
    ):
        raise RuntimeError("no space")
    made.close()
    (path,) = tmp_path.glob("provider-*.jsonl")
    (resource,) = json.loads(path.read_text())["resourceSpans"]
    named = {entry["key"]: entry["value"] for entry in resource["resource"]["attributes"]}
    assert named["service.name"] == {"stringValue": "provider"}
    (span,) = resource["scopeSpans"][0]["spans"]
    assert (len(span["traceId"]), len(span["spanId"]), span["kind"]) == (32, 16, 3)
    assert before <= int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
    assert span["status"] == {"code": 2, "message": "no space"}
    values = {entry["key"]: entry["value"] for entry in span["attributes"]}
    assert values == {
        "n": {"intValue": "7"},
        "b": {"boolValue": True},
        "f": {"doubleValue": 0.5},
        "s": {"stringValue": "x"},
    }


@given(
    st.text(max_size=30),
    st.integers(0, 2**63 - 1),
    st.dictionaries(st.text(max_size=5), st.text() | st.integers() | st.booleans() | st.floats(allow_nan=False)),
)
def test_a_span_that_was_written_ahead_is_read_back_whole(
    name: str, start_ns: int, known: dict[str, str | int | bool | float]
) -> None:
    span = Span(name, "a" * 32, "b" * 16, "c" * 16, start_ns, "client", known)
    assert decode_span(json.loads(json.dumps(encode_span(span)))) == span


def test_the_trace_of_a_machine_is_its_uid() -> None:
    assert TraceRef("11111111222233334444555555555555", root_span_id(MACHINE)) == TRACE
    assert parse_traceparent(TRACE.traceparent) == TRACE


@pytest.mark.parametrize(
    "header",
    ["", "00-0-0-01", f"00-{'0' * 32}-{'a' * 16}-01", f"ff-{'a' * 32}-{'a' * 16}-01", f"00-{'A' * 32}-{'a' * 16}-01"],
)
def test_a_traceparent_that_is_none_is_not_taken(header: str) -> None:
    assert parse_traceparent(header) is None


def test_a_recorded_step_is_told_once_also_over_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        made = tracer(tmp_path)
        for _ in range(2):
            made.record("step ServerBound", trace=TRACE, start_ns=1_000, end_ns=2_000)
            made.record_root(MACHINE, TRACE, start_ns=1_000, end_ns=3_000)
        made.close()
    step, root = spans(tmp_path)
    assert (root["spanId"], root.get("parentSpanId")) == (root_span_id(MACHINE), None)
    assert step["parentSpanId"] == root["spanId"]


def test_a_reconcile_that_finds_nothing_to_do_leaves_no_span(tmp_path: Path) -> None:
    made = tracer(tmp_path)
    with made.span("idle", trace=TRACE, lazy=True):
        pass
    with made.span("busy", trace=TRACE, lazy=True), made.span("kube patch", kind="client"):
        pass
    made.close()
    assert [span["name"] for span in spans(tmp_path)] == ["kube patch", "busy"]


def test_two_spans_of_one_name_and_one_moment_have_two_ids() -> None:
    frozen = Tracer("s", clock_ns=lambda: 5)
    first, second = (frozen.start("same", TRACE, "internal", {}) for _ in range(2))
    assert first.span_id != second.span_id


def test_without_a_place_for_spans_nothing_is_recorded_and_the_trace_is_still_passed_on() -> None:
    idle = make_tracer("s", version="1", directory=None, otlp_endpoint=None)
    with idle.span("outer", trace=TRACE):
        assert idle.current() == TRACE
    assert not idle.enabled
