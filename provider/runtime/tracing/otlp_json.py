"""Spans as OTLP/JSON: one ``ExportTraceServiceRequest`` a line.

Encoding rules: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding (ids in hex, 64-bit integers as
strings, enums as integers); messages: opentelemetry-proto ``trace/v1/trace.proto``.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from provider.runtime.tracefiles import messages_of
from provider.runtime.tracing.span import Attribute, Kind, Outcome, Span

Json = dict[str, Any]
_KINDS: dict[Kind, int] = {"internal": 1, "server": 2, "client": 3}
_STATUS: dict[Outcome, int] = {"ok": 0, "error": 2, "unknown": 2}
SCOPE = "metalplane"


def request_line(span: Span, resource: Mapping[str, Attribute]) -> bytes:
    """One line of a trace file."""
    scope_spans = {"scope": {"name": SCOPE}, "spans": [encode_span(span)]}
    request = {
        "resourceSpans": [{"resource": {"attributes": _encode_attributes(resource)}, "scopeSpans": [scope_spans]}]
    }
    return json.dumps(request, separators=(",", ":")).encode() + b"\n"


def encode_span(span: Span) -> Json:
    """The ``Span`` message."""
    encoded: Json = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": span.name,
        "kind": _KINDS[span.kind],
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": _encode_attributes(span.attributes),
        "status": _encode_status(span),
    }
    if span.parent_span_id:
        encoded["parentSpanId"] = span.parent_span_id
    return encoded


def decode_span(encoded: Json) -> Span:
    """The inverse of ``encode_span``, for spans that have not ended."""
    kinds = {number: kind for kind, number in _KINDS.items()}
    return Span(
        name=encoded["name"],
        trace_id=encoded["traceId"],
        span_id=encoded["spanId"],
        parent_span_id=encoded.get("parentSpanId", ""),
        start_ns=int(encoded["startTimeUnixNano"]),
        kind=kinds[encoded["kind"]],
        attributes={entry["key"]: _decode_value(entry["value"]) for entry in encoded["attributes"]},
    )


def spans_of(line: bytes) -> Iterator[Json]:
    """The encoded spans of one line; none of a line that was torn by a kill."""
    return (message for _, message in messages_of(line))


def _encode_status(span: Span) -> Json:
    code = _STATUS[span.outcome]
    return {"code": code, "message": span.message} if span.message else {"code": code}


def _encode_attributes(attributes: Mapping[str, Attribute]) -> list[Json]:
    return [{"key": key, "value": _encode_value(value)} for key, value in attributes.items()]


def _encode_value(value: Attribute) -> Json:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case str():
            return {"stringValue": value}


def _decode_value(value: Json) -> Attribute:
    if "intValue" in value:
        return int(value["intValue"])
    decoded: Attribute = next(iter(value.values()))
    return decoded
