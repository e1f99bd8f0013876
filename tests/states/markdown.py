"""Paragraphs, tables and diagrams of a page."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

Edges = Mapping[tuple[str, str], Sequence[str]]
"""From a state to a state: what leads there."""

OUTSIDE = "[*]"
"""Where a diagram begins and ends."""


def prose(*parts: str) -> Iterator[str]:
    """A paragraph and the empty line after it."""
    yield " ".join(parts)
    yield ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table and the empty line after it."""
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"
    yield ""


def diagram(edges: Edges) -> Iterator[str]:
    """A state diagram, and the empty line after it. States are called by their labels.

    Mermaid ends the text of a transition at a colon or semicolon.
    """
    names = dict.fromkeys(state for edge in edges for state in edge if state != OUTSIDE)
    ids = {label: f"s{number}" for number, label in enumerate(names)} | {OUTSIDE: OUTSIDE}
    yield "```mermaid"
    yield "stateDiagram-v2"
    for label in names:
        yield f'    state "{label}" as {ids[label]}'
    for (before, after), causes in edges.items():
        if any(mark in cause for cause in causes for mark in ":;"):
            raise ValueError(f"no colon or semicolon may stand in {causes}")
        yield f"    {ids[before]} --> {ids[after]}: {', or '.join(causes)}"
    yield "```"
    yield ""
