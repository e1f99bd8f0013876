"""What a PVC, a PV, a VolumeAttachment or a MachineImage needs next. Pure.

Every step is named by what it is for, and planning again after a step was carried out gives the next one, or none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from provider.api.machineimage import MachineImage
from provider.api.names import ANNOTATION_IMAGE_DIGEST, ANNOTATION_PROVISIONING_ERROR, FINALIZER_CSI
from provider.api.quantity import parse_bytes
from provider.api.reasons import Reason
from provider.api.resources import MACHINEIMAGE
from provider.csi import imagesnapshots
from provider.csi.imagesnapshots import ImageSnapshot

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Nothing:
    """All is as it should be, or it is somebody else's turn."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """It cannot be served, for a reason that the claim's owner must hear."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Put our finalizer on, before anything is made or published."""


@dataclass(frozen=True, slots=True)
class LetGo:
    """Only our finalizer is in the way."""


@dataclass(frozen=True, slots=True)
class Provision:
    """Make the volume and its PV. ``image_sha256`` is the content to clone; blank without it."""

    size_bytes: int
    image_sha256: str | None
    image_bytes: int | None


@dataclass(frozen=True, slots=True)
class Expand:
    """Grow the volume, then the PV, then the claim's status."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class ReportSize:
    """The PV has grown; the claim's status does not say so yet."""

    capacity: str


@dataclass(frozen=True, slots=True)
class Abandon:
    """The claim needs no volume any more, and one may have been made that no PV names: delete it, found by its name."""

    made_as: Provision


ClaimStep = Nothing | Refuse | Hold | LetGo | Provision | Abandon | Expand | ReportSize


def claim(pvc: Json, pv: Json | None, image: MachineImage | None, *, made: bool = False) -> ClaimStep:
    """What a PVC of ours needs.

    ``pv`` is what the claim is bound to, ``image`` the MachineImage that its data source names, if there are such;
    ``made``: a PV is or was named after the claim, so that what was made for it is, or was, found.
    """
    wanted = parse_bytes(pvc["spec"]["resources"]["requests"]["storage"])
    going, name = "deletionTimestamp" in pvc["metadata"], pvc["spec"].get("volumeName")
    if held(pvc) and not made and (going or name):
        return LetGo() if refused(pvc) else Abandon(_as_asked(pvc, wanted, image))
    if going:
        return LetGo() if held(pvc) else Nothing()
    if not name:
        return Nothing() if made else _provision(pvc, wanted, image)
    if pv is None or pvc.get("status", {}).get("phase") != "Bound":
        return Nothing()
    capacity = pv["spec"]["capacity"]["storage"]
    if parse_bytes(capacity) < wanted:
        return Expand(wanted)
    reported = pvc["status"].get("capacity", {}).get("storage")
    if reported is None or parse_bytes(reported) < parse_bytes(capacity):
        return ReportSize(capacity)
    return Nothing()


def _provision(pvc: Json, wanted: int, image: MachineImage | None) -> ClaimStep:
    provision = _as_asked(pvc, wanted, image)
    refusal = _refusal(pvc, provision, image)
    if refusal is not None:
        return refusal
    return provision if held(pvc) else Hold()


def _refusal(pvc: Json, provision: Provision, image: MachineImage | None) -> Refuse | None:
    source = pvc["spec"].get("dataSourceRef") or pvc["spec"].get("dataSource")
    if source is None:
        return None
    if (source.get("apiGroup"), source["kind"]) != (MACHINEIMAGE.group, MACHINEIMAGE.kind):
        return Refuse(Reason.PROVISIONING_FAILED, f"a data source of kind {source['kind']} cannot be cloned here")
    name, namespace = source["name"], pvc["metadata"]["namespace"]
    if image is None:
        return Refuse(Reason.IMAGE_NOT_FOUND, f"there is no MachineImage {name}; create it")
    if image.metadata.deleting and not _began_before(pvc, image):
        return Refuse(Reason.IMAGE_NOT_FOUND, f"MachineImage {name} is being deleted; create it again when it is gone")
    if not image.allows(namespace):
        granting = f"add {namespace} to spec.allowedNamespaces of the MachineImage"
        return Refuse(
            Reason.IMAGE_NOT_GRANTED, f"MachineImage {name} is not granted to namespace {namespace}: {granting}"
        )
    # The pin is written by whoever made the claim, so it opens nothing that the image's name does not.
    if provision.image_sha256 != image.spec.sha256:
        return Refuse(
            Reason.PROVISIONING_FAILED,
            f"MachineImage {name} now has sha256 {image.spec.sha256}, and the volume is pinned to "
            f"{provision.image_sha256}; make the machine anew",
        )
    if provision.size_bytes < image.spec.size_bytes:
        return Refuse(
            Reason.PROVISIONING_FAILED,
            f"MachineImage {name} has {image.spec.size_bytes} bytes and does not fit on {provision.size_bytes}; "
            "ask for more",
        )
    return None


