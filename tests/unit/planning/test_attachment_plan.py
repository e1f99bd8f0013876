"""Stories of the VolumeAttachment: creating it is the exclusive claim on a volume, and only its maker lets it go."""

import pytest

from provider.api.names import ANNOTATION_VIRTUAL_DISK, FINALIZER_IN_USE, volume_attachment
from provider.api.reasons import Reason
from provider.planning.action import CreateObject, DeleteObject, PatchObject
from provider.planning.attachment import Held, NotYet, Storage, hold_volume, release_volume
from tests.unit.planning.builders import DELETED, MACHINE_UID, Json, hold_on, obj

DISK = "uid-disk"
NAME = volume_attachment("uid-pv")
CONTEXT = {"protocol": "bdev", "uuid": "u"}


def claim(**metadata: object) -> Json:
    made = obj("PersistentVolumeClaim", "pvc", {"volumeName": "pv"}, **({"finalizers": [FINALIZER_IN_USE]} | metadata))
    return made | {"status": {"phase": "Bound"}}


def volume(claim_uid: str = "uid-pvc") -> Json:
    spec = {"claimRef": {"uid": claim_uid}, "csi": {"driver": "lvol", "volumeHandle": "h"}}
    return obj("PersistentVolume", "pv", spec, namespace=None)


def attachment(status: Json | None = None, *, disk: str = DISK, node: str = "dpu-of-s1", **metadata: object) -> Json:
    known: Json = {
        "annotations": {ANNOTATION_VIRTUAL_DISK: disk},
        "labels": {"metalplane.io/machine-uid": MACHINE_UID},
        "namespace": None,
    }
    return obj("VolumeAttachment", NAME, {"nodeName": node}, **(known | metadata)) | {"status": status or {}}


def hold(storage: Storage) -> NotYet:
    step = hold_volume(storage, hold_on(), DISK)
    assert isinstance(step, NotYet)
    return step


def test_the_claim_is_protected_before_the_volume_is_attached() -> None:
    (action,) = hold(Storage(claim(finalizers=["theirs"]), volume())).actions
    assert isinstance(action, PatchObject)
    assert action.body == {"metadata": {"finalizers": ["theirs", FINALIZER_IN_USE]}}


def test_the_attachment_is_created_under_a_name_without_a_node() -> None:
    (action,) = hold(Storage(claim(), volume())).actions
    assert isinstance(action, CreateObject)
    assert action.body["metadata"]["name"] == NAME
    assert action.body["metadata"]["annotations"] == {ANNOTATION_VIRTUAL_DISK: DISK}
    assert action.body["spec"] == {
        "attacher": "lvol",
        "nodeName": "dpu-of-s1",
        "source": {"persistentVolumeName": "pv"},
    }
    assert "dpu-of-s1" not in NAME


def test_an_attached_volume_brings_what_the_dpu_needs() -> None:
    seen = attachment({"attached": True, "attachmentMetadata": CONTEXT})
    assert hold_volume(Storage(claim(), volume(), seen), hold_on(), DISK) == Held(volume(), CONTEXT)


@pytest.mark.parametrize(
    "storage",
    [
        Storage(),
        Storage(claim()),
        Storage(claim(), volume(claim_uid="somebody-elses")),
        Storage(claim() | {"status": {"phase": "Pending"}}, volume()),
    ],
    ids=["nothing", "no PV", "a PV that names another claim", "pending"],
)
def test_a_volume_is_bound_only_when_both_sides_say_so(storage: Storage) -> None:
    step = hold(storage)
    assert step.actions == ()
    assert step.ready.reason is Reason.WAITING_FOR_VOLUME


@pytest.mark.parametrize(
    "other", [attachment(disk="another-disk"), attachment(node="dpu-of-s2")], ids=["another disk", "another DPU"]
)
def test_a_volume_that_somebody_else_holds_is_left_with_him_and_he_is_named(other: Json) -> None:
    other["status"] = {"attached": True, "attachmentMetadata": CONTEXT}
    step = hold(Storage(claim(), volume(), other))
    assert step.actions == ()
    assert step.ready.reason is Reason.ATTACH_FAILED
    assert f"held by DPU {other['spec']['nodeName']} for machine {MACHINE_UID}" in step.ready.message


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (attachment(), Reason.WAITING_FOR_VOLUME),
        (attachment({"attachError": {"message": "no such volume"}}), Reason.ATTACH_FAILED),
        (attachment({"attached": True}, **DELETED), Reason.WAITING_FOR_VOLUME),
    ],
    ids=["not yet", "refused", "on its way out"],
)
def test_what_is_not_attached_is_waited_for(seen: Json, reason: Reason) -> None:
    step = hold(Storage(claim(), volume(), seen))
    assert (step.actions, step.ready.reason) == ((), reason)


def test_a_claim_that_is_being_deleted_is_not_attached_anew() -> None:
    assert hold(Storage(claim(**DELETED), volume())).actions == ()


def test_the_attachment_goes_before_the_protection_of_the_claim() -> None:
    step = release_volume(Storage(claim(), volume(), attachment()), DISK)
    assert step is not None
    (action,) = step.actions
    assert isinstance(action, DeleteObject)
    assert (action.name, action.policy) == (NAME, "Delete")


def test_a_detach_that_is_under_way_is_waited_for_and_its_error_told() -> None:
    seen = attachment({"detachError": {"message": "the storage is away"}}, **DELETED)
    step = release_volume(Storage(claim(), volume(), seen), DISK)
    assert step is not None
    assert step.actions == ()
    assert "the storage is away" in step.ready.message


def test_the_protection_comes_off_once_the_attachment_is_gone_and_other_finalizers_stay() -> None:
    step = release_volume(Storage(claim(finalizers=["theirs", FINALIZER_IN_USE]), volume()), DISK)
    assert step is not None
    (action,) = step.actions
    assert isinstance(action, PatchObject)
    assert (action.body, action.policy) == ({"metadata": {"finalizers": ["theirs"]}}, "Delete")


def test_what_another_disk_holds_is_not_released() -> None:
    assert release_volume(Storage(claim(), volume(), attachment(disk="another-disk")), DISK) is None


def test_all_is_released_when_nothing_is_left() -> None:
    assert release_volume(Storage(claim(finalizers=[]), volume()), DISK) is None
