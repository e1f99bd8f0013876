"""Ids of traces and spans: derived, never drawn, so that every process and every restart finds the same ones."""

import hashlib
import re
from dataclasses import dataclass
from uuid import UUID

ROOT_STEP = "provision"
_TRACEPARENT = re.compile(r"00-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class TraceRef:
    """A place in a trace under which further spans hang. Lower-case hex: 32 digits and 16 digits."""

    trace_id: str
    parent_span_id: str

    @property
    def traceparent(self) -> str:
        """The W3C Trace Context header that carries it to another process (https://www.w3.org/TR/trace-context/)."""
        return f"00-{self.trace_id}-{self.parent_span_id}-01"


def machine_trace(machine_uid: str) -> TraceRef:
    """The trace of one machine's provisioning; what is started with it hangs under the root span ``provision``."""
    return TraceRef(UUID(machine_uid).hex, root_span_id(machine_uid))


def root_span_id(machine_uid: str) -> str:
    """Id of the root span of a machine's trace: known before the span is over, and to every process."""
    return _hash(machine_uid, ROOT_STEP)


def span_id(trace_id: str, service: str, name: str, start_ns: int) -> str:
    """Id of a span that ``service`` started at ``start_ns`` (nanoseconds since the epoch)."""
    return _hash(trace_id, service, name, str(start_ns))


def parse_traceparent(header: str) -> TraceRef | None:
    """The place that a ``traceparent`` header of version 00 names; None if it is none (all zeros are invalid)."""
    match = _TRACEPARENT.fullmatch(header)
    if match is None or not int(match["trace"], 16) or not int(match["span"], 16):
        return None
    return TraceRef(match["trace"], match["span"])


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
