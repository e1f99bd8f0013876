"""The trace of a machine's provisioning, from the files of spans where there are some, else from its timeline.

Source of the file format: OpenTelemetry protocol, JSON encoding (``ExportTraceServiceRequest``, one a line).
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from provider.apiserver.options import Trace, TraceSpan

Json = dict[str, Any]

_STATUS_ERROR = 2
"""``Status.code`` STATUS_CODE_ERROR (``trace.proto``)."""

_MOST_SPANS = 5000


async def of(machine: Json, directory: Path | None) -> Trace:
    """The trace of ``machine``."""
    metadata = machine["metadata"]
    # The trace id of a provisioning is the machine's UID: both have 128 bits.
    trace_id = metadata["uid"].replace("-", "")
    spans = [] if directory is None else await asyncio.to_thread(read, directory, trace_id)
    return Trace(
        metadata={"namespace": metadata["namespace"], "name": metadata["name"]},
        trace_id=trace_id,
        source="spans" if spans else "timeline",
        spans=spans or list(timeline(machine, trace_id)),
    )


def read(directory: Path, trace_id: str) -> list[TraceSpan]:
    """Spans of one trace among the files of ``directory``, by their begin; one that was written twice is read once."""
    found: dict[str, TraceSpan] = {}
    for path in sorted(directory.glob("*.jsonl")):
        # The oldest files are removed by those who write.
        with suppress(FileNotFoundError), path.open("rb") as lines:
            for line in lines:
                if trace_id.encode() in line:
                    found |= {span.span_id: span for span in _spans(line) if span.trace_id == trace_id}
    return sorted(found.values(), key=lambda span: int(span.start_time_unix_nano))[:_MOST_SPANS]


def timeline(machine: Json, trace_id: str) -> Iterator[TraceSpan]:
    """The steps of the machine's status, each from the end of the one before."""
    since = _nanoseconds(machine["metadata"]["creationTimestamp"])
    for number, entry in enumerate(machine.get("status", {}).get("timeline", ()), start=1):
        at = max(_nanoseconds(entry["at"]), since)
        yield TraceSpan(
            trace_id=trace_id,
            span_id=f"{number:016x}",
            name=entry["step"],
            service="status.timeline",
            start_time_unix_nano=str(since),
            end_time_unix_nano=str(at),
        )
        since = at


def _spans(line: bytes) -> Iterator[TraceSpan]:
    try:
        request = json.loads(line)
    except ValueError:
        # The last line of a process that was killed may be cut.
        return
    for resource in request.get("resourceSpans", ()):
        service = str(_attributes(resource.get("resource", {})).get("service.name", "unknown"))
        for scope in resource.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                yield _span(span, service)


def _span(span: Json, service: str) -> TraceSpan:
    status = span.get("status", {})
    failed = status.get("code") == _STATUS_ERROR
    return TraceSpan(
        trace_id=span["traceId"].lower(),
        span_id=span["spanId"].lower(),
        parent_span_id=span.get("parentSpanId", "").lower(),
        name=span["name"],
        service=service,
        start_time_unix_nano=span["startTimeUnixNano"],
        end_time_unix_nano=span["endTimeUnixNano"],
        error=str(status.get("message") or "error") if failed else "",
        attributes=_attributes(span),
    )


def _attributes(holder: Json) -> Json:
    return {entry["key"]: _value(entry["value"]) for entry in holder.get("attributes", ())}


def _value(value: Json) -> Any:
    # 64-bit integers are strings in OTLP's JSON (protobuf's JSON mapping).
    return int(value["intValue"]) if "intValue" in value else next(iter(value.values()), None)


def _nanoseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1_000_000) * 1000
