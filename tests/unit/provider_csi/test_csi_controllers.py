"""Provisioner and attacher on a model cluster: derived names, repeated steps, and what is told to whoever asked."""

from contextlib import nullcontext

import grpc
import grpc.aio
import pytest

from provider.api.names import ANNOTATION_PROVISIONING_ERROR, FINALIZER_CSI
from provider.api.resources import (
    CSINODE,
    MACHINEIMAGE,
    PERSISTENTVOLUME,
    PERSISTENTVOLUMECLAIM,
    STORAGECLASS,
    VOLUMEATTACHMENT,
)
from provider.csi.errors import CSIError, CSIUnavailable, from_grpc
from provider.csi.persistentvolume import VolumeController
from provider.csi.persistentvolumeclaim import ClaimController
from provider.csi.volumeattachment import AttachmentController
from provider.runtime.controller import Key, RequeueAfter, Settled
from provider.runtime.errors import Unavailable
from tests.unit.provider_csi.storage import (
    DIGEST,
    GIB,
    GOING,
    Json,
    RememberingDriver,
    attachment,
    bound,
    image,
    pv,
    pvc,
)
from tests.unit.runtime.model_cluster import ModelCluster

CLAIM = Key("tenant-a", "data")
VOLUME = "pvc-11111111-0000"
HELD = [FINALIZER_CSI]


@pytest.fixture
def cluster() -> ModelCluster:
    made = ModelCluster(CSINODE, MACHINEIMAGE, PERSISTENTVOLUME, PERSISTENTVOLUMECLAIM, STORAGECLASS, VOLUMEATTACHMENT)
    class_ = {"metadata": {"name": "lvol"}, "provisioner": "lvol", "parameters": {"lvstore": "s"}}
    made.have(STORAGECLASS, class_)
    made.have(MACHINEIMAGE, image())
    node = {"metadata": {"name": "dpu-1"}, "spec": {"drivers": [{"name": "lvol", "nodeID": "server-uid"}]}}
    made.have(CSINODE, node)
    return made


@pytest.fixture
def driver() -> RememberingDriver:
    return RememberingDriver()


def claims(cluster: ModelCluster, driver: RememberingDriver) -> ClaimController:
    return ClaimController(cluster.runtime(), {"lvol": driver})


def attachments(cluster: ModelCluster, driver: RememberingDriver) -> AttachmentController:
    return AttachmentController(cluster.runtime(), {"lvol": driver})


def problem(cluster: ModelCluster) -> str | None:
    claim = cluster.now(PERSISTENTVOLUMECLAIM, "data", "tenant-a")
    assert claim is not None
    said: str | None = claim["metadata"].get("annotations", {}).get(ANNOTATION_PROVISIONING_ERROR)
    return said


def finalizers(cluster: ModelCluster) -> list[str]:
    claim = cluster.now(PERSISTENTVOLUMECLAIM, "data", "tenant-a")
    assert claim is not None
    present: list[str] = claim["metadata"].get("finalizers", [])
    return present


async def test_volume_and_pv_are_named_after_the_claims_uid(cluster: ModelCluster, driver: RememberingDriver) -> None:
    cluster.have(PERSISTENTVOLUMECLAIM, pvc("2Gi", image="tiny", labels={"metalplane.io/machine-uid": "m"}))
    await claims(cluster, driver).reconcile(CLAIM)
    parameters = {"lvstore": "s", "imageSha256": DIGEST, "imageSizeBytes": str(GIB)}
    assert driver.calls == [("create", VOLUME, 2 * GIB, parameters, True)]
    made = cluster.now(PERSISTENTVOLUME, VOLUME)
    assert made is not None
    assert made["spec"]["claimRef"]["uid"] == "11111111-0000"
    assert made["spec"]["csi"]["volumeHandle"] == f"handle-of-{VOLUME}"
    assert made["metadata"]["finalizers"] == HELD
    assert made["metadata"]["labels"] == {"metalplane.io/machine-uid": "m"}


def refusal(code: grpc.StatusCode) -> CSIError:
    """What the caller sees of a driver's answer."""
    answer = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details="no such image")
    return from_grpc(answer, attempt="CreateVolume", subject=VOLUME, driver="lvol")


async def crash_before_the_pv(cluster: ModelCluster, driver: RememberingDriver, claim: Json) -> None:
    """The driver makes the volume, and nobody is there any more to say so."""
    cluster.have(PERSISTENTVOLUMECLAIM, claim)
    driver.after_next_call = lambda: cluster.fail_next(Unavailable("create PersistentVolume", subject=VOLUME))
    with pytest.raises(Unavailable):
        await claims(cluster, driver).reconcile(CLAIM)
    assert cluster.now(PERSISTENTVOLUME, VOLUME) is None
    assert [call[:2] for call in driver.calls] == [("create", VOLUME)]


