"""Spans as bm-api tells them, or from files of OTLP-JSON: one ExportTraceServiceRequest a line."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bmctl.errors import BmctlError

_STATUS_ERROR = 2
"""``Status.code`` STATUS_CODE_ERROR (opentelemetry/proto/trace/v1/trace.proto)."""


@dataclass(frozen=True, slots=True)
class Span:
    """One step of a trace. Times are nanoseconds since the epoch, ids lower-case hex."""

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    service: str
    start_ns: int
    end_ns: int
    error: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)


def read(directory: Path, trace_id: str) -> list[Span]:
    """Spans of one trace among all files of ``directory``, by start time; a span written twice is read once."""
    if not directory.is_dir():
        raise BmctlError(
            f"Reading traces from {directory}",
            "there is no such directory",
            "Name the directory of OTLP-JSON files with --from or METALPLANE_TRACES.",
        )
    found = {
        span.span_id: span
        for path in sorted(directory.glob("*.jsonl"))
        for span in _spans_of(path)
        if span.trace_id == trace_id
    }
    return sorted(found.values(), key=_by_start)


def of_api(trace: dict[str, Any]) -> list[Span]:
    """Spans of a ``Trace`` of ``subresources.metalplane.io``, by start time."""
    found = [
        Span(
            trace_id=span.get("traceId", trace.get("traceId", "")),
            span_id=span["spanId"],
            parent_span_id=span.get("parentSpanId") or "",
            name=span["name"],
            service=span.get("service") or "unknown",
            start_ns=int(span["startTimeUnixNano"]),
            end_ns=int(span["endTimeUnixNano"]),
            error=str(span.get("error") or ""),
            attributes=span.get("attributes") or {},
        )
        for span in trace.get("spans", ())
    ]
    return sorted(found, key=_by_start)


def _by_start(span: Span) -> tuple[int, int, str]:
    return span.start_ns, -span.end_ns, span.span_id


def _spans_of(path: Path) -> Iterator[Span]:
    # The oldest files are removed by those who write; one that is gone by now told of another time.
    with suppress(FileNotFoundError), path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                spans = list(parse(json.loads(line)))
            except (ValueError, KeyError, TypeError, AttributeError):
                # The last line of a process that was killed may be cut; its journal completes it at the next start. And
                # a directory may hold lines of others, which are no export requests.
                continue
            yield from spans


def parse(request: dict[str, Any]) -> Iterator[Span]:
    """Spans of one ExportTraceServiceRequest."""
    for resource_spans in request.get("resourceSpans", ()):
        resource = _attributes(resource_spans.get("resource", {}).get("attributes", ()))
        for scope_spans in resource_spans.get("scopeSpans", ()):
            for span in scope_spans.get("spans", ()):
                yield _span(span, str(resource.get("service.name", "unknown")))


def _span(span: dict[str, Any], service: str) -> Span:
    status = span.get("status", {})
    failed = status.get("code") == _STATUS_ERROR
    return Span(
        trace_id=span["traceId"].lower(),
        span_id=span["spanId"].lower(),
        parent_span_id=span.get("parentSpanId", "").lower(),
        name=span["name"],
        service=service,
        start_ns=int(span["startTimeUnixNano"]),
        end_ns=int(span["endTimeUnixNano"]),
        error=str(status.get("message") or "error") if failed else "",
        attributes=_attributes(span.get("attributes", ())),
    )


def _attributes(entries: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {entry["key"]: _value(entry["value"]) for entry in entries}


def _value(value: dict[str, Any]) -> Any:
    # 64-bit integers are strings in OTLP's JSON (protobuf's JSON mapping).
    if "intValue" in value:
        return int(value["intValue"])
    return next(iter(value.values()), None)
