"""To whose provisioning an object belongs, told from the object alone."""

from contextlib import suppress

from provider.api.names import LABEL_MACHINE_UID
from provider.api.resources import BAREMETALMACHINE
from provider.runtime.controller import Json
from provider.runtime.tracing import TraceRef, machine_trace


def machine_uid_of(obj: Json) -> str | None:
    """UID of the machine that an object is, is labelled with, or is controlled by."""
    metadata = obj["metadata"]
    if obj.get("kind") == BAREMETALMACHINE.kind:
        uid: str = metadata["uid"]
        return uid
    for owner in metadata.get("ownerReferences", ()):
        if owner.get("controller") and owner["kind"] == BAREMETALMACHINE.kind:
            return str(owner["uid"])
    label: str | None = metadata.get("labels", {}).get(LABEL_MACHINE_UID)
    return label


def trace_of(obj: Json) -> TraceRef | None:
    """Where work on the object belongs: under what its ``spec.trace`` names, else under its machine's root."""
    passed_on = obj.get("spec", {}).get("trace")
    if isinstance(passed_on, dict) and passed_on.get("traceId"):
        return TraceRef(passed_on["traceId"], passed_on.get("parentSpanId", ""))
    uid = machine_uid_of(obj)
    # The label of a PVC is the tenant's to write: what is no UID is no trace.
    with suppress(ValueError):
        return machine_trace(uid) if uid is not None else None
    return None
