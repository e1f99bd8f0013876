"""The trace of a machine's provisioning, from the files of spans where there are some, else from its timeline."""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from provider.apiserver.options import Trace, TraceSpan
from provider.runtime import tracefiles

Json = dict[str, Any]

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
    """The first spans of one trace among the files of ``directory``, in order."""
    return [
        TraceSpan(
            trace_id=span.trace_id,
            span_id=span.span_id,
            parent_span_id=span.parent_span_id,
            name=span.name,
            service=span.service,
            start_time_unix_nano=str(span.start_ns),
            end_time_unix_nano=str(span.end_ns),
            error=span.error,
            attributes=span.attributes,
        )
        for span in tracefiles.read(directory, trace_id)[:_MOST_SPANS]
    ]


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


def _nanoseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1_000_000) * 1000
