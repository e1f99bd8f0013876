"""How results are printed: tables in the manner of kubectl, and whole objects as JSON or YAML."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class OutputFormat(StrEnum):
    """Values of ``-o``."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


class DetailFormat(StrEnum):
    """Values of ``-o`` of verbs that tell of one thing, for people or for programs."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"


def document(data: Any, form: OutputFormat | DetailFormat) -> str:
    """``data`` as JSON or YAML text."""
    if form in (OutputFormat.YAML, DetailFormat.YAML):
        import yaml

        return str(yaml.safe_dump(data, sort_keys=False)).rstrip()
    return json.dumps(data, indent=2)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded with three spaces between them, as kubectl prints them."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def timestamp(text: str | None) -> datetime | None:
    """An RFC 3339 time as the API server writes it."""
    return None if text is None else datetime.fromisoformat(text)


def age(since: datetime | None, now: datetime | None = None) -> str:
    """How long ago ``since`` was, as kubectl shortens it: 45s, 12m, 5h, 3d."""
    if since is None:
        return "<unknown>"
    seconds = max(0, int(((now or datetime.now(UTC)) - since).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