async def test_a_crash_between_volume_and_pv_is_made_good_by_the_same_name(
    cluster: ModelCluster, driver: RememberingDriver
) -> None:
    await crash_before_the_pv(cluster, driver, pvc())
    for _ in range(2):
        await claims(cluster, driver).reconcile(CLAIM)
    assert [call[:2] for call in driver.calls] == [("create", VOLUME)] * 2
    written = [write[:3] for write in cluster.writes]
    assert written == [("patch", "PersistentVolumeClaim", "data"), ("create", "PersistentVolume", VOLUME)]


async def test_a_claim_is_held_before_its_volume_is_made(cluster: ModelCluster, driver: RememberingDriver) -> None:
    cluster.have(PERSISTENTVOLUMECLAIM, pvc(finalizers=["theirs"]))
    at_the_call: list[list[str]] = []
    driver.after_next_call = lambda: at_the_call.append(finalizers(cluster))
    await claims(cluster, driver).reconcile(CLAIM)
    assert at_the_call == [["theirs", FINALIZER_CSI]]


async def test_a_bound_claim_whose_pv_was_removed_by_hand_goes_without_touching_the_data(
    cluster: ModelCluster, driver: RememberingDriver
) -> None:
    claim = pvc(finalizers=["theirs", FINALIZER_CSI], **GOING)
    claim["spec"]["volumeName"] = VOLUME
    cluster.have(PERSISTENTVOLUMECLAIM, claim)
    await claims(cluster, driver).reconcile(CLAIM)
    assert driver.calls == []
    assert finalizers(cluster) == ["theirs"]


async def test_a_claim_that_is_deleted_after_a_crash_takes_its_volume_with_it(
    cluster: ModelCluster, driver: RememberingDriver
) -> None:
    await crash_before_the_pv(cluster, driver, pvc())
    await cluster.delete(PERSISTENTVOLUMECLAIM, "data", "tenant-a")
    cluster.writes.clear()
    await claims(cluster, driver).reconcile(CLAIM)
    assert [call[:2] for call in driver.calls[1:]] == [("create", VOLUME), ("delete", f"handle-of-{VOLUME}")]
    assert cluster.now(PERSISTENTVOLUMECLAIM, "data", "tenant-a") is None
    assert [write[0] for write in cluster.writes] == ["patch"], "nothing is made on the way out of a namespace"


async def test_the_data_of_an_abandoned_claim_stays_if_a_pv_names_it_after_all(
    cluster: ModelCluster, driver: RememberingDriver
) -> None:
    await crash_before_the_pv(cluster, driver, pvc())
    await cluster.delete(PERSISTENTVOLUMECLAIM, "data", "tenant-a")
    cluster.have(PERSISTENTVOLUME, pv(name=VOLUME), unseen=True)
    await claims(cluster, driver).reconcile(CLAIM)
    assert [call[0] for call in driver.calls] == ["create"]
    assert cluster.now(PERSISTENTVOLUMECLAIM, "data", "tenant-a") is None


@pytest.mark.parametrize(
    ("refusal", "stays"),
    [
        (refusal(grpc.StatusCode.NOT_FOUND), False),
        (refusal(grpc.StatusCode.ALREADY_EXISTS), True),
        (CSIUnavailable("CreateVolume", subject=VOLUME), True),
    ],
    ids=["nothing was made", "something was", "who knows"],
)
async def test_an_abandoned_claim_goes_when_the_driver_knows_that_there_is_no_volume(
    cluster: ModelCluster, driver: RememberingDriver, refusal: CSIError, stays: bool
) -> None:
    cluster.have(PERSISTENTVOLUMECLAIM, pvc(finalizers=HELD, **GOING))
    driver.refusal = refusal
    with pytest.raises(CSIUnavailable) if isinstance(refusal, CSIUnavailable) else nullcontext():
        await claims(cluster, driver).reconcile(CLAIM)
    assert (cluster.now(PERSISTENTVOLUMECLAIM, "data", "tenant-a") is not None) is stays
    assert [call[0] for call in driver.calls] == ["create"]


async def test_an_abandoned_claim_stays_while_its_volume_cannot_be_deleted(
    cluster: ModelCluster, driver: RememberingDriver
) -> None:
    cluster.have(PERSISTENTVOLUMECLAIM, pvc(finalizers=HELD, **GOING))
    driver.after_next_call = lambda: driver.refuse(CSIError("DeleteVolume", subject=VOLUME, cause="it is exported"))
    assert isinstance(await claims(cluster, driver).reconcile(CLAIM), RequeueAfter)
    assert "it is exported" in (problem(cluster) or "")
    assert finalizers(cluster) == HELD


