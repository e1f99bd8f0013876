"""docs/api.md: every kind, field, type, default and rule, in the order in which users meet them."""

from collections.abc import Iterator
from typing import Any

from provider.api import API_VERSION
from provider.api.generation.structural import structural_schema
from provider.api.registry import KINDS, ApiKind

Json = dict[str, Any]

_PREAMBLE = f"""\
# API reference: {API_VERSION}

Generated from the models in `provider/api` by `python -m provider.api.generation`; do not edit. The same text answers
`kubectl explain`. A field marked **required** must be given; a *rule* is checked when the object is written, and its
message is what `kubectl` prints. Fields that other objects decide (an image that is not there yet, no server that fits)
are admitted, reported in a condition, and heal when those objects appear.

Conditions `Ready` and `Synced` are on every managed resource and on the machine; `kubectl wait
--for=condition=Ready bmm/NAME` returns when the machine answers.
"""


def reference() -> str:
    """The whole page, in Markdown."""
    sections = [_PREAMBLE, "\n".join(_contents()), *("\n".join(_section(kind)) for kind in KINDS)]
    return "\n".join(sections)


def _contents() -> Iterator[str]:
    yield "| kind | scope | short name | categories | what |"
    yield "|---|---|---|---|---|"
    for kind in KINDS:
        name = kind.resource.kind
        scope = "namespaced" if kind.resource.namespaced else "cluster"
        short = ", ".join(f"`{word}`" for word in kind.short_names)
        categories = ", ".join(f"`{word}`" for word in kind.categories)
        yield f"| [`{name}`](#{name.lower()}) | {scope} | {short} | {categories} | {_cell(_about(kind))} |"
    yield ""


def _section(kind: ApiKind) -> Iterator[str]:
    schema = structural_schema(kind.model)
    yield f"## {kind.resource.kind}"
    yield ""
    yield _about(kind)
    yield ""
    yield "| field | type | description |"
    yield "|---|---|---|"
    for part in ("spec", "status"):
        if part in schema["properties"]:
            yield from rows(part, schema["properties"][part], required=part == "spec")
    yield ""


def _about(kind: ApiKind) -> str:
    return " ".join((kind.model.__doc__ or "").split())


def rows(path: str, schema: Json, *, required: bool) -> Iterator[str]:
    """Rows of a table with field, type and description: of the field at ``path``, and of all below it."""
    text = [schema.get("description", "")]
    text += ["**Required.**"] if required else []
    text += [f"Default `{_plain(schema['default'])}`."] if "default" in schema else []
    text += [f"*Rule:* {rule['message']}." for rule in schema.get("x-kubernetes-validations", [])]
    yield f"| `{path}` | {_type(schema)} | {_cell(' '.join(filter(None, text)))} |"
    inner, suffix = (schema["items"], "[]") if "items" in schema else (schema, "")
    if suffix:
        text = [f"*Rule:* {rule['message']}." for rule in inner.get("x-kubernetes-validations", [])]
        if text:
            yield f"| `{path}[]` | {_type(inner)} | {_cell(' '.join(text))} |"
    for name, child in inner.get("properties", {}).items():
        yield from rows(f"{path}{suffix}.{name}", child, required=name in inner.get("required", []))


def _type(schema: Json) -> str:
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"])
    if "items" in schema:
        keys = schema.get("x-kubernetes-list-map-keys")
        return f"list of {_type(schema['items'])}" + (f", by {', '.join(keys)}" if keys else "")
    if "additionalProperties" in schema:
        return f"map of {_type(schema['additionalProperties'])}"
    if schema.get("format") == "date-time":
        return "time"
    return f"{schema['type']}{_limits(schema)}"


def _limits(schema: Json) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f", {low} to {high}"
    return f", {low} or more" if low is not None else ""


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_plain(item)}" for key, item in value.items()) + "}"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
