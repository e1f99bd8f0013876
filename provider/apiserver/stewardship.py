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
        if entry.get("operation") == "Apply" and entry["manager"] != FIELD_MANAGER and _owns(entry, field):
            return f"field manager {entry['manager']}"
    return None


def _owns(entry: Json, field: str) -> bool:
    if entry.get("subresource"):
        return False
    fields = entry.get("fieldsV1", {})
    owned: Json = json.loads(fields) if isinstance(fields, str) else fields
    return f"f:{field}" in owned.get("f:spec", {})
