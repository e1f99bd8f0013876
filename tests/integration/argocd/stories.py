"""Objects at telling moments, and the health that Argo CD is to see in each.

They are as our engine, controllers and agents write them: the golden renders of ``compositions/rendered``, and statuses
made by the code that makes them in a cluster.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import yaml

from provider.api import API_VERSION
from provider.api.conditions import Condition
from provider.api.generation.structural import structural_schema
from provider.api.names import ANNOTATION_PAUSED
from provider.api.powerstate import PowerStateObservation
from provider.api.reasons import Reason
from provider.api.registry import KINDS, ApiKind
from provider.api.resources import (
    EMULATEDDISK,
    EMULATEDNIC,
    POWERSTATE,
    SERVERCLAIM,
    VIRTUALDISK,
    VIRTUALNIC,
    VOLUME,
    ResourceType,
)
from provider.composition import status as engine
from provider.composition.render import STORIES as RENDERED
from provider.controllers.status import ManagedResource, Report, render
from provider.planning.verdict import AVAILABLE, IN_SYNC, Verdict, waiting

Json = dict[str, Any]
Health = Literal["Healthy", "Suspended", "Progressing", "Degraded", "Unknown"]

NOW = datetime(2026, 1, 1, 10, 2, tzinfo=UTC)
_MODELS: Mapping[ResourceType, Any] = {kind.resource: kind.model for kind in KINDS}
_NOBODY_ANSWERS = "the BMC at 192.0.2.1 does not answer"
_LOST = "the agent of DPU dpu-1 has not been heard of since 10:00"

_RENDERED_HEALTH: Mapping[str, tuple[Health, str]] = {
    "one-disk": ("Progressing", "claim is being made"),
    "volume-being-cloned": ("Progressing", "Volume volume-root: PersistentVolumeClaim"),
    "started-and-silent": ("Progressing", "has not answered yet"),
    "running": ("Healthy", ""),
    "disk-grown": ("Progressing", "Volume volume-root is being changed"),
    "ephemeral-devices-unreadable": ("Healthy", ""),
    "paused-child": ("Healthy", ""),
    "halted": ("Suspended", "Powered off"),
    "manual-and-off": ("Suspended", "Powered off"),
    "agent-lost": ("Unknown", "the agent of DPU dpu-1 has not renewed its Lease"),
    "image-deleted-while-running": ("Healthy", ""),
    "image-missing": ("Degraded", "there is no MachineImage tomorrow"),
    "disk-added-without-its-image": ("Degraded", "there is no MachineImage tomorrow"),
    "failing-child": ("Degraded", "Volume volume-root: driver lvol.csi.metalplane.io"),
    "no-fitting-server": ("Degraded", "none of 3 servers fits"),
    "deleting": ("Progressing", "Pending deletion"),
}


@dataclass(frozen=True, slots=True)
class Story:
    """``says``: a part of the message that is shown beside the health."""

    name: str
    obj: Json
    health: Health
    says: str = ""


def stories() -> Sequence[Story]:
    """All of them."""
    return [*_machines(), *_managed_resources(), *_powers(), *_devices(), *_records()]


def _machines() -> Iterator[Story]:
    for story, (health, says) in _RENDERED_HEALTH.items():
        yield Story(f"the rendered machine {story}", _rendered(story), health, says)
    running = _rendered("running")
    yield Story("a machine that nobody has looked at", _without_status(running), "Progressing", "Not looked at yet")
    yield Story("a machine that was changed just now", _changed(running), "Progressing", "Not looked at yet")
    yield Story("a machine that is paused", _paused(_told(running, engine.paused(running, NOW))), "Suspended", "Paused")
    yield Story("a machine that is paused from the start", _paused(_without_status(running)), "Suspended", "Paused")
    resumed = _told(running, engine.paused(running, NOW))
    yield Story("a machine that is paused no more", resumed, "Progressing", "No longer paused")
    refused = _told(running, engine.failed(running, "exceeded quota: pvcs", NOW))
    yield Story("a machine whose child is refused", refused, "Degraded", "exceeded quota: pvcs")
    mended = _changed(refused)
    yield Story("a machine whose child was refused before it was changed", mended, "Progressing", "Not looked at yet")


def _managed_resources() -> Iterator[Story]:
    for resource in (SERVERCLAIM, VOLUME, VIRTUALDISK, VIRTUALNIC, POWERSTATE):
        kind, child = resource.kind, _child(resource)
        yield Story(f"a {kind} that is as wanted", child, "Healthy")
        yield Story(f"a {kind} as the API server made it", _defaulted(child), "Progressing", "Not looked at yet")
    volume, disk = _child(VOLUME), _child(VIRTUALDISK)
    yield Story("a volume that grows", _changed(volume), "Progressing", "Not looked at yet")
    unbound = Report(IN_SYNC, waiting(Reason.CREATING, "PersistentVolumeClaim vol-1 is not bound yet"))
    yield Story("a volume that is being made", _reported(VOLUME, volume, unbound), "Progressing", "is not bound yet")
    broken = Verdict("False", Reason.PROVISIONING_FAILED, "pool is full")
    yield Story("a volume that cannot be made", _reported(VOLUME, volume, Report(broken, broken)), "Degraded", "full")
    pause = Verdict("False", Reason.RECONCILE_PAUSED, "reconciliation is paused")
    yield Story("a disk that is paused", _paused(_reported(VIRTUALDISK, disk, Report(pause))), "Suspended", "Paused")
    lost = Report(IN_SYNC, Verdict("Unknown", Reason.AGENT_LOST, _LOST))
    yield Story("a disk whose DPU's agent is lost", _reported(VIRTUALDISK, disk, lost), "Unknown", _LOST)
    going = Report(IN_SYNC, waiting(Reason.WAITING_FOR_POWER_OFF, "waiting for the power to be off"))
    yield Story("a disk that goes", _deleted(_reported(VIRTUALDISK, disk, going)), "Progressing", "Pending deletion")


def _powers() -> Iterator[Story]:
    power = _child(POWERSTATE)
    off = Report(IN_SYNC, AVAILABLE, PowerStateObservation(server_name="server-1", state="Off"))
    yield Story("a power that is off as wanted", _reported(POWERSTATE, power, off), "Suspended", "Powered off")
    rising = Report(IN_SYNC, waiting(Reason.POWERING_ON, "the BMC was asked"), off.seen)
    yield Story("a power that is off and not to stay so", _reported(POWERSTATE, power, rising), "Progressing", "asked")
    fault = Report(
        Verdict("False", Reason.RECONCILE_ERROR, _NOBODY_ANSWERS),
        waiting(Reason.BMC_UNREACHABLE, _NOBODY_ANSWERS),
        PowerStateObservation(server_name="server-1", state="Unknown"),
    )
    yield Story("a power that cannot be read", _reported(POWERSTATE, power, fault), "Degraded", _NOBODY_ANSWERS)


def _devices() -> Iterator[Story]:
    for resource in (EMULATEDDISK, EMULATEDNIC):
        kind, device = resource.kind, _device(resource)
        yield Story(f"a {kind} as the API server made it", _defaulted(device), "Progressing", "Not looked at yet")
        yield Story(f"a {kind} that the server sees", _seen(device, "True", Reason.AVAILABLE), "Healthy")
        unplugged = _seen(device, "False", Reason.CREATING, "waiting for the slot")
        yield Story(f"a {kind} that is not plugged yet", unplugged, "Progressing", "waiting for the slot")
        deaf = _seen(device, "Unknown", Reason.UNAVAILABLE, "SPDK does not answer")
        yield Story(f"a {kind} on a DPU that does not answer", deaf, "Unknown", "SPDK does not answer")


def is_record(kind: ApiKind) -> bool:
    """Whether it has no conditions: that it is there is all that can be told of its health."""
    return "conditions" not in structural_schema(kind.model)["properties"].get("status", {}).get("properties", {})


def _records() -> Iterator[Story]:
    for kind in KINDS:
        if is_record(kind):
            record = {"apiVersion": API_VERSION, "kind": kind.resource.kind, "metadata": {"name": "one"}, "spec": {}}
            yield Story(f"a {kind.resource.kind} of the inventory", record, "Healthy")
            yield Story(f"a {kind.resource.kind} that goes", _deleted(record), "Progressing", "Pending deletion")


def _rendered(story: str) -> Json:
    """A machine of the golden renders, with the status that the engine gives it."""
    machine: Json = yaml.safe_load((RENDERED / story / "xr.yaml").read_text())
    written: Json = next(yaml.safe_load_all((RENDERED / story / "output.yaml").read_text()))
    return machine | {"status": written["status"]}


def _child(resource: ResourceType) -> Json:
    """A child of the golden renders' running machine."""
    children = yaml.safe_load_all((RENDERED / "image-deleted-while-running" / "observed.yaml").read_text())
    return next(dict(child) for child in children if child["kind"] == resource.kind)


