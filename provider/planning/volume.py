"""A Volume's PVC: made once, grown, watched, and deleted only when no disk uses it.

``provider.csi`` provisions and resizes behind the PVC. A PVC that was bound and is gone is not made again: the new one
would be blank, or as the image was, and look as if nothing had happened.
"""

from dataclasses import dataclass
from typing import Any

from provider.api.names import (
    ANNOTATION_EXTERNAL_NAME,
    ANNOTATION_IMAGE_DIGEST,
    FINALIZER_CSI,
    FINALIZER_IN_USE,
    LABEL_MACHINE_UID,
    persistent_volume_claim,
)
from provider.api.quantity import parse_bytes
from provider.api.reasons import Reason
from provider.api.resources import MACHINEIMAGE, PERSISTENTVOLUMECLAIM
from provider.api.volume import Volume, VolumeObservation
from provider.planning.action import Action, CreateObject, Json, PatchObject, delete, finalizers
from provider.planning.verdict import AVAILABLE, Plan, Verdict, refused, waiting

VolumePlan = Plan[VolumeObservation]


@dataclass(frozen=True, slots=True)
class Failure:
    """What the provisioner said when it could not do what the PVC asks for."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class World:
    """``storage_class`` and ``digest`` are resolved; ``users`` are the VirtualDisks that refer to the volume.

    ``storage_class_exists``: without its StorageClass nobody provisions a PVC. ``rivals``: UIDs of the machines of
    other Volumes that have the same PVC and stay.
    """

    volume: Volume
    claim: Json | None = None
    persistent_volume: Json | None = None
    attachment: Json | None = None
    storage_class: str | None = None
    storage_class_exists: bool = True
    digest: str | None = None
    users: tuple[str, ...] = ()
    rivals: frozenset[str] = frozenset()
    failure: Failure | None = None


def claim_name(volume: Volume) -> str:
    """Name of the PVC: the external-name, which a user may set to adopt one of the same namespace."""
    return volume.metadata.annotations.get(ANNOTATION_EXTERNAL_NAME) or persistent_volume_claim(volume.metadata.uid)


def plan(world: World) -> VolumePlan:
    """Create, grow, report, or delete."""
    seen = _seen(world)
    if world.volume.metadata.deleting:
        return _plan_delete(world, seen)
    if world.claim is None:
        return _plan_create(world, seen)
    actions = _repairs(world, world.claim)
    return Plan(ready=_readiness(world, world.claim, seen), seen=seen, actions=actions)


def _plan_create(world: World, seen: VolumeObservation) -> VolumePlan:
    before = world.volume.status.at_provider
    name = claim_name(world.volume)
    if before.persistent_volume is not None:
        message = (
            f"PersistentVolumeClaim {name} was bound to {before.persistent_volume} and is gone: bind a new one of that "
            "name to what is left of the data, or delete this Volume"
        )
        return refused(Reason.RECONCILE_ERROR, message, before)
    if world.storage_class is None:
        config = world.volume.spec.provider_config_ref.name
        message = f"no storage class: name one in storageClassName, or make ClusterProviderConfig {config}"
        return refused(Reason.RECONCILE_ERROR, message, seen)
    parameters = world.volume.spec.for_provider
    if parameters.image is not None and world.digest is None:
        return Plan(ready=waiting(Reason.IMAGE_NOT_FOUND, f"MachineImage {parameters.image} does not exist"), seen=seen)
    create = CreateObject(PERSISTENTVOLUMECLAIM, _body(world, name), f"made PersistentVolumeClaim {name}")
    return Plan(ready=waiting(Reason.CREATING, f"making PersistentVolumeClaim {name}"), seen=seen, actions=(create,))


def _body(world: World, name: str) -> Json:
    parameters, metadata = world.volume.spec.for_provider, world.volume.metadata
    body: Json = {
        # The provisioner's finalizer from the start: put on later, it would race with kube-controller-manager's writes.
        "metadata": {
            "name": name,
            "namespace": metadata.namespace,
            "labels": _labels(world.volume),
            "finalizers": [FINALIZER_CSI],
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "volumeMode": "Block",
            "storageClassName": world.storage_class,
            "resources": {"requests": {"storage": parameters.size}},
        },
    }
    if parameters.image is not None:
        body["metadata"]["annotations"] = {ANNOTATION_IMAGE_DIGEST: world.digest}
        body["spec"]["dataSourceRef"] = {
            "apiGroup": MACHINEIMAGE.group,
            "kind": MACHINEIMAGE.kind,
            "name": parameters.image,
        }
    return body


def _labels(volume: Volume) -> dict[str, str]:
    uid = volume.metadata.controller_uid
    return {} if uid is None else {LABEL_MACHINE_UID: uid}


def _repairs(world: World, claim: Json) -> tuple[Action, ...]:
    """One patch for all that may change on a PVC: its label (adopted from another machine) and its size (grown).

    The label of a machine whose Volume still has the PVC is left alone: two Volumes would write theirs in turns.
    """
    volume, body = world.volume, dict[str, Any]()
    labels, present = _labels(volume), claim["metadata"].get("labels", {})
    if not labels.items() <= present.items() and present.get(LABEL_MACHINE_UID) not in world.rivals:
        body["metadata"] = {"labels": labels}
    size = volume.spec.for_provider.size
    # Kubernetes refuses to resize a PVC that is not bound.
    grow = claim.get("status", {}).get("phase") == "Bound" and parse_bytes(size) > _requested_bytes(claim)
    if grow:
        body["spec"] = {"resources": {"requests": {"storage": size}}}
    if not body:
        return ()
    metadata = claim["metadata"]
    note = f"asked PersistentVolumeClaim {metadata['name']} to grow to {size}" if grow else ""
    return (
        PatchObject(
            PERSISTENTVOLUMECLAIM, metadata["namespace"], metadata["name"], metadata["resourceVersion"], body, note
        ),
    )


def _readiness(world: World, claim: Json, seen: VolumeObservation) -> Verdict:
    name = claim["metadata"]["name"]
    if claim["metadata"].get("deletionTimestamp"):
        return waiting(Reason.UNAVAILABLE, f"PersistentVolumeClaim {name} is being deleted; its disk still holds it")
    if seen.phase == "Lost":
        return waiting(Reason.UNAVAILABLE, f"PersistentVolumeClaim {name} lost its PersistentVolume")
    if seen.phase != "Bound" or world.persistent_volume is None:
        if world.failure is not None:
            return waiting(world.failure.reason, world.failure.message)
        if not world.storage_class_exists:
            message = f"there is no StorageClass {world.storage_class}: make it, or make the volume anew with another"
            return waiting(Reason.STORAGE_CLASS_NOT_FOUND, message)
        return waiting(Reason.CREATING, f"PersistentVolumeClaim {name} is not bound yet")
    wanted = parse_bytes(world.volume.spec.for_provider.size)
    if (seen.size_bytes or 0) < wanted:
        if world.failure is not None:
            return waiting(world.failure.reason, world.failure.message)
        size = world.volume.spec.for_provider.size
        return waiting(Reason.UNAVAILABLE, f"PersistentVolumeClaim {name} is growing to {size}")
    return AVAILABLE


def _plan_delete(world: World, seen: VolumeObservation) -> VolumePlan:
    if world.claim is None:
        # Nothing is left that a disk could use; one that was made anew meanwhile waits for a new Volume of this name.
        return Plan(ready=waiting(Reason.DELETING), seen=seen, gone=True)
    if world.users:
        message = "waiting until these disks are gone: " + ", ".join(world.users)
        return Plan(ready=waiting(Reason.WAITING_FOR_DISKS, message), seen=seen)
    if world.attachment is not None:
        name = world.attachment["metadata"]["name"]
        return Plan(
            ready=waiting(Reason.WAITING_FOR_DISKS, f"waiting until VolumeAttachment {name} is gone"), seen=seen
        )
    name = world.claim["metadata"]["name"]
    unprotect = finalizers(PERSISTENTVOLUMECLAIM, world.claim, remove=FINALIZER_IN_USE, policy="Delete")
    remove = delete(PERSISTENTVOLUMECLAIM, world.claim, f"asked PersistentVolumeClaim {name} to go")
    # Deleted first: the version that the finalizer is taken off is then no longer the observed one, so one at a time.
    action: Action | None = remove or unprotect
    message = f"waiting until PersistentVolumeClaim {name} is gone"
    return Plan(ready=waiting(Reason.DELETING, message), seen=seen, actions=(action,) if action else ())


def _seen(world: World) -> VolumeObservation:
    if world.claim is None:
        return VolumeObservation()
    status = world.claim.get("status", {})
    volume = world.persistent_volume
    csi = volume["spec"].get("csi", {}) if volume else {}
    capacity = status.get("capacity", {}).get("storage")
    return VolumeObservation(
        persistent_volume_claim=world.claim["metadata"]["name"],
        phase=status.get("phase"),
        persistent_volume=volume["metadata"]["name"] if volume else None,
        driver=csi.get("driver"),
        volume_handle=csi.get("volumeHandle"),
        size_bytes=parse_bytes(capacity) if capacity else None,
    )


def _requested_bytes(claim: Json) -> int:
    return parse_bytes(claim["spec"]["resources"]["requests"]["storage"])
