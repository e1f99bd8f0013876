"""The status of a managed resource, written only when it says something new.

Ready and Synced keep their transition time while their status stays; the whole is applied by one field manager, and an
apply that would change nothing is not sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from provider.api.conditions import READY, SYNCED, Condition, find, merge
from provider.api.managed import ManagedSpec, ManagedStatus
from provider.api.meta import ObjectMeta
from provider.api.names import ANNOTATION_RECONCILE_REQUESTED_AT
from provider.api.resources import ResourceType
from provider.api.schema import ApiModel
from provider.planning.verdict import Verdict
from provider.runtime.controller import Json


class ManagedResource(Protocol):
    """What the contract needs of any managed resource's model."""

    @property
    def metadata(self) -> ObjectMeta:
        """Its metadata."""

    @property
    def spec(self) -> ManagedSpec:
        """What is desired."""

    @property
    def status(self) -> ManagedStatus:
        """What was seen."""


@dataclass(frozen=True, slots=True)
class Report:
    """What to tell. ``ready`` and ``seen`` of None leave what stands there."""

    synced: Verdict
    ready: Verdict | None = None
    seen: ApiModel | None = None


def render(resource: ResourceType, raw: Json, obj: ManagedResource, report: Report, now: datetime) -> Json:
    """The object to apply to the status sub-resource."""
    metadata, before = obj.metadata, obj.status
    status: Json = {
        "observedGeneration": metadata.generation,
        "conditions": [condition.to_json() for condition in _conditions(before.conditions, metadata, report, now)],
        "atProvider": report.seen.to_json() if report.seen else raw.get("status", {}).get("atProvider", {}),
    }
    requested = metadata.annotations.get(ANNOTATION_RECONCILE_REQUESTED_AT)
    handled = requested or before.last_handled_reconcile_at
    if handled is not None:
        status["lastHandledReconcileAt"] = handled
    identity = {"name": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": identity, "status": status}


def _conditions(
    before: Sequence[Condition], metadata: ObjectMeta, report: Report, now: datetime
) -> Sequence[Condition]:
    changes = [_condition(SYNCED, report.synced, metadata, now)]
    if report.ready is not None:
        changes.insert(0, _condition(READY, report.ready, metadata, now))
    merged = merge(before, *changes)
    # Only these two are ours; anything else on the object has another author.
    return [condition for type_ in (READY, SYNCED) if (condition := find(merged, type_)) is not None]


def _condition(type_: str, verdict: Verdict, metadata: ObjectMeta, now: datetime) -> Condition:
    return Condition(
        type=type_,
        status=verdict.status,
        reason=verdict.reason.value,
        message=verdict.message,
        last_transition_time=now,
        observed_generation=metadata.generation,
    )
