"""Objects as a user would write them, and small changes to them."""

import copy
from typing import Any, Final

from provider.api import API_VERSION
from provider.api.resources import ResourceType

Json = dict[str, Any]

GONE: Final = object()
"""In place of a new value: the field is taken away."""

MACHINE_SPEC: Final[Json] = {
    "instanceType": "small",
    "disks": [{"name": "root", "boot": True, "image": "tiny", "size": "1Gi"}, {"name": "data", "size": "2Gi"}],
    "networkInterfaces": [
        {"name": "eth0", "network": "blue", "address": "10.20.0.11/24", "mac": "02:00:00:00:00:0a"},
        {"name": "eth1", "network": "blue"},
    ],
    "cloudInit": {"sshAuthorizedKeys": ["ssh-ed25519 AAAA tenant"], "userDataSecretRef": {"name": "user-data"}},
}


def manifest(resource: ResourceType, name: str, namespace: str | None, spec: Json, **metadata: Any) -> Json:
    """An object of one of our kinds."""
    place = {} if namespace is None else {"namespace": namespace}
    return {
        "apiVersion": API_VERSION,
        "kind": resource.kind,
        "metadata": {"name": name, **place, **metadata},
        "spec": copy.deepcopy(spec),
    }


def edited(obj: Json, changes: dict[str, Any]) -> Json:
    """A copy with other values at some paths, such as ``spec.disks.0.size``; an index at a list's end appends."""
    changed = copy.deepcopy(obj)
    for path, value in changes.items():
        *way, last = path.split(".")
        node: Any = changed
        for step in way:
            node = node[int(step)] if isinstance(node, list) else node.setdefault(step, {})
        _put(node, last, value)
    return changed


def _put(node: Any, key: str, value: Any) -> None:
    if isinstance(node, list):
        node[int(key) : int(key) + 1] = [] if value is GONE else [value]
    elif value is GONE:
        del node[key]
    else:
        node[key] = value
