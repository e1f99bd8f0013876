"""A pydantic model as a *structural schema*: the subset of OpenAPI v3 that CustomResourceDefinitions take.

Kubernetes, "Extend the Kubernetes API with CustomResourceDefinitions", section "Specifying a structural schema": no
``$ref``, no ``title``, a type everywhere. Absent and null are the same to our models, so ``X | None`` is just X.
"""

from typing import Any, cast

from provider.api.schema import ApiModel

Json = dict[str, Any]

_VALIDATIONS = "x-kubernetes-validations"
_DROPPED = frozenset({"title", "$defs", "anyOf", "$ref"})
_ORDER = ("description", "type", "format", "enum", "default")


def structural_schema(model: type[ApiModel]) -> Json:
    """The schema of a whole object of that kind, without ``apiVersion``, ``kind`` and the content of ``metadata``."""
    raw = model.model_json_schema(by_alias=True, mode="validation")
    raw["properties"]["metadata"] = {"type": "object"}
    return _structural(raw, raw.get("$defs", {}))


def _structural(node: Json, definitions: Json) -> Json:
    schema = _resolved(node, definitions)
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    if "properties" in schema:
        schema["properties"] = {name: _structural(child, definitions) for name, child in schema["properties"].items()}
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            schema[inner] = _structural(schema[inner], definitions)
    if "default" in schema:
        schema["default"] = _said(schema["default"])
        if not _worth_saying(schema["default"]):
            del schema["default"]
    # Fields that are not known are pruned by a structural schema in any case; to keep them has a word of its own.
    if schema.get("additionalProperties") in (True, False) and schema.pop("additionalProperties"):
        schema["x-kubernetes-preserve-unknown-fields"] = True
    return {key: schema[key] for key in sorted(schema, key=_position)}


def _resolved(node: Json, definitions: Json) -> Json:
    """``node`` with references followed and ``null`` alternatives left out; what stands nearer to the field wins."""
    base: Json = {}
    if "$ref" in node:
        base = _resolved(definitions[node["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in node:
        base = _resolved(_only_alternative(node["anyOf"]), definitions)
    own = {key: value for key, value in node.items() if key not in _DROPPED}
    rules = [*base.get(_VALIDATIONS, []), *own.get(_VALIDATIONS, [])]
    merged = base | own
    return merged | {_VALIDATIONS: rules} if rules else merged


def _only_alternative(alternatives: list[Json]) -> Json:
    present = [alternative for alternative in alternatives if alternative.get("type") != "null"]
    if len(present) != 1:
        raise TypeError(f"a field may be one type or absent, nothing else: {alternatives}")
    return present[0]


def _said(default: Any) -> Any:
    """A default without its nulls, which the API server would hold against the field's type."""
    if isinstance(default, dict):
        return {key: _said(value) for key, value in default.items() if _worth_saying(_said(value))}
    return default


def _worth_saying(default: object) -> bool:
    """Empty defaults only churn objects; what they mean is what absence means."""
    return default is not None and default not in ("", [], {})


def _position(key: str) -> tuple[int, str]:
    return (_ORDER.index(key), key) if key in _ORDER else (len(_ORDER), key)


def properties(schema: Json, *path: str) -> Json:
    """The properties of the object at ``path`` within ``schema``."""
    for name in path:
        schema = schema["properties"][name]
    return cast("Json", schema["properties"])
