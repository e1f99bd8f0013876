"""Spans as bm-api tells them, or from the files of a trace directory."""

from pathlib import Path
from typing import Any

from bmctl.errors import BmctlError
from provider.runtime import tracefiles
from provider.runtime.tracefiles import Span


def read(directory: Path, trace_id: str) -> list[Span]:
    """Spans of one trace among all files of ``directory``, in order."""
    if not directory.is_dir():
        raise BmctlError(
            f"Reading traces from {directory}",
            "there is no such directory",
            "Name the directory of OTLP-JSON files with --from or METALPLANE_TRACES.",
        )
    return tracefiles.read(directory, trace_id)


def of_api(trace: dict[str, Any]) -> list[Span]:
    """Spans of a ``Trace`` of ``subresources.metalplane.io``, in order."""
    return tracefiles.in_order(
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
    )
