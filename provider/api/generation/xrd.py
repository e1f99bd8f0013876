"""The machine's CompositeResourceDefinition, and the CRD that Crossplane would derive from it.

The rules of derivation are those of crossplane-runtime 2.3 (``pkg/xcrd``: crd.go, schemas.go), so that the machine's
CRD is the same whichever engine runs: of the XRD's ``spec`` and ``status`` only properties, required, description and
CEL rules survive; Crossplane's own properties are laid over them; its columns follow ours; the category ``composite``
is appended.
"""

from typing import Any

from provider.api import GROUP, VERSION
from provider.api.generation.columns import AGE, MACHINE, READY, SYNCED, column
from provider.api.generation.names import kind_names
from provider.api.generation.structural import structural_schema
from provider.api.registry import KINDS
from provider.api.resources import BAREMETALMACHINE

Json = dict[str, Any]

COMPOSITION_NAME = f"{BAREMETALMACHINE.plural}.{GROUP}"
_COMPOSITE_CATEGORY = "composite"
_MAX_NAME_LENGTH = 63  # the name is also the value of the label crossplane.io/composite


def definition() -> Json:
    """``compositions/definition.yaml``: the XRD of BareMetalMachine."""
    kind = next(kind for kind in KINDS if kind.resource == BAREMETALMACHINE)
    names = kind_names(kind)
    schema = structural_schema(kind.model)
    return {
        "apiVersion": "apiextensions.crossplane.io/v2",
        "kind": "CompositeResourceDefinition",
        "metadata": {"name": f"{BAREMETALMACHINE.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": names | {"categories": [name for name in names["categories"] if name != _COMPOSITE_CATEGORY]},
            "defaultCompositionRef": {"name": COMPOSITION_NAME},
            "defaultCompositionUpdatePolicy": "Automatic",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "referenceable": True,
                    "additionalPrinterColumns": MACHINE,
                    "schema": {
                        "openAPIV3Schema": {
                            "description": schema["description"],
                            "type": "object",
                            "properties": {name: schema["properties"][name] for name in ("spec", "status")},
                        }
                    },
                }
            ],
        },
    }


def derive_crd(xrd: Json) -> Json:
    """The CRD of a namespaced composite, as Crossplane makes it (but for the owner reference to the XRD)."""
    spec = xrd["spec"]
    if spec["scope"] != "Namespaced":
        raise ValueError(f"XRD {xrd['metadata']['name']} has scope {spec['scope']}; only Namespaced is derived here")
    names = spec["names"]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": _metadata(xrd),
        "spec": {
            "group": spec["group"],
            "names": names | {"categories": [*names.get("categories", []), _COMPOSITE_CATEGORY]},
            "scope": "Namespaced",
            "versions": [
                _version(version, spec.get("defaultCompositionUpdatePolicy", "Automatic"))
                for version in spec["versions"]
            ],
        },
    }


def _metadata(xrd: Json) -> Json:
    """Labels of the XRD, overlaid by ``spec.metadata.labels``; annotations from ``spec.metadata`` alone."""
    inherited = xrd["spec"].get("metadata", {})
    labels = xrd["metadata"].get("labels", {}) | inherited.get("labels", {})
    metadata: Json = {"name": xrd["metadata"]["name"]}
    if labels:
        metadata["labels"] = labels
    if "annotations" in inherited:
        metadata["annotations"] = inherited["annotations"]
    return metadata


def _version(version: Json, update_policy: str) -> Json:
    schema = version["schema"]["openAPIV3Schema"]
    top: Json = {"description": schema["description"], "type": "object", "required": ["spec"]}
    if "x-kubernetes-validations" in schema:
        top["x-kubernetes-validations"] = schema["x-kubernetes-validations"]
    top["properties"] = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {
            "type": "object",
            "properties": {"name": {"type": "string", "maxLength": _MAX_NAME_LENGTH}},
        },
        "spec": _overlaid(schema["properties"].get("spec", {}), _spec_properties(update_policy)),
        "status": _overlaid(schema["properties"].get("status", {}), _status_properties()),
    }
    return {
        "name": version["name"],
        "served": version["served"],
        "storage": version["referenceable"],
        "schema": {"openAPIV3Schema": top},
        "additionalPrinterColumns": [*version.get("additionalPrinterColumns", []), *_COLUMNS],
        "subresources": {"status": {}},
    }


_KEPT = ("description", "required", "oneOf", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations")


def _overlaid(ours: Json, crossplanes: Json) -> Json:
    kept = {key: ours[key] for key in _KEPT if key in ours}
    return kept | {"type": "object", "properties": ours.get("properties", {}) | crossplanes}


_COLUMNS = [
    SYNCED,
    READY,
    column("COMPOSITION", ".spec.crossplane.compositionRef.name"),
    column("COMPOSITIONREVISION", ".spec.crossplane.compositionRevisionRef.name", wide=True),
    AGE,
]


def _spec_properties(update_policy: str) -> Json:
    """Crossplane's machinery of a modern composite, under ``spec.crossplane``."""
    by_name = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
    by_labels = {
        "type": "object",
        "required": ["matchLabels"],
        "properties": {"matchLabels": {"type": "object", "additionalProperties": {"type": "string"}}},
    }
    reference = {
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": {name: {"type": "string"} for name in ("apiVersion", "kind", "name")},
    }
    machinery = {
        "compositionRef": by_name,
        "compositionSelector": by_labels,
        "compositionRevisionRef": by_name,
        "compositionRevisionSelector": by_labels,
        "compositionUpdatePolicy": {"type": "string", "enum": ["Automatic", "Manual"], "default": update_policy},
        "resourceRefs": {"type": "array", "items": reference, "x-kubernetes-list-type": "atomic"},
    }
    description = "Configures how Crossplane will reconcile this composite resource"
    return {"crossplane": {"type": "object", "description": description, "properties": machinery}}


def _status_properties() -> Json:
    """Crossplane's conditions, which take the place of any that the XRD defines."""
    strings = {name: {"type": "string"} for name in ("message", "reason", "status", "type")}
    condition = {
        "type": "object",
        "required": ["lastTransitionTime", "reason", "status", "type"],
        "properties": {
            "lastTransitionTime": {"type": "string", "format": "date-time"},
            **strings,
            "observedGeneration": {"type": "integer", "format": "int64"},
        },
    }
    return {
        "conditions": {
            "description": "Conditions of the resource.",
            "type": "array",
            "items": condition,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        }
    }
