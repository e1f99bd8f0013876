"""The spans of one machine's trace, from the files that the product's parts write."""

from collections.abc import Iterator
from dataclasses import dataclass

from provider.runtime.tracing.otlp_json import decode_span, spans_of
from sandbox.paths import Layout


@dataclass(frozen=True, slots=True)
class Span:
    """What is needed of an encoded span. Times are Unix time in nanoseconds."""

    name: str
    span_id: str
    parent_span_id: str
    start_ns: int
    end_ns: int
    attributes: dict[str, object]

    @classmethod
    def decode(cls, encoded: dict[str, object]) -> "Span":
        span = decode_span(encoded)
        end_ns = int(str(encoded["endTimeUnixNano"]))
        return cls(span.name, span.span_id, span.parent_span_id, span.start_ns, end_ns, dict(span.attributes))


def of_machine(layout: Layout, machine_uid: str) -> Iterator[Span]:
    """All that are written so far, in no order."""
    trace_id = machine_uid.replace("-", "").encode()
    for path in layout.trace.glob("*.jsonl"):
        for line in path.read_bytes().splitlines():
            if trace_id in line:
                yield from (Span.decode(span) for span in spans_of(line))
