"""The composed resources: what each is called, whose it is, which are garbage. Pure.

Rules and field managers are Crossplane's (core 2.3, composition_functions.go), measured on its real reconciler.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from provider.api.names import ANNOTATION_RESOURCE_NAME, LABEL_COMPOSITE, child_name
from provider.api.resources import (
    BAREMETALMACHINE,
    POWERSTATE,
    SERVERCLAIM,
    VIRTUALDISK,
    VIRTUALNIC,
    VOLUME,
    ResourceType,
)
from provider.composition.errors import InvalidComposition

Json = dict[str, Any]

CHILD_KINDS = (SERVERCLAIM, VOLUME, VIRTUALNIC, VIRTUALDISK, POWERSTATE)
"""Kinds that the engine can compose: those it watches."""

MANAGER_COMPOSITE = "apiextensions.crossplane.io/composite"
_MANAGER_COMPOSED_PREFIX = "apiextensions.crossplane.io/composed/"


@dataclass(frozen=True, slots=True)
class Desired:
    """A child as the function wants it, and whether the function counts it as ready."""

    resource_name: str
    manifest: Json
    ready: bool


@dataclass(frozen=True, slots=True)
class Child:
    """A child that is ready to be applied."""

    resource_name: str
    resource: ResourceType
    manifest: Json


def composite_label(machine: Json) -> str:
    """What children's names begin with: the machine's label, else the machine's name."""
    metadata = machine["metadata"]
    prefix: str = metadata.get("labels", {}).get(LABEL_COMPOSITE) or metadata["name"]
    return prefix


def field_manager(machine: Json) -> str:
    """Field manager of the machine's children."""
    identity = machine["metadata"]["name"] + f"{BAREMETALMACHINE.kind}.{BAREMETALMACHINE.group}"
    return _MANAGER_COMPOSED_PREFIX + hashlib.sha256(identity.encode()).hexdigest()


def observed(machine: Json, objects: Iterable[Json]) -> dict[str, Json]:
    """Children by resource name: those of ``objects`` that the machine controls. Others are never touched."""
    uid = machine["metadata"]["uid"]
    return {
        obj["metadata"]["annotations"][ANNOTATION_RESOURCE_NAME]: obj
        for obj in objects
        if _controlled_by(obj, uid) and ANNOTATION_RESOURCE_NAME in obj["metadata"].get("annotations", {})
    }


def garbage(seen: Mapping[str, Json], desired: Iterable[Desired]) -> list[Json]:
    """Children that the function no longer names."""
    wanted = {each.resource_name for each in desired}
    return [obj for name, obj in sorted(seen.items()) if name not in wanted]


def render(machine: Json, desired: Desired, existing: Json | None) -> Child:
    """The child with its name, labels and owner. A child that exists keeps its name, whatever the label says now."""
    metadata = machine["metadata"]
    manifest = desired.manifest
    asked = manifest.get("metadata", {})
    labels = asked.get("labels", {}) | {LABEL_COMPOSITE: composite_label(machine)}
    annotations = asked.get("annotations", {}) | {ANNOTATION_RESOURCE_NAME: desired.resource_name}
    body = {key: value for key, value in manifest.items() if key not in ("metadata", "status")}
    body["metadata"] = {
        **_names(machine, desired, existing),
        "namespace": metadata["namespace"],
        "labels": labels,
        "annotations": annotations,
        "ownerReferences": [_owner(metadata)],
    }
    return Child(desired.resource_name, resource_type(manifest), body)


def references(children: Iterable[Child]) -> list[Json]:
    """``spec.crossplane.resourceRefs``: written before the children, so that none can be lost sight of."""
    refs = [
        {
            "apiVersion": child.manifest["apiVersion"],
            "kind": child.resource.kind,
            "name": child.manifest["metadata"]["name"],
        }
        for child in children
    ]
    return sorted(refs, key=lambda ref: (ref["apiVersion"], ref["kind"], ref["name"]))


def resource_type(manifest: Json) -> ResourceType:
    """How a child's kind is reached. Raises ``InvalidComposition`` for a kind that this engine does not watch."""
    for resource in CHILD_KINDS:
        if (manifest.get("apiVersion"), manifest.get("kind")) == (resource.api_version, resource.kind):
            return resource
    raise InvalidComposition(
        "compose",
        subject=f"{manifest.get('kind')} of {manifest.get('apiVersion')}",
        cause="the embedded engine composes only " + ", ".join(resource.kind for resource in CHILD_KINDS),
        next_step="run Crossplane and start the provider with --engine=off to compose other kinds",
    )


def _names(machine: Json, desired: Desired, existing: Json | None) -> Json:
    """Name and generateName: those that it has, else those that the function chose, else what the machine's give."""
    known = existing["metadata"] if existing else desired.manifest.get("metadata", {})
    names = {key: known[key] for key in ("name", "generateName") if known.get(key)}
    if "name" in names:
        return names
    prefix = names.get("generateName", composite_label(machine) + "-")
    name = child_name(prefix.removesuffix("-"), machine["metadata"]["uid"], desired.resource_name)
    return {"name": name, "generateName": prefix}


def _owner(metadata: Json) -> Json:
    return {
        "apiVersion": BAREMETALMACHINE.api_version,
        "kind": BAREMETALMACHINE.kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _controlled_by(obj: Json, uid: str) -> bool:
    owners = obj["metadata"].get("ownerReferences", ())
    return any(owner.get("controller") and owner["uid"] == uid for owner in owners)
