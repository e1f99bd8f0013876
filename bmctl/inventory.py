"""Servers as an operator sees them: who holds each, its power, whether its DPU's agent lives. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bmctl.output import age, timestamp
from provider.api.names import AGENT_LEASE, ANNOTATION_AGENT_VERSION, dpu_namespace

Json = dict[str, Any]

HEADER = ("NAME", "HELD-BY", "POWER", "HEALTH", "SCHEDULABLE", "CPUS", "MEMORY", "AGE")
WIDE_HEADER = ("DPU", "AGENT", "BMC", "SLOTS", "NAMESPACES")


@dataclass(frozen=True, slots=True)
class Around:
    """What else is looked at, by the server's name or the DPU's; None is what this user may not see."""

    machines: Mapping[str, str] | None
    power: Mapping[str, Json] | None
    leases: Mapping[str, Json] | None


def around(claims: Sequence[Json] | None, powers: Sequence[Json] | None, leases: Sequence[Json] | None) -> Around:
    """The same, from objects."""
    return Around(
        machines=None if claims is None else dict(_holders(claims)),
        power=None if powers is None else {_seen(power).get("serverName", ""): power for power in powers},
        leases=None
        if leases is None
        else {lease["metadata"]["namespace"]: lease for lease in leases if lease["metadata"]["name"] == AGENT_LEASE},
    )


def _holders(claims: Iterable[Json]) -> Iterable[tuple[str, str]]:
    for claim in claims:
        metadata = claim["metadata"]
        owner = next((each for each in metadata.get("ownerReferences", ()) if each.get("controller")), None)
        yield metadata["uid"], f"{metadata['namespace']}/{owner['name'] if owner else metadata['name']}"


def row(server: Json, seen: Around, *, wide: bool, now: datetime | None = None) -> list[str]:
    """One server's cells."""
    metadata, spec = server["metadata"], server["spec"]
    capacity = spec.get("capacity", {})
    cells = [
        metadata["name"],
        holder(server, seen),
        _power(server, seen),
        health(server, seen, now=now),
        "no" if spec.get("unschedulable") else "yes",
        str(capacity.get("cpus", "")),
        str(capacity.get("memory", "")),
        age(timestamp(metadata.get("creationTimestamp")), now),
    ]
    if wide:
        lease = (seen.leases or {}).get(dpu_namespace(spec["dpu"]["name"]), {})
        bmc = spec["bmc"]
        cells += [
            spec["dpu"]["name"],
            lease.get("metadata", {}).get("annotations", {}).get(ANNOTATION_AGENT_VERSION, ""),
            f"{bmc.get('protocol', 'ipmi')}://{bmc['address']}:{bmc.get('port', 623)}",
            str(spec.get("slots", "")),
            ",".join(spec.get("allowedNamespaces", ())),
        ]
    return cells


def holder(server: Json, seen: Around) -> str:
    """The machine that holds the server; the claim, where who is behind it cannot be seen."""
    claim = server["spec"].get("claimRef")
    if not claim:
        return ""
    name = f"{claim.get('namespace', '')}/{claim['name']}"
    return name if seen.machines is None else seen.machines.get(claim.get("uid", ""), f"{name} (gone)")


def _power(server: Json, seen: Around) -> str:
    if seen.power is None:
        return "<hidden>"
    power = seen.power.get(server["metadata"]["name"])
    return "" if power is None else _seen(power).get("state") or "Unknown"


def health(server: Json, seen: Around, *, now: datetime | None = None) -> str:
    """OK, or the first thing that is wrong: no agent, a silent one, a BMC that does not answer."""
    power = (seen.power or {}).get(server["metadata"]["name"])
    if seen.leases is not None:
        lease = seen.leases.get(dpu_namespace(server["spec"]["dpu"]["name"]))
        if lease is None:
            return "NoAgent"
        if not _fresh(lease, now or datetime.now(UTC)):
            return "AgentLost"
    for entry in (power or {}).get("status", {}).get("conditions", ()):
        if entry["type"] == "Synced" and entry["status"] == "False":
            return str(entry.get("reason") or "Failing")
        if entry["type"] == "Ready" and str(entry.get("reason", "")).startswith("BMC"):
            return str(entry["reason"])
    return "<hidden>" if seen.leases is None else "OK"


def _fresh(lease: Json, now: datetime) -> bool:
    renewed = timestamp(lease["spec"].get("renewTime"))
    return renewed is not None and now - renewed <= timedelta(seconds=lease["spec"].get("leaseDurationSeconds", 0))


def _seen(obj: Json) -> Json:
    return obj.get("status", {}).get("atProvider") or {}
