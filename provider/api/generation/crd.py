"""CustomResourceDefinitions (``apiextensions.k8s.io/v1``) of all kinds."""

from typing import Any

from provider.api.generation.columns import COLUMNS
from provider.api.generation.names import kind_names
from provider.api.generation.structural import structural_schema
from provider.api.generation.xrd import definition, derive_crd
from provider.api.registry import KINDS, ApiKind
from provider.api.resources import BAREMETALMACHINE

Json = dict[str, Any]


def crds() -> list[Json]:
    """Every CRD, ready to be applied; that of the machine is derived from its XRD."""
    return [derive_crd(definition()) if kind.resource == BAREMETALMACHINE else crd(kind) for kind in KINDS]


def crd(kind: ApiKind) -> Json:
    """The CRD of a kind that is no composite."""
    resource = kind.resource
    version: Json = {
        "name": resource.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _object_schema(kind)},
        "additionalPrinterColumns": COLUMNS[resource.kind],
    }
    if kind.has_status:
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{resource.group}"},
        "spec": {
            "group": resource.group,
            "names": kind_names(kind),
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "versions": [version],
        },
    }


def _object_schema(kind: ApiKind) -> Json:
    schema = structural_schema(kind.model)
    status = schema["properties"].get("status")
    if status is not None and "observedGeneration" in status["properties"]:
        # Born with -1, an object that no controller has seen yet does not look settled to Argo CD and its like.
        status["default"] = {"observedGeneration": -1}
        if "atProvider" in status["properties"]:
            # Server-side apply makes null of a map that loses all that it had, which is refused without a default.
            status["properties"]["atProvider"]["default"] = {}
    schema["properties"] = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, **schema["properties"]}
    schema["required"] = ["spec"]
    return schema
