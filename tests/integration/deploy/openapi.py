"""The API server's own OpenAPI as the schemas that kubeconform reads: every kind that it serves, no network."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]

LOCATION = "{{ .Group }}_{{ .ResourceAPIVersion }}_{{ .ResourceKind }}.json"
"""Name of a kind's file, as a template of kubeconform's."""

_KINDS = "x-kubernetes-group-version-kind"
_REFERENCE = "#/definitions/"


def write_schemas(openapi: Json, directory: Path) -> int:
    """One file a kind, strict: what the API server does not know is not allowed. How many."""
    definitions: Json = openapi["definitions"]
    written = 0
    for definition in definitions.values():
        for kind in definition.get(_KINDS, ()):
            needed = {name: _strict(name, definitions[name]) for name in _referred(definition, definitions)}
            # The group of the core kinds is empty; to kubeconform it is what stands before a slash that is not there.
            name = f"{kind['group'] or kind['version']}_{kind['version']}_{kind['kind'].lower()}.json"
            (directory / name).write_text(json.dumps({**_strict("", definition), "definitions": needed}))
            written += 1
    return written


def _referred(definition: Json, definitions: Json) -> set[str]:
    """Names of all definitions that one rests on."""
    found: set[str] = set()
    todo = list(_references(definition))
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += _references(definitions[name])
    return found


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(reference := node.get("$ref"), str):
            yield reference.removeprefix(_REFERENCE)
        for child in node.values():
            yield from _references(child)
    elif isinstance(node, list):
        for child in node:
            yield from _references(child)


def _strict(name: str, definition: Json) -> Json:
    if definition.get("format") == "int-or-string":
        return {"anyOf": [{"type": "string"}, {"type": "integer"}]}
    if name.endswith((".JSON", ".JSONSchemaPropsOrBool", ".JSONSchemaPropsOrArray", ".JSONSchemaPropsOrStringArray")):
        return {}
    if "properties" in definition and not definition.get("x-kubernetes-preserve-unknown-fields"):
        return {**definition, "additionalProperties": False}
    return definition
