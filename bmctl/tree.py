"""The tree of a machine's children: what each is, how it stands, and which one everything else waits for. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bmctl.output import timestamp

Json = dict[str, Any]

KIND_ORDER = ("ServerClaim", "Volume", "VirtualNIC", "VirtualDisk", "PowerState")
"""Kinds of children in the order in which a provisioning needs them."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, as far as the tree shows it."""

    status: str
    reason: str
    message: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Child:
    """One managed resource of the machine."""

    kind: str
    name: str
    role: str
    detail: str
    ready: Condition
    synced: Condition
    deleting: bool

    @property
    def settled(self) -> bool:
        """Whether nothing waits for this child."""
        return self.ready.status == "True" and self.synced.status == "True"

    @property
    def message(self) -> str:
        """Why the child is not settled: a failed reconcile says more than a missing readiness."""
        for condition in (self.synced, self.ready):
            if condition.status != "True":
                return ": ".join(part for part in (condition.reason, condition.message) if part)
        return ""


def condition(obj: Json, type_: str) -> Condition:
    """The object's condition of that type; Unknown where it has none."""
    for entry in obj.get("status", {}).get("conditions", ()):
        if entry["type"] == type_:
            since = timestamp(entry.get("lastTransitionTime"))
            return Condition(entry["status"], entry.get("reason", ""), entry.get("message", ""), since)
    return Condition("Unknown", "", "", None)


def child(obj: Json) -> Child:
    """The child that an object of the API is."""
    metadata = obj["metadata"]
    return Child(
        kind=obj["kind"],
        name=metadata["name"],
        role=metadata.get("annotations", {}).get("crossplane.io/composition-resource-name", ""),
        detail=_detail(obj),
        ready=condition(obj, "Ready"),
        synced=condition(obj, "Synced"),
        deleting="deletionTimestamp" in metadata,
    )


def children(machine_uid: str, objects: Iterable[Json]) -> list[Child]:
    """Those of ``objects`` that the machine controls, in the order in which a provisioning needs them."""
    owned = [
        child(obj)
        for obj in objects
        if any(
            owner.get("controller") and owner["uid"] == machine_uid
            for owner in obj["metadata"].get("ownerReferences", ())
        )
    ]
    return sorted(owned, key=lambda each: (KIND_ORDER.index(each.kind), each.role, each.name))


def blocking(tree: Sequence[Child], *, leaving: bool = False) -> Child | None:
    """The first child that is not settled: in the order of a provisioning, the one the others wait for.

    A machine that goes, goes in the opposite order. A failed reconcile goes before mere waiting, for only a failure
    needs somebody to act.
    """
    order = tree[::-1] if leaving else tree
    failed = next((each for each in order if each.synced.status == "False"), None)
    return failed or next((each for each in order if leaving or not each.settled), None)


def _detail(obj: Json) -> str:
    seen = obj.get("status", {}).get("atProvider", {})
    wanted = obj.get("spec", {}).get("forProvider", {})
    match obj["kind"]:
        case "ServerClaim":
            parts = [("server", seen.get("serverName")), ("DPU", seen.get("dpuName"))]
        case "Volume":
            parts = [("PVC", seen.get("persistentVolumeClaim")), ("PV", seen.get("persistentVolume"))]
        case "VirtualDisk":
            parts = [("slot", wanted.get("slot")), ("serial", seen.get("serial"))]
        case "VirtualNIC":
            reachability = (seen.get("reachability") or {}).get("state")
            addresses = ", ".join(seen.get("addresses", ()))
            parts = [("network", wanted.get("network")), ("address", addresses), ("guest", reachability)]
        case "PowerState":
            request = seen.get("request") or {}
            parts = [("power", seen.get("state")), ("wanted", wanted.get("state")), ("request", request.get("phase"))]
        case _:
            parts = []
    return ", ".join(f"{label} {value}" for label, value in parts if value)
