"""One span: what was done, when, under what, and how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from provider.runtime.tracing.ids import TraceRef

Kind = Literal["internal", "server", "client"]
Attribute = str | int | float | bool
Outcome = Literal["ok", "error", "unknown"]


@dataclass(slots=True)
class Span:
    """Times are nanoseconds since the epoch; ``end_ns`` is 0 while it lasts. Ids are lower-case hex."""

    name: str
    trace_id: str
    span_id: str
    parent_span_id: str
    start_ns: int
    kind: Kind = "internal"
    attributes: dict[str, Attribute] = field(default_factory=dict)
    end_ns: int = 0
    outcome: Outcome = "ok"
    message: str = ""

    @property
    def trace(self) -> TraceRef:
        """What to pass on, so that work elsewhere hangs under this span."""
        return TraceRef(self.trace_id, self.span_id)

    def set(self, key: str, value: Attribute) -> None:
        """Add an attribute, or overwrite it."""
        self.attributes[key] = value

    def update(self, attributes: Mapping[str, Attribute]) -> None:
        """Add several attributes."""
        self.attributes.update(attributes)

    def fail(self, message: str) -> None:
        """Mark the span as failed."""
        self.outcome, self.message = "error", message
