"""Plays what has no process in these tests: the storage behind PVCs, and the agent on a rack's DPU.

Each step does what its part would do about the objects that are there now; tests repeat it until what they want is so.
"""

from typing import Any

from provider.api.conditions import READY, REMOVED
from provider.api.names import AGENT_LEASE
from provider.api.resources import (
    EMULATEDDISK,
    EMULATEDNIC,
    LEASE,
    PERSISTENTVOLUME,
    PERSISTENTVOLUMECLAIM,
    VOLUMEATTACHMENT,
    ResourceType,
)
from provider.runtime.lease import micro_time
from sandbox import inventory
from tests.integration.installation import condition
from tests.integration.rack import Rack
from tests.integration.rest import Rest

Json = dict[str, Any]

_LONG_AGO = "2026-01-01T00:00:00Z"


def provide_storage(rest: Rest, namespace: str) -> None:
    """Have a volume for each PVC, and attach what is to be attached."""
    for claim in rest.all_of(PERSISTENTVOLUMECLAIM, namespace):
        name = f"pv-{claim['metadata']['uid']}"
        if rest.ask("GET", PERSISTENTVOLUME.path(None, name)).refusal:
            rest.create(PERSISTENTVOLUME, _volume(name, claim))
    for attachment in rest.all_of(VOLUMEATTACHMENT):
        if attachment["spec"]["attacher"] == inventory.CSI_DRIVER and not attachment["status"]["attached"]:
            done = {"attached": True, "attachmentMetadata": {"protocol": "bdev", "uuid": attachment["metadata"]["uid"]}}
            rest.patch(VOLUMEATTACHMENT, attachment, {"status": done}, subresource="status")


def _volume(name: str, claim: Json) -> Json:
    metadata, wanted = claim["metadata"], claim["spec"]
    spec = {
        "capacity": wanted["resources"]["requests"],
        "accessModes": wanted["accessModes"],
        "volumeMode": wanted["volumeMode"],
        "storageClassName": wanted["storageClassName"],
        "persistentVolumeReclaimPolicy": "Retain",
        "claimRef": {"namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]},
        "csi": {"driver": inventory.CSI_DRIVER, "volumeHandle": metadata["uid"]},
    }
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}


class Agent:
    """The agent of one DPU, by the DPU's own certificate."""

    def __init__(self, rack: Rack) -> None:
        self._rest, self._namespace = rack.agent, rack.namespace
        self.answers = True

    def beat(self, duration_s: int) -> None:
        """Say "alive", to be believed for that long."""
        spec = {"holderIdentity": "agent", "leaseDurationSeconds": duration_s, "renewTime": micro_time()}
        metadata = {"name": AGENT_LEASE, "namespace": self._namespace}
        lease = {"apiVersion": LEASE.api_version, "kind": "Lease", "metadata": metadata, "spec": spec}
        self._rest.apply(LEASE, lease, field_manager="agent")

    def step(self) -> None:
        """Report every device as realised, and as undone if it is to go."""
        for resource in (EMULATEDDISK, EMULATEDNIC):
            for device in self._rest.all_of(resource, self._namespace):
                self._report(resource, device)

    def _report(self, resource: ResourceType, device: Json) -> None:
        type_ = REMOVED if "deletionTimestamp" in device["metadata"] else READY
        status: Json = {"observedGeneration": device["metadata"]["generation"], "conditions": [_true(type_)]}
        if resource == EMULATEDNIC:
            state = "Reachable" if self.answers else "Unreachable"
            status["reachability"] = {"state": state, "since": _LONG_AGO}
        told = device["status"]
        if condition(device, type_) and told.get("reachability") == status.get("reachability"):
            return
        self._rest.patch(resource, device, {"status": status}, subresource="status")


def _true(type_: str) -> Json:
    return {"type": type_, "status": "True", "reason": type_, "lastTransitionTime": _LONG_AGO}
