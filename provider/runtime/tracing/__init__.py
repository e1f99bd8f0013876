"""One trace per provisioning, told by several processes that may each be killed at any moment.

The trace id is the machine's UID, so everybody knows it without being told; a span id is a hash of trace, name and
start, so it can be computed again and never repeats. A span is written to a journal *before* its body runs and to the
OTLP/JSON file when it ends; the next process of that service closes what a killed one left open, with outcome
``unknown``. So no request to hardware or storage is ever without its span, and none has two.

Border: standard library only, until an OTLP endpoint is configured; with neither directory nor endpoint it is free.
Neighbours: ``ids`` names traces and spans, ``tracer`` is what callers use, ``journal``, ``files`` and ``otlp_json`` are
what is written, ``export`` the only importer of OpenTelemetry.
"""

from provider.runtime.tracing.ids import TraceRef, machine_trace, parse_traceparent, root_span_id
from provider.runtime.tracing.rpc import RpcTracer
from provider.runtime.tracing.span import Attribute, Kind, Span
from provider.runtime.tracing.tracer import Tracer, make_tracer

__all__ = [
    "Attribute",
    "Kind",
    "RpcTracer",
    "Span",
    "TraceRef",
    "Tracer",
    "machine_trace",
    "make_tracer",
    "parse_traceparent",
    "root_span_id",
]
