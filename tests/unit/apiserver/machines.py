"""Machines as the API server would show them to bm-api."""

from datetime import UTC, datetime
from typing import Any

from provider.api import API_VERSION
from provider.api.machine import BareMetalMachine
from provider.api.names import ANNOTATION_RUN
from provider.api.powerstate import PowerState
from provider.apiserver.equipped import Equipped
from provider.apiserver.power import Powered

Json = dict[str, Any]

REQUEST_ID = "9f6c0c1e-0000-4000-8000-000000000001"
NEW_RUN = "9f6c0c1e-0000-4000-8000-000000000002"
NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def machine(*, annotations: Json | None = None, managed: list[Json] | None = None, **spec: Any) -> Json:
    """One with a boot disk, a kept data disk, and one interface."""
    wanted: Json = {
        "runStrategy": "Always",
        "instanceType": "small",
        "disks": [
            {"name": "root", "boot": True, "image": "tiny", "size": "1Gi"},
            {"name": "data", "size": "10Gi"},
        ],
        "networkInterfaces": [{"name": "eth0", "network": "tenant-a"}],
    }
    metadata: Json = {"name": "bm-01", "namespace": "tenant-a", "uid": "1111", "resourceVersion": "7"}
    if annotations:
        metadata["annotations"] = annotations
    if managed:
        metadata["managedFields"] = managed
    return {"apiVersion": API_VERSION, "kind": "BareMetalMachine", "metadata": metadata, "spec": wanted | spec}


def applied(manager: str, *fields: str, operation: str = "Apply") -> Json:
    """A managedFields entry that owns those fields of the spec."""
    owned: Json = {"f:spec": {f"f:{field}": {} for field in fields}}
    return {"manager": manager, "operation": operation, "apiVersion": API_VERSION, "fieldsV1": owned}


def powered(raw: Json, state: str | None = "On", *, request: Json | None = None) -> Powered:
    """The machine with its PowerState as last seen; ``state`` None is a machine without one."""
    power = None if state is None else power_state(state, request=request)
    return Powered(raw, BareMetalMachine.parse(raw), power, REQUEST_ID, NOW)


def power_state(
    state: str | None = "On", *, request: Json | None = None, run: str | None = None, wanted: str | None = None
) -> PowerState:
    """A PowerState as last seen: none of it where ``state`` is None. ``wanted`` is what it should be."""
    seen: Json = {"state": state} if state else {}
    return PowerState.parse(
        {
            "metadata": {
                "name": "bm-01-power",
                "namespace": "tenant-a",
                "uid": "2222",
                "resourceVersion": "5",
                "annotations": {ANNOTATION_RUN: run} if run else {},
            },
            "spec": {
                "forProvider": {"serverClaimRef": {"name": "bm-01-claim"}, **({"state": wanted} if wanted else {})}
            },
            "status": {"atProvider": seen | ({"request": request} if request else {})},
        }
    )


def equipped(raw: Json, power: PowerState | None = None) -> Equipped:
    """The machine with the objects of its devices; it is on unless ``power`` says otherwise."""
    disks = {"root": "bm-01-disk-root", "data": "bm-01-disk-data", "scratch": "bm-01-disk-scratch"}
    return Equipped(raw, disks, {"eth0": "bm-01-nic-eth0"}, power or power_state(), NEW_RUN)
