"""What the models say of an object that somebody wants to store: the pydantic model, and the rules beside its fields.

A model reads what the API server sends, so two things are the API server's alone and are done here before a model is
asked: null in place of a field is the same as no field, and a field left out gets its default.
"""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import ValidationError

from provider.api.generation.crd import crds
from provider.api.registry import ApiKind
from tests.integration.admission.rules import CHANGES, RULES

Json = dict[str, Any]

_VALIDATIONS = "x-kubernetes-validations"


def schema_of(kind: ApiKind) -> Json:
    """The schema of a kind's spec as the API server has it, without Crossplane's part of it, which no model reads."""
    (crd,) = (each for each in crds() if each["spec"]["names"]["kind"] == kind.resource.kind)
    spec: Json = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return spec | {"properties": {name: node for name, node in spec["properties"].items() if name != "crossplane"}}


def faults(kind: ApiKind, schema: Json, obj: Json, stored: Json | None = None) -> list[str]:
    """What is wrong with ``obj``, as a new one or in place of ``stored``; nothing if it may be written."""
    whole = obj | {"spec": completed(schema, obj["spec"])}
    try:
        kind.model.model_validate_json(json.dumps(whole), strict=True)
    except ValidationError as error:
        return [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
    return [*_broken(schema, whole["spec"], None if stored is None else stored["spec"], "spec")]


def completed(schema: Json, value: Any) -> Any:
    """``value`` without nulls and with defaults (Kubernetes, CustomResourceDefinitions, "Defaulting and Nullable")."""
    if isinstance(value, list):
        return [completed(schema.get("items", {}), item) for item in value]
    if not isinstance(value, dict):
        return value
    known = schema.get("properties", {})
    present = {name: item for name, item in value.items() if item is not None}
    defaults = {name: copy.deepcopy(node["default"]) for name, node in known.items() if "default" in node}
    inner = schema.get("additionalProperties", {})
    return {name: completed(known.get(name, inner), item) for name, item in (defaults | present).items()}


def rules_of(schema: Json) -> Iterator[Json]:
    """Every rule in a schema."""
    yield from schema.get(_VALIDATIONS, ())
    inner = [schema[name] for name in ("items", "additionalProperties") if name in schema]
    for node in [*schema.get("properties", {}).values(), *inner]:
        yield from rules_of(node)


def meaning(table: dict[str, Callable[..., bool]], message: str) -> Callable[..., bool]:
    """The one of a table's rules whose message that is."""
    (found,) = [rule for beginning, rule in table.items() if message.startswith(beginning)]
    return found


def _broken(schema: Json, value: Any, old: Any, path: str) -> Iterator[str]:
    for rule in schema.get(_VALIDATIONS, ()):
        if "oldSelf" not in rule["rule"]:
            holds = meaning(RULES, rule["message"])(value)
        else:
            holds = old is None or meaning(CHANGES, rule["message"])(value, old)
        if not holds:
            yield f"{path}: {rule['message']}"
    if isinstance(value, dict):
        for name, item in value.items():
            node = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
            if node is not None:
                yield from _broken(node, item, None if old is None else old.get(name), f"{path}.{name}")
    if isinstance(value, list):
        yield from _broken_items(schema, value, old, path)


def _broken_items(schema: Json, items: list[Any], old: list[Any] | None, path: str) -> Iterator[str]:
    keys = schema.get("x-kubernetes-list-map-keys")
    before = {} if keys is None else {_key(item, keys): item for item in old or ()}
    if keys is not None and len({_key(item, keys) for item in items}) < len(items):
        yield f"{path}: two items have the same {', '.join(keys)}"
    for index, item in enumerate(items):
        known = None if keys is None else before.get(_key(item, keys))
        yield from _broken(schema["items"], item, known, f"{path}[{index}]")


def _key(item: Json, keys: list[str]) -> tuple[Any, ...]:
    return tuple(item.get(key) for key in keys)
