"""Machines as the API server would show them to bm-api."""

from datetime import UTC, datetime
from typing import Any

from provider.api import API_VERSION
from provider.api.machine import BareMetalMachine
from provider.api.powerstate import PowerState
from provider.apiserver.devices import Equipped
from provider.apiserver.power import Powered

Json = dict[str, Any]

REQUEST_ID = "9f6c0c1e-0000-4000-8000-000000000001"
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
    power = None
    if state is not None:
        seen: Json = {"state": state, **({"request": request} if request else {})}
        power = PowerState.parse(
            {
                "metadata": {"name": "bm-01-power", "namespace": "tenant-a"},
                "spec": {"forProvider": {"serverClaimRef": {"name": "bm-01-claim"}}},
                "status": {"atProvider": seen},
            }
        )
    return Powered(raw, BareMetalMachine.parse(raw), power, REQUEST_ID, NOW)


def equipped(raw: Json) -> Equipped:
    """The machine with the objects of its devices."""
    return Equipped(raw, {"root": "bm-01-disk-root", "data": "bm-01-disk-data"}, {"eth0": "bm-01-nic-eth0"})
