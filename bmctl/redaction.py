"""What leaves a support bundle's objects, and what stays. Pure.

Secrets are never read, so there are none to take out. Out go: what tenants give their operating systems (SSH keys, user
data), last-applied annotations (which repeat a spec in full), field owners, names of hosts that storage lets in, and,
unless infrastructure is asked for, addresses of BMCs and storage, wherever their text stands.
"""

import json
from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]

REDACTED = "REDACTED"

_LAST_APPLIED = ("last-applied-configuration", "last-applied")
_TENANTS_OWN = frozenset({"sshAuthorizedKeys", "userData", "user-data", "stringData", "data"})
_STORAGE_KEYS = frozenset({"hostnqn", "dhchap_key", "dhchapKey", "password", "token"})
_INFRASTRUCTURE = frozenset({"traddr", "subnqn", "trsvcid"})
_SHORTEST_ADDRESS = 4


def addresses(servers: Iterable[Json]) -> frozenset[str]:
    """Addresses of BMCs, which may also stand in messages."""
    found = {server["spec"].get("bmc", {}).get("address", "") for server in servers}
    return frozenset(each for each in found if len(each) >= _SHORTEST_ADDRESS)


def clean(obj: Json, hidden: frozenset[str], *, infrastructure: bool) -> Json:
    """A copy of an object of the API without what must not leave; ``hidden`` texts are taken out everywhere."""
    cleaned = _walk(obj, infrastructure)
    metadata = cleaned.get("metadata", {})
    metadata.pop("managedFields", None)
    annotations = metadata.get("annotations", {})
    for key in [key for key in annotations if key.endswith(_LAST_APPLIED)]:
        del annotations[key]
    result: Json = json.loads(text(json.dumps(cleaned), () if infrastructure else hidden))
    return result


def text(told: str, hidden: Iterable[str]) -> str:
    """Text with hidden words taken out, the longest first: one may begin like another."""
    for word in sorted(hidden, key=len, reverse=True):
        told = told.replace(word, REDACTED)
    return told


def _walk(value: Any, infrastructure: bool) -> Any:
    if isinstance(value, list):
        return [_walk(item, infrastructure) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _field(key, inner, infrastructure) for key, inner in value.items()}


def _field(key: str, value: Any, infrastructure: bool) -> Any:
    if key in _TENANTS_OWN or key in _STORAGE_KEYS:
        return [REDACTED] * len(value) if isinstance(value, list) else REDACTED
    if not infrastructure and key in _INFRASTRUCTURE:
        return REDACTED
    if not infrastructure and key == "bmc" and isinstance(value, dict):
        return {**value, "address": REDACTED}
    return _walk(value, infrastructure)
