"""A trace as a waterfall: each span a line, indented under its parent, with a bar where it lay in time. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from provider.runtime.tracefiles import Span

_NAME_WIDTH = 48
_SERVICE_WIDTH = 10
_FULL, _POINT = "█", "▏"


@dataclass(frozen=True, slots=True)
class Row:
    """One line: a span, how deep it is nested, and how many spans under it are folded away."""

    span: Span
    depth: int
    folded: int = 0


def rows(spans: Sequence[Span], *, deepest: int | None = None) -> list[Row]:
    """Spans in depth-first order; one whose parent is not in the trace stands at the top.

    Those deeper than ``deepest`` are folded into the row above them.
    """
    known = {span.span_id for span in spans}
    by_parent: defaultdict[str, list[Span]] = defaultdict(list)
    for span in sorted(spans, key=lambda each: (each.start_ns, -each.end_ns)):
        by_parent[span.parent_span_id if span.parent_span_id in known else ""].append(span)

    def walk(parent: str, depth: int) -> Iterator[Row]:
        for span in by_parent[parent]:
            if depth == deepest:
                yield Row(span, depth, sum(1 for _ in walk_below(span.span_id)))
            else:
                yield Row(span, depth)
                yield from walk(span.span_id, depth + 1)

    def walk_below(parent: str) -> Iterator[Span]:
        for span in by_parent[parent]:
            yield span
            yield from walk_below(span.span_id)

    return list(walk("", 0))


def render(spans: Sequence[Span], *, width: int = 120, deepest: int | None = None) -> list[str]:
    """Lines of text, ``width`` columns wide: name, service, start and duration, bar."""
    if not spans:
        return []
    start_ns = min(span.start_ns for span in spans)
    total_ns = max(max(span.end_ns for span in spans) - start_ns, 1)
    bar_width = max(width - _NAME_WIDTH - _SERVICE_WIDTH - 24, 10)
    lines = [f"{'SPAN':<{_NAME_WIDTH}} {'SERVICE':<{_SERVICE_WIDTH}} {'START':>9} {'TOOK':>9}  "]
    for row in rows(spans, deepest=deepest):
        span = row.span
        folded = f" (+{row.folded})" if row.folded else ""
        label = "  " * row.depth + ("✗ " if span.error else "") + span.name
        label = _shorten(label, _NAME_WIDTH - len(folded)) + folded
        service = _shorten(span.service.removeprefix("metalplane-"), _SERVICE_WIDTH)
        offset = (span.start_ns - start_ns) * bar_width // total_ns
        length = (span.end_ns - span.start_ns) * bar_width // total_ns
        bar = " " * min(offset, bar_width - 1) + (_FULL * length or _POINT)
        start, took = _duration(span.start_ns - start_ns), _duration(span.end_ns - span.start_ns)
        lines.append(
            f"{label:<{_NAME_WIDTH}} {service:<{_SERVICE_WIDTH}} {start:>9} {took:>9}  {bar[:bar_width]}".rstrip()
        )
    return lines


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _duration(nanoseconds: int) -> str:
    if nanoseconds >= 1_000_000_000:
        return f"{nanoseconds / 1e9:.2f} s"
    return f"{nanoseconds / 1e6:.1f} ms"
