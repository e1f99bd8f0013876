"""A device in the DPU's namespace as a plan asked for it, and as its agent reports on it."""

from typing import Any

from provider.planning.action import ApplyObject
from provider.planning.verdict import Plan
from tests.unit.planning.builders import Json, condition


def applied(asked: Plan[Any]) -> Json:
    """The object that the plan applies, as the API server keeps it. Raises ``LookupError`` where it applies none."""
    for action in asked.actions:
        if isinstance(action, ApplyObject):
            known = {"uid": "uid-device", "resourceVersion": "1", "generation": 1}
            kind = {"apiVersion": action.resource.api_version, "kind": action.resource.kind}
            return kind | action.body | {"metadata": action.body["metadata"] | known}
    raise LookupError(f"nothing is applied: {asked}")


def reported(device: Json | None, type_: str, **metadata: Any) -> Json:
    """The same device, of which its agent says ``type_``."""
    assert device is not None
    status = {"observedGeneration": 1, "conditions": [condition(type_, "True", "Available")]}
    return device | {"metadata": device["metadata"] | metadata, "status": status}
