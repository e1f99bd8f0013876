"""Whether a server-side apply would change anything, told from the object's own ``managedFields``.

An apply is a no-op when our manager's entry owns exactly the fields that we desire, and each of them has the desired
value. Both matter: a field that we owned and no longer desire must still be taken away. The notation of ``fieldsV1``
(``f:`` field, ``k:`` list item by its keys, ``v:`` set member) is that of structured-merge-diff,
https://kubernetes.io/docs/reference/using-api/server-side-apply/ . Where in doubt, the answer is "it would change".
"""

import json
from typing import Any

from provider.runtime.controller import Json

_IDENTITY = ("name", "namespace", "uid", "resourceVersion")


def holds(current: Json, desired: Json, *, field_manager: str, subresource: str | None = None) -> bool:
    """Whether ``current`` already is what applying ``desired`` as ``field_manager`` would make it."""
    owned = _owned_fields(current, field_manager, subresource)
    wanted = _without_identity(desired)
    if owned is None:
        return False
    return _node_holds(owned, current, wanted)


def _owned_fields(current: Json, field_manager: str, subresource: str | None) -> dict[str, Any] | None:
    for entry in current["metadata"].get("managedFields", ()):
        if (
            entry["manager"] == field_manager
            and entry["operation"] == "Apply"
            and entry.get("subresource", "") == (subresource or "")
        ):
            fields: dict[str, Any] | str = entry.get("fieldsV1", {})
            return json.loads(fields) if isinstance(fields, str) else fields
    return None


def compact(obj: Json) -> Json:
    """The object with each ``fieldsV1`` as its JSON text, as ``holds`` takes it too; of updates, which it never asks
    about, without. As dicts they are most of the memory that a cached object takes.
    """
    entries = obj["metadata"].get("managedFields")
    if not entries:
        return obj
    return {**obj, "metadata": {**obj["metadata"], "managedFields": [_compacted(entry) for entry in entries]}}


def _compacted(entry: Json) -> Json:
    fields = entry.get("fieldsV1")
    rest = {name: value for name, value in entry.items() if name != "fieldsV1"}
    if fields is None or entry["operation"] != "Apply":
        return rest
    return {**rest, "fieldsV1": fields if isinstance(fields, str) else json.dumps(fields, separators=(",", ":"))}


def _without_identity(desired: Json) -> Json:
    metadata = {name: value for name, value in desired.get("metadata", {}).items() if name not in _IDENTITY}
    rest = {name: value for name, value in desired.items() if name not in ("apiVersion", "kind", "metadata")}
    return {**rest, "metadata": metadata} if metadata else rest


def _node_holds(fields: dict[str, Any], current: Any, desired: Any) -> bool:
    members = {name: child for name, child in fields.items() if name != "."}
    if not members:
        return bool(current == desired)
    if isinstance(desired, dict) and isinstance(current, dict):
        return _map_holds(members, current, desired)
    if isinstance(desired, list) and isinstance(current, list):
        return _list_holds(members, current, desired)
    return False


def _map_holds(members: dict[str, Any], current: Json, desired: Json) -> bool:
    # Of a list by keys the items are owned and nothing else: of an empty one, nothing.
    nobodys = [name for name, value in desired.items() if value == [] and f"f:{name}" not in members]
    if members.keys() != {f"f:{name}" for name in desired if name not in nobodys}:
        return False
    return all(
        name in current and _node_holds(members.get(f"f:{name}", {}), current[name], desired[name]) for name in desired
    )


def _list_holds(members: dict[str, Any], current: list[Any], desired: list[Any]) -> bool:
    if len(members) != len(desired):
        return False
    return all(_member_holds(name, child, current, desired) for name, child in members.items())


def _member_holds(name: str, fields: dict[str, Any], current: list[Any], desired: list[Any]) -> bool:
    kind, _, text = name.partition(":")
    key = json.loads(text)
    if kind == "v":
        return key in desired and key in current
    if kind == "k":
        wanted, seen = _by_key(desired, key), _by_key(current, key)
        return wanted is not None and seen is not None and _node_holds(fields, seen, wanted)
    return False


def _by_key(items: list[Any], key: dict[str, Any]) -> Json | None:
    for item in items:
        if isinstance(item, dict) and key.items() <= item.items():
            return item
    return None
