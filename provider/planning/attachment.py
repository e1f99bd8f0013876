"""The VolumeAttachment of a disk's volume: creating it is the exclusive claim on the volume.

Its name has no node in it, so a second one cannot exist; ``provider.csi`` attaches and detaches behind it.
"""

from dataclasses import dataclass

from provider.api.names import ANNOTATION_VIRTUAL_DISK, FINALIZER_IN_USE, LABEL_MACHINE_UID, volume_attachment
from provider.api.reasons import Reason
from provider.api.resources import PERSISTENTVOLUMECLAIM, VOLUMEATTACHMENT
from provider.planning.action import Action, CreateObject, Json, delete, finalizers
from provider.planning.tenancy import Hold
from provider.planning.verdict import Verdict, waiting


@dataclass(frozen=True, slots=True)
class Storage:
    """A disk's PVC, the PV bound to it, and the VolumeAttachment of that PV, as the API has them."""

    claim: Json | None = None
    persistent_volume: Json | None = None
    attachment: Json | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """The volume is attached to the DPU: all that the DPU needs to stage it."""

    persistent_volume: Json
    publish_context: dict[str, str]


@dataclass(frozen=True, slots=True)
class NotYet:
    """What to do about it, and what to say meanwhile."""

    ready: Verdict
    actions: tuple[Action, ...] = ()


def hold_volume(storage: Storage, hold: Hold, disk_uid: str) -> Held | NotYet:
    """Protect the PVC, claim the volume, wait until it is attached."""
    claim, volume = storage.claim, storage.persistent_volume
    if claim is None or volume is None or not _bound(claim, volume):
        return NotYet(waiting(Reason.WAITING_FOR_VOLUME, "waiting until the volume is bound"))
    name = claim["metadata"]["name"]
    if claim["metadata"].get("deletionTimestamp") and storage.attachment is None:
        return NotYet(waiting(Reason.WAITING_FOR_VOLUME, f"PersistentVolumeClaim {name} is being deleted"))
    if not claim["metadata"].get("deletionTimestamp"):
        protect = finalizers(PERSISTENTVOLUMECLAIM, claim, add=FINALIZER_IN_USE, policy="Create")
        if protect is not None:
            return NotYet(waiting(Reason.CREATING, f"protecting PersistentVolumeClaim {name}"), (protect,))
    if storage.attachment is None:
        return NotYet(waiting(Reason.CREATING, "attaching the volume"), (_attach(volume, hold, disk_uid),))
    return _judge(storage.attachment, volume, hold, disk_uid)


def _judge(attachment: Json, volume: Json, hold: Hold, disk_uid: str) -> Held | NotYet:
    name = attachment["metadata"]["name"]
    if not owned(attachment, disk_uid) or attachment["spec"]["nodeName"] != hold.dpu_name:
        message = f"the volume is held by {holder(attachment)} (VolumeAttachment {name}): detach it there first"
        return NotYet(Verdict("False", Reason.ATTACH_FAILED, message))
    if attachment["metadata"].get("deletionTimestamp"):
        return NotYet(waiting(Reason.WAITING_FOR_VOLUME, f"VolumeAttachment {name} is being deleted"))
    status = attachment.get("status", {})
    if status.get("attached"):
        return Held(volume, status.get("attachmentMetadata", {}))
    if error := status.get("attachError"):
        return NotYet(Verdict("False", Reason.ATTACH_FAILED, error.get("message", "attaching failed")))
    return NotYet(waiting(Reason.WAITING_FOR_VOLUME, f"waiting until VolumeAttachment {name} is attached"))


def release_volume(storage: Storage, disk_uid: str) -> NotYet | None:
    """Give the volume up, in the opposite order; None once it is given up. What another disk holds is left alone."""
    attachment = storage.attachment
    if attachment is not None and owned(attachment, disk_uid):
        name = attachment["metadata"]["name"]
        asked = delete(VOLUMEATTACHMENT, attachment, f"asked for VolumeAttachment {name} to be detached")
        error = attachment.get("status", {}).get("detachError", {}).get("message", "")
        message = f"waiting until VolumeAttachment {name} is detached" + (f": {error}" if error else "")
        return NotYet(waiting(Reason.DELETING, message), (asked,) if asked else ())
    if attachment is None and storage.claim is not None:
        unprotect = finalizers(PERSISTENTVOLUMECLAIM, storage.claim, remove=FINALIZER_IN_USE, policy="Delete")
        if unprotect is not None:
            return NotYet(waiting(Reason.DELETING), (unprotect,))
    return None


def owned(attachment: Json, disk_uid: str) -> bool:
    """Whether the attachment was made for this very disk (also before a crash)."""
    annotations: dict[str, str] = attachment["metadata"].get("annotations", {})
    return annotations.get(ANNOTATION_VIRTUAL_DISK) == disk_uid


def holder(attachment: Json) -> str:
    """Who holds the volume, as far as the attachment tells."""
    machine = attachment["metadata"].get("labels", {}).get(LABEL_MACHINE_UID)
    node = f"DPU {attachment['spec']['nodeName']}"
    return node if machine is None else f"{node} for machine {machine}"


def _attach(volume: Json, hold: Hold, disk_uid: str) -> CreateObject:
    name = volume_attachment(volume["metadata"]["uid"])
    body: Json = {
        "metadata": {
            "name": name,
            "labels": {LABEL_MACHINE_UID: hold.machine.uid},
            "annotations": {ANNOTATION_VIRTUAL_DISK: disk_uid},
        },
        "spec": {
            "attacher": volume["spec"]["csi"]["driver"],
            "nodeName": hold.dpu_name,
            "source": {"persistentVolumeName": volume["metadata"]["name"]},
        },
    }
    return CreateObject(VOLUMEATTACHMENT, body, f"asked for the volume to be attached to {hold.dpu_name}")


def _bound(claim: Json, volume: Json) -> bool:
    # Both sides must say so: a PVC alone can name any PV.
    reference = volume["spec"].get("claimRef", {})
    return (
        claim.get("status", {}).get("phase") == "Bound"
        and reference.get("uid") == claim["metadata"]["uid"]
        and "csi" in volume["spec"]
    )
