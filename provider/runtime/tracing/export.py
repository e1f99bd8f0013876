"""Ended spans to an OTLP/HTTP endpoint, by the OpenTelemetry SDK's batching thread."""

from collections.abc import Mapping

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from provider.runtime.tracing.otlp_json import SCOPE
from provider.runtime.tracing.span import Attribute, Kind, Outcome, Span

_KINDS: dict[Kind, SpanKind] = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
}
_STATUS: dict[Outcome, StatusCode] = {
    "ok": StatusCode.UNSET,
    "error": StatusCode.ERROR,
    "unknown": StatusCode.ERROR,
}


class OtlpExporter:
    """Never blocks and never raises: spans that the endpoint does not take are dropped, as the SDK logs."""

    def __init__(self, endpoint: str, resource: Mapping[str, Attribute]) -> None:
        # The base URL's signal path: https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        self._processor = BatchSpanProcessor(exporter, schedule_delay_millis=1000)
        self._resource = Resource(dict(resource))
        self._scope = InstrumentationScope(SCOPE)

    def export(self, span: Span) -> None:
        """Queue one ended span."""
        self._processor.on_end(self._readable(span))

    def close(self) -> None:
        """Send what is queued, then stop the thread."""
        self._processor.shutdown()  # type: ignore[no-untyped-call]

    def _readable(self, span: Span) -> ReadableSpan:
        return ReadableSpan(
            name=span.name,
            context=_context(span.trace_id, span.span_id),
            parent=_context(span.trace_id, span.parent_span_id) if span.parent_span_id else None,
            resource=self._resource,
            attributes=span.attributes,
            kind=_KINDS[span.kind],
            status=Status(_STATUS[span.outcome], span.message if span.outcome != "ok" else None),
            instrumentation_scope=self._scope,
            start_time=span.start_ns,
            end_time=span.end_ns,
        )


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