def _began_before(pvc: Json, image: MachineImage) -> bool:
    """Whether the claim's volume may have been asked for before the image was deleted: what was begun is ended."""
    created, deleted = pvc["metadata"].get("creationTimestamp"), image.metadata.deletion_timestamp
    late = created is not None and deleted is not None and datetime.fromisoformat(created) > deleted
    return held(pvc) and FINALIZER_CSI in image.metadata.finalizers and not late


def refused(pvc: Json) -> bool:
    """Whether the claim was told that it may not have its image: nothing was asked of the driver since."""
    told: str = pvc["metadata"].get("annotations", {}).get(ANNOTATION_PROVISIONING_ERROR, "")
    return told.startswith((f"{Reason.IMAGE_NOT_FOUND}:", f"{Reason.IMAGE_NOT_GRANTED}:"))


def _as_asked(pvc: Json, wanted: int, image: MachineImage | None) -> Provision:
    """What the claim asks for, granted or not."""
    # The content that was resolved when the machine was made counts, whatever the image's name stands for by now.
    named = None if image is None else image.spec.sha256
    pinned = pvc["metadata"].get("annotations", {}).get(ANNOTATION_IMAGE_DIGEST, named)
    if not (pvc["spec"].get("dataSourceRef") or pvc["spec"].get("dataSource")):
        return Provision(wanted, None, None)
    return Provision(wanted, pinned, image.spec.size_bytes if image is not None and pinned == named else None)


def held(obj: Json) -> bool:
    """Whether our finalizer is on it."""
    return FINALIZER_CSI in obj["metadata"].get("finalizers", ())


@dataclass(frozen=True, slots=True)
class DeleteVolume:
    """Delete the driver's volume, then the PV."""


VolumeStep = Nothing | DeleteVolume | LetGo


def volume(pv: Json) -> VolumeStep:
    """What a PV of ours needs: its volume goes once its claim is gone, where the class says so."""
    if pv["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
        return DeleteVolume() if pv.get("status", {}).get("phase") == "Released" else Nothing()
    # Somebody deletes the PV of a volume that is to be kept.
    return LetGo() if "deletionTimestamp" in pv["metadata"] and held(pv) else Nothing()


@dataclass(frozen=True, slots=True)
class Publish:
    """Open the volume to the node."""


@dataclass(frozen=True, slots=True)
class Unpublish:
    """Close the volume, then let the attachment go."""


AttachmentStep = Nothing | Hold | Publish | Unpublish


def attachment(obj: Json) -> AttachmentStep:
    """What a VolumeAttachment of ours needs."""
    if "deletionTimestamp" in obj["metadata"]:
        return Unpublish() if held(obj) else Nothing()
    if not held(obj):
        return Hold()
    return Nothing() if obj.get("status", {}).get("attached") else Publish()


@dataclass(frozen=True, slots=True)
class HandOver:
    """Another image names the content: from now on it answers for the snapshot."""

    snapshot: ImageSnapshot
    heir: str


@dataclass(frozen=True, slots=True)
class AwaitClaims:
    """Volumes may be in the making from the image."""

    claims: Sequence[str]


@dataclass(frozen=True, slots=True)
class DeleteSnapshot:
    """No image names the content any more. What stands on the snapshot is the driver's to keep."""

    snapshot: ImageSnapshot


ImageStep = Nothing | HandOver | AwaitClaims | DeleteSnapshot | LetGo


def may_be_making(pvc: Json, image: MachineImage) -> bool:
    """Whether a claim of ours without a PV may have a volume in the making that is a clone of the image."""
    return not pvc["spec"].get("volumeName") and not refused(pvc) and _began_before(pvc, image)


def machine_image(image: MachineImage, every: Sequence[MachineImage], making: Sequence[str]) -> ImageStep:
    """What a MachineImage needs that drivers may have snapshots of.

    ``every`` is all images, ``making`` names the claims whose volumes may be in the making from this one.
    """
    if FINALIZER_CSI not in image.metadata.finalizers:
        return Nothing()
    outdated = imagesnapshots.outdated(image)
    if not outdated:
        return Nothing() if imagesnapshots.recorded(image) else LetGo()
    snapshot = outdated[0]
    heir = imagesnapshots.named_by(every, snapshot.sha256)
    if heir is not None:
        return HandOver(snapshot, heir)
    return AwaitClaims(making) if making else DeleteSnapshot(snapshot)