def _device(resource: ResourceType) -> Json:
    metadata = {"name": "disk-1", "namespace": "metalplane-dpu-dpu-1", "generation": 1}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": {}}


def _reported(resource: ResourceType, obj: Json, report: Report) -> Json:
    """The object after its controller has said this."""
    parsed: ManagedResource = _MODELS[resource].model_validate(obj)
    return obj | {"status": render(resource, obj, parsed, report, NOW)["status"]}


def _seen(device: Json, answer: Literal["True", "False", "Unknown"], reason: Reason, message: str = "") -> Json:
    """The device after its agent has said this."""
    ready = Condition(
        type="Ready", status=answer, reason=reason, message=message, last_transition_time=NOW, observed_generation=1
    )
    return device | {"status": {"observedGeneration": 1, "conditions": [ready.to_json()]}}


def _told(machine: Json, said: Condition) -> Json:
    """The machine after the engine has said this, and nothing else anew."""
    return machine | {"status": engine.compose(machine, machine["status"], [said])}


def _without_status(obj: Json) -> Json:
    return {key: value for key, value in obj.items() if key != "status"}


def _defaulted(obj: Json) -> Json:
    return obj | {"status": {"observedGeneration": -1}}


def _changed(obj: Json) -> Json:
    """The object after somebody changed its spec."""
    changed = copy.deepcopy(obj)
    changed["metadata"]["generation"] += 1
    return changed


def _paused(obj: Json) -> Json:
    paused = copy.deepcopy(obj)
    paused["metadata"].setdefault("annotations", {})[ANNOTATION_PAUSED] = "true"
    return paused


def _deleted(obj: Json) -> Json:
    deleted = copy.deepcopy(obj)
    deleted["metadata"]["deletionTimestamp"] = "2026-01-01T10:02:00Z"
    return deleted