async def test_an_image_that_is_not_granted_makes_nothing_and_heals_when_it_is(
    cluster: ModelCluster, driver: RememberingDriver
) -> None:
    cluster.have(MACHINEIMAGE, image(allowed=("tenant-b",)))
    cluster.have(PERSISTENTVOLUMECLAIM, pvc(image="tiny"))
    for _ in range(2):
        assert await claims(cluster, driver).reconcile(CLAIM) == Settled()
    assert driver.calls == []
    assert (problem(cluster) or "").startswith("ImageNotGranted: ")
    assert len(cluster.writes) == 1, "the same problem is written once"
    assert finalizers(cluster) == [], "a claim that is refused is free to go"
    cluster.have(MACHINEIMAGE, image())
    at_the_call: list[str | None] = []
    driver.after_next_call = lambda: at_the_call.append(problem(cluster))
    await claims(cluster, driver).reconcile(CLAIM)
    assert at_the_call == [None], "the refusal is taken back before the driver is asked"
    assert problem(cluster) is None
    assert [call[0] for call in driver.calls] == ["create"]


async def test_a_refusal_of_the_driver_is_told_and_asked_again(
    cluster: ModelCluster, driver: RememberingDriver
) -> None:
    cluster.have(PERSISTENTVOLUMECLAIM, pvc())
    driver.refusal = CSIError("CreateVolume", subject=VOLUME, cause="no space is left")
    for _ in range(2):
        assert isinstance(await claims(cluster, driver).reconcile(CLAIM), RequeueAfter)
    assert "no space is left" in (problem(cluster) or "")
    assert len(cluster.writes) == 2, "held and told, each once"


async def test_a_driver_that_is_away_is_named_and_not_taken_for_a_failure(
    cluster: ModelCluster, driver: RememberingDriver
) -> None:
    cluster.have(PERSISTENTVOLUMECLAIM, pvc())
    driver.refusal = CSIUnavailable("CreateVolume", subject=VOLUME)
    with pytest.raises(CSIUnavailable):
        await claims(cluster, driver).reconcile(CLAIM)
    assert (problem(cluster) or "").startswith("DriverUnavailable: ")
    driver.refusal = None
    await claims(cluster, driver).reconcile(CLAIM)
    assert problem(cluster) is None


async def test_a_held_claim_of_a_class_that_is_not_there_is_free_to_go(
    cluster: ModelCluster, driver: RememberingDriver
) -> None:
    claim = pvc(finalizers=[*HELD, "theirs"], **GOING)
    claim["spec"]["storageClassName"] = "lvoll"
    cluster.have(PERSISTENTVOLUMECLAIM, claim)
    await claims(cluster, driver).reconcile(CLAIM)
    assert driver.calls == []
    assert finalizers(cluster) == ["theirs"]


async def test_a_claim_of_another_provisioner_is_left_alone(cluster: ModelCluster, driver: RememberingDriver) -> None:
    foreign = pvc(annotations={"volume.kubernetes.io/storage-provisioner": "example.org/other"})
    cluster.have(PERSISTENTVOLUMECLAIM, foreign)
    await claims(cluster, driver).reconcile(CLAIM)
    assert (driver.calls, cluster.writes) == ([], [])


async def test_a_bound_claim_grows_the_volume_then_the_pv_then_its_status(
    cluster: ModelCluster, driver: RememberingDriver
) -> None:
    cluster.have(PERSISTENTVOLUMECLAIM, bound(pvc("3Gi"), "1Gi"))
    cluster.have(PERSISTENTVOLUME, pv("1Gi"))
    await claims(cluster, driver).reconcile(CLAIM)
    assert driver.calls == [("expand", "h", 3 * GIB)]
    assert [write[1] for write in cluster.writes] == ["PersistentVolume", "PersistentVolumeClaim"]
    before = len(cluster.writes)
    await claims(cluster, driver).reconcile(CLAIM)
    assert (len(driver.calls), len(cluster.writes)) == (1, before)


async def test_an_attachment_is_held_published_and_told(cluster: ModelCluster, driver: RememberingDriver) -> None:
    cluster.have(PERSISTENTVOLUME, pv())
    cluster.have(VOLUMEATTACHMENT, attachment())
    await attachments(cluster, driver).reconcile(Key(None, "mp-x"))
    assert driver.calls == [("publish", "h", "server-uid")]
    seen = cluster.now(VOLUMEATTACHMENT, "mp-x")
    assert seen is not None
    assert seen["status"] == {"attached": True, "attachmentMetadata": {"hostnqn": "server-uid.g1"}}
    held = {"finalizers": HELD, "annotations": {"metalplane.io/node-id": "server-uid"}}
    assert cluster.writes[0][3] == {"metadata": held}, "held before it is published"


