"""A machine and objects around it as the API server would send them, for stories about the engine."""

from typing import Any

from provider.api import API_VERSION
from provider.api.names import ANNOTATION_RESOURCE_NAME, child_name

Json = dict[str, Any]

MACHINE_UID = "11111111-2222-3333-4444-555555555555"


def machine(name: str = "bm-01", **metadata: Any) -> Json:
    known = {"name": name, "namespace": "tenant-a", "uid": MACHINE_UID, "generation": 3, "resourceVersion": "1"}
    spec = {"instanceType": "small", "disks": [{"name": "root", "boot": True, "image": "tiny", "size": "1Gi"}]}
    return {"apiVersion": API_VERSION, "kind": "BareMetalMachine", "metadata": known | metadata, "spec": spec}


def manifest(kind: str = "Volume", **parameters: Any) -> Json:
    """A child as a function writes it."""
    return {"apiVersion": API_VERSION, "kind": kind, "spec": {"forProvider": parameters}}


def composed(resource_name: str, kind: str = "Volume", *, owner: str = MACHINE_UID, **metadata: Any) -> Json:
    """A child as the API server has it."""
    reference = {
        "apiVersion": API_VERSION,
        "kind": "BareMetalMachine",
        "name": "bm-01",
        "uid": owner,
        "controller": True,
    }
    known = {
        "name": child_name("bm-01", owner, resource_name),
        "namespace": "tenant-a",
        "uid": f"uid-of-{resource_name}",
        "resourceVersion": "1",
        "annotations": {ANNOTATION_RESOURCE_NAME: resource_name},
        "ownerReferences": [reference],
    }
    return manifest(kind) | {"metadata": known | metadata}
