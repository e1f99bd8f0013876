"""Machines and their children as an engine would show them to the function."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from provider.api import API_VERSION
from provider.api.instancetype import InstanceType
from provider.api.machine import BareMetalMachine
from provider.api.machineimage import MachineImage
from provider.function.children import compose
from provider.function.ephemeral import with_ephemeral
from provider.function.observed import Observed, parse_child

Json = dict[str, Any]

MACHINE_UID = "11111111-2222-3333-4444-555555555555"
DIGEST, OTHER_DIGEST = "a" * 64, "b" * 64
MADE_AT = "2026-01-01T10:00:00Z"
ROOT: Json = {"name": "root", "boot": True, "image": "tiny", "size": "1Gi"}
DATA: Json = {"name": "data", "size": "10Gi"}
ETH0: Json = {"name": "eth0", "network": "tenant-a"}

_SEEN: Mapping[str, Json] = {
    "claim": {"serverName": "server-1", "dpuName": "dpu-1"},
    "nic": {"addresses": ["10.20.0.11/24"], "reachability": {"state": "Reachable", "since": "2026-01-01T10:00:09Z"}},
    "power": {"serverName": "server-1", "state": "On"},
}


def machine(
    *, disks: Iterable[Json] = (ROOT,), nics: Iterable[Json] = (ETH0,), status: Json | None = None, **spec: Any
) -> Json:
    """A machine of instance type ``small`` with one disk and one NIC."""
    wanted = {"instanceType": "small", "disks": list(disks), "networkInterfaces": list(nics)} | spec
    made: Json = {
        "apiVersion": API_VERSION,
        "kind": "BareMetalMachine",
        "metadata": {"name": "bm-01", "namespace": "tenant-a", "uid": MACHINE_UID, "generation": 1},
        "spec": wanted,
    }
    return made if status is None else made | {"status": status}


def image(name: str = "tiny", sha256: str = DIGEST) -> Json:
    spec = {"sha256": sha256, "sizeBytes": 1 << 20, "allowedNamespaces": ["*"]}
    return {"apiVersion": API_VERSION, "kind": "MachineImage", "metadata": {"name": name}, "spec": spec}


def instance_type(name: str = "small", cpus: int = 2) -> Json:
    spec = {"cpus": cpus, "memory": "4Gi"}
    return {"apiVersion": API_VERSION, "kind": "InstanceType", "metadata": {"name": name}, "spec": spec}


def observe(
    raw: Json,
    children: Mapping[str, Json] | None = None,
    *,
    images: Iterable[Json] = (image(),),
    types: Iterable[Json] = (instance_type(),),
) -> Observed:
    """What the function is told."""
    parsed = {name: parse_child(child) for name, child in (children or {}).items()}
    seen = Observed(
        machine=BareMetalMachine.parse(raw),
        children={name: child for name, child in parsed.items() if child is not None},
        images={each["metadata"]["name"]: MachineImage.parse(each) for each in images},
        instance_types={each["metadata"]["name"]: InstanceType.parse(each) for each in types},
    )
    return with_ephemeral(seen)


def grown(raw: Json) -> dict[str, Json]:
    """All children of the machine, each seen ready: the power is on and the machine answers."""
    return {name: _born(name, manifest) for name, manifest in compose(observe(raw)).items()}


def condition(type_: str, status: str, reason: str, message: str = "", *, generation: int = 1) -> Json:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": MADE_AT,
        "observedGeneration": generation,
    }


READY = condition("Ready", "True", "Available")
SYNCED = condition("Synced", "True", "ReconcileSuccess")


def unready(child: Json, reason: str, message: str = "", *, status: str = "False", synced: bool = True) -> None:
    """Change what is seen of a child: not ready, and why."""
    ended = SYNCED if synced else condition("Synced", "False", "ReconcileError", message)
    child["status"]["conditions"] = [condition("Ready", status, reason, message), ended]


def _born(name: str, manifest: Json) -> Json:
    metadata = {"name": f"bm-01-{name}", "namespace": "tenant-a", "uid": f"uid-of-{name}", "generation": 1}
    seen = _SEEN.get(name.split("-")[0], {})
    status = {"observedGeneration": 1, "atProvider": deepcopy(seen), "conditions": [READY, SYNCED]}
    return manifest | {"metadata": manifest["metadata"] | metadata, "status": status}
