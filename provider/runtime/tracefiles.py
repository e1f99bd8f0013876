"""The files of a trace directory, read: OTLP-JSON, one ``ExportTraceServiceRequest`` a line.

Who wrote them may have been killed in the middle of a line, and others may write there too. So nothing that stands in a
file is an error: what is no export request, or no span that has ended, is passed over.

Border: standard library only, and little of that, for bmctl reads the files too. Neighbours: ``tracing`` writes them.
Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding (ids in hex, 64-bit integers as strings);
messages: opentelemetry-proto ``trace/v1/trace.proto``, ``common/v1/common.proto`` (AnyValue). By protobuf's JSON
mapping a field that is absent or null has its default.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]

_STATUS_ERROR = 2
"""``Status.code`` STATUS_CODE_ERROR."""

_TIMES_END = 2**64
"""Times are ``fixed64``."""

_DEEPEST = 16
"""A value that is nested deeper is left out: whoever shows it would fail on it."""


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
    attributes: Json = field(default_factory=dict)


def read(directory: Path, trace_id: str) -> list[Span]:
    """Spans of one trace among all files of ``directory``, in order; a span that was written twice is read once.

    Raises ``OSError`` where a file cannot be read.
    """
    found: dict[str, Span] = {}
    for path in sorted(directory.glob("*.jsonl")):
        # The oldest files are removed by those who write; one that is gone by now told of another time.
        with suppress(FileNotFoundError):
            found |= {span.span_id: span for span in _spans_in(path, trace_id)}
    return in_order(found.values())


def in_order(spans: Iterable[Span]) -> list[Span]:
    """By begin, and what contains others before them."""
    return sorted(spans, key=lambda span: (span.start_ns, -span.end_ns, span.span_id))


def messages_of(line: bytes) -> Iterator[tuple[str, Json]]:
    """The ``Span`` messages of a line as they stand there, each with the name of its service."""
    try:
        request = json.loads(line, parse_constant=str)
    except (ValueError, RecursionError):
        return
    for resource_spans in _messages(request, "resourceSpans"):
        service = _attributes(resource_spans.get("resource"), "attributes").get("service.name")
        for scope_spans in _messages(resource_spans, "scopeSpans"):
            for message in _messages(scope_spans, "spans"):
                yield _text(service) or "unknown", message


def _spans_in(path: Path, trace_id: str) -> Iterator[Span]:
    # A pipe would be waited for.
    if not path.is_file():
        return
    sought = trace_id.encode()
    with path.open("rb") as lines:
        for line in lines:
            # Most lines are of other traces, and to search one is much cheaper than to parse it.
            if sought in line.lower():
                spans = (_span(message, service) for service, message in messages_of(line))
                yield from (span for span in spans if span is not None and span.trace_id == trace_id)


def _span(message: Json, service: str) -> Span | None:
    """The span of a message; None of one that lacks what a span has by the time that it ends."""
    trace_id, span_id = _text(message.get("traceId")).lower(), _text(message.get("spanId")).lower()
    start_ns, end_ns = (_whole(message.get(f"{end}TimeUnixNano")) or 0 for end in ("start", "end"))
    if not (trace_id and span_id and 0 < start_ns < _TIMES_END and 0 < end_ns < _TIMES_END):
        return None
    return Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=_text(message.get("parentSpanId")).lower(),
        name=_text(message.get("name")),
        service=service,
        start_ns=start_ns,
        end_ns=end_ns,
        error=_error(message.get("status")),
        attributes=_attributes(message, "attributes"),
    )


def _error(status: Any) -> str:
    if not isinstance(status, dict) or status.get("code") != _STATUS_ERROR:
        return ""
    return _text(status.get("message")) or "error"


def _attributes(holder: Any, key: str, depth: int = 0) -> Json:
    """The ``KeyValue`` messages of a repeated field."""
    return {_text(entry.get("key")): _value(entry.get("value"), depth) for entry in _messages(holder, key)}


def _value(value: Any, depth: int) -> Any:
    """What an ``AnyValue`` holds; None of an empty one."""
    if depth == _DEEPEST:
        return None
    match value:
        case {"stringValue": text} | {"bytesValue": text}:
            return _text(text)
        case {"intValue": number}:
            return _whole(number)
        case {"arrayValue": array}:
            return [_value(each, depth + 1) for each in _messages(array, "values")]
        case {"kvlistValue": pairs}:
            return _attributes(pairs, "values", depth + 1)
        case {"boolValue": plain} | {"doubleValue": plain} if not isinstance(plain, dict | list):
            return _text(plain) if isinstance(plain, str) else plain
        case _:
            return None


def _messages(holder: Any, key: str) -> list[Json]:
    """The messages of a repeated field."""
    field_ = holder.get(key) if isinstance(holder, dict) else None
    return [each for each in field_ if isinstance(each, dict)] if isinstance(field_, list) else []


def _text(value: Any) -> str:
    # A lone surrogate can be escaped in JSON, and cannot be encoded in any answer.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _whole(value: Any) -> int | None:
    """A 64-bit integer, as a string or a number; None of anything else."""
    with suppress(ValueError):
        return int(value) if isinstance(value, str | int) else None
    return None