async def test_each_attach_is_told_the_host_name_that_the_driver_made_for_it(
    cluster: ModelCluster, driver: RememberingDriver
) -> None:
    cluster.have(PERSISTENTVOLUME, pv())
    told = []
    for uid in ("first", "second"):
        cluster.have(VOLUMEATTACHMENT, attachment(uid=uid))
        await attachments(cluster, driver).reconcile(Key(None, "mp-x"))
        seen = cluster.now(VOLUMEATTACHMENT, "mp-x")
        assert seen is not None
        told.append(seen["status"]["attachmentMetadata"]["hostnqn"])
        await cluster.delete(VOLUMEATTACHMENT, "mp-x")
        await attachments(cluster, driver).reconcile(Key(None, "mp-x"))
        assert cluster.now(VOLUMEATTACHMENT, "mp-x") is None
    assert told == ["server-uid.g1", "server-uid.g2"]
    assert [call[0] for call in driver.calls] == ["publish", "unpublish"] * 2


async def test_an_attached_volume_is_not_published_again(cluster: ModelCluster, driver: RememberingDriver) -> None:
    cluster.have(PERSISTENTVOLUME, pv())
    cluster.have(VOLUMEATTACHMENT, attachment(attached=True, finalizers=HELD))
    await attachments(cluster, driver).reconcile(Key(None, "mp-x"))
    assert (driver.calls, cluster.writes) == ([], [])


async def test_an_attachment_that_metalplane_did_not_make_is_left_alone(
    cluster: ModelCluster, driver: RememberingDriver
) -> None:
    cluster.have(PERSISTENTVOLUME, pv())
    cluster.have(VOLUMEATTACHMENT, attachment("csi-0123"))
    await attachments(cluster, driver).reconcile(Key(None, "csi-0123"))
    assert (driver.calls, cluster.writes) == ([], [])


async def test_a_node_that_is_not_registered_yet_is_waited_for(
    cluster: ModelCluster, driver: RememberingDriver
) -> None:
    cluster.have(PERSISTENTVOLUME, pv())
    lost = attachment()
    lost["spec"]["nodeName"] = "dpu-9"
    cluster.have(VOLUMEATTACHMENT, lost)
    await attachments(cluster, driver).reconcile(Key(None, "mp-x"))
    assert driver.calls == []


@pytest.mark.parametrize(("going", "field"), [({}, "attachError"), (GOING, "detachError")])
async def test_a_refusal_is_told_once_and_the_attachment_stays(
    cluster: ModelCluster, driver: RememberingDriver, going: Json, field: str
) -> None:
    cluster.have(PERSISTENTVOLUME, pv())
    cluster.have(VOLUMEATTACHMENT, attachment(finalizers=HELD, **going))
    driver.refusal = CSIError("ControllerPublishVolume", subject="h", cause="held by dpu-2")
    for _ in range(2):
        assert isinstance(await attachments(cluster, driver).reconcile(Key(None, "mp-x")), RequeueAfter)
    seen = cluster.now(VOLUMEATTACHMENT, "mp-x")
    assert seen is not None
    assert "held by dpu-2" in seen["status"][field]["message"]
    assert seen["metadata"]["finalizers"] == HELD
    assert len(cluster.writes) == 1


async def test_the_data_of_a_released_volume_goes_before_its_pv(
    cluster: ModelCluster, driver: RememberingDriver
) -> None:
    cluster.have(PERSISTENTVOLUME, pv(phase="Released"))
    controller = VolumeController(cluster.runtime(), {"lvol": driver})
    driver.refusal = CSIUnavailable("DeleteVolume", subject="h")
    with pytest.raises(CSIUnavailable):
        await controller.reconcile(Key(None, "pv"))
    assert cluster.now(PERSISTENTVOLUME, "pv") is not None
    driver.refusal = None
    await controller.reconcile(Key(None, "pv"))
    assert cluster.now(PERSISTENTVOLUME, "pv") is None
    assert driver.calls == [("delete", "h")] * 2


async def test_the_data_of_a_volume_that_is_still_attached_stays(
    cluster: ModelCluster, driver: RememberingDriver
) -> None:
    cluster.have(PERSISTENTVOLUME, pv(phase="Released"))
    cluster.have(VOLUMEATTACHMENT, attachment(attached=True, finalizers=HELD))
    await VolumeController(cluster.runtime(), {"lvol": driver}).reconcile(Key(None, "pv"))
    assert driver.calls == []
