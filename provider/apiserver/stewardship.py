"""Whose a part of a machine's spec is. Pure.

What git (or another applier) holds, it puts back: an edit would be undone within seconds, and nobody would know why. So
such a part is not edited here, and the caller is told where it is to be edited.

Sources: Argo CD's tracking annotation (Argo CD documentation, "Resource Tracking"); ``metadata.managedFields``
(Kubernetes documentation, "Server-Side Apply").
"""

import json
from typing import Any

from provider.api.subresources import SERVICE

Json = dict[str, Any]

FIELD_MANAGER = SERVICE
ARGOCD_TRACKING = "argocd.argoproj.io/tracking-id"


def steward(machine: Json, field: str) -> str | None:
    """Who else looks after ``spec.<field>``, in words; None where a verb may edit it."""
    metadata = machine["metadata"]
    tracked = metadata.get("annotations", {}).get(ARGOCD_TRACKING)
    if tracked:
        return f"Argo CD (application {tracked.split(':')[0]})"
    for entry in metadata.get("managedFields", ()):
        if _is_of_another(entry) and _owns(entry, "f:spec", f"f:{field}"):
            return f"field manager {entry['manager']}"
    return None


def annotation_steward(machine: Json, annotation: str) -> str | None:
    """Who else looks after an annotation. Argo CD leaves those alone that git does not have."""
    for entry in machine["metadata"].get("managedFields", ()):
        if _is_of_another(entry) and _owns(entry, "f:metadata", "f:annotations", f"f:{annotation}"):
            return f"field manager {entry['manager']}"
    return None


def _is_of_another(entry: Json) -> bool:
    return bool(entry.get("operation") == "Apply" and entry["manager"] != FIELD_MANAGER)


def _owns(entry: Json, *path: str) -> bool:
    if entry.get("subresource"):
        return False
    fields = entry.get("fieldsV1", {})
    owned: Json = json.loads(fields) if isinstance(fields, str) else fields
    for step in path:
        if step not in owned:
            return False
        owned = owned[step]
    return True
