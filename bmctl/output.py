"""How results are printed: tables in the manner of kubectl, and whole objects as JSON, YAML, names or by JSONPath."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

OBJECT_FORMS = ("json", "yaml", "name", "wide", "jsonpath=EXPR")
"""Values of ``-o`` of verbs that show objects; without it they show a table."""

DETAIL_FORMS = ("json", "yaml")
"""Values of ``-o`` of verbs that tell of one thing; without it they tell it to people."""

_JSONPATH = "jsonpath="


def document(data: Any, form: str) -> str:
    """``data`` as JSON or YAML text."""
    if form == "yaml":
        from bmctl import yamltext

        return yamltext.dump(data)
    return json.dumps(data, indent=2, ensure_ascii=False)


def objects(items: Sequence[Json], form: str, *, single: bool) -> str:
    """Objects in a form that is no table; ``single`` is one that was asked for by its name."""
    if form == "name":
        return "\n".join(_name(item) for item in items)
    whole: Json = items[0] if single else {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": list(items)}
    if form.startswith(_JSONPATH):
        from bmctl import jsonpath

        return jsonpath.render(form.removeprefix(_JSONPATH), whole)
    return document(whole, form)


def show(text: str, form: str) -> None:
    """On standard output; after a JSONPath's text there is no line's end but its own, as in kubectl."""
    print(text, end="" if form.startswith(_JSONPATH) else "\n", flush=True)


def remark(text: str) -> None:
    """On standard error, behind what was printed before it, also where both go to one pipe."""
    sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)


def is_table(form: str) -> bool:
    """Whether the form is a table for people."""
    return form in ("", "wide")


def _name(item: Json) -> str:
    """As kubectl writes and reads it."""
    group = item["apiVersion"].rpartition("/")[0]
    return f"{item['kind'].lower()}{'.' if group else ''}{group}/{item['metadata']['name']}"


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
    return shortened(((now or datetime.now(UTC)) - since).total_seconds())


def shortened(seconds: float) -> str:
    """A length of time as kubectl shortens it: 45s, 12m, 5h, 3d."""
    whole = max(0, int(seconds))
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if whole >= 2 * length:
            return f"{whole // length}{unit}"
    return f"{whole}s"
