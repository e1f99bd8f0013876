"""The end of a MachineImage: its snapshots go unless another image names the content, and nothing waits for ever."""

from typing import Any

import grpc
import grpc.aio
import pytest

from provider.api.machineimage import MachineImage
from provider.api.names import ANNOTATION_IMAGE_SNAPSHOTS, FINALIZER_CSI
from provider.api.reasons import Reason
from provider.api.resources import MACHINEIMAGE, PERSISTENTVOLUME, PERSISTENTVOLUMECLAIM, STORAGECLASS
from provider.csi.driver import Driver
from provider.csi.errors import CSIUnavailable, from_grpc
from provider.csi.imagesnapshots import ImageSnapshot, recorded
from provider.csi.machineimage import ImageController
from provider.csi.persistentvolumeclaim import ClaimController
from provider.runtime.context import Runtime
from provider.runtime.controller import Key, RequeueAfter
from tests.unit.provider_csi.storage import DIGEST, GOING, Json, RememberingDriver, image, pv, pvc
from tests.unit.runtime.model_cluster import ModelCluster, RecordedEvents

OTHER = "b" * 64
TINY, CLAIM = Key(None, "tiny"), Key("tenant-a", "data")
DELETED = ("delete snapshot", f"image-{DIGEST}")
AFTERWARDS, BEFORE = "2026-01-01T00:00:01Z", "2025-12-31T23:59:59Z"


def cloned(name: str = "tiny", *, content: str = DIGEST, driver: str = "lvol", **metadata: Any) -> Json:
    annotation = {ANNOTATION_IMAGE_SNAPSHOTS: f"{driver}/{DIGEST}"}
    held: Json = {"annotations": annotation, "finalizers": [FINALIZER_CSI]}
    return image(name, sha256=content, **(held | metadata))


@pytest.fixture
def cluster() -> ModelCluster:
    made = ModelCluster(MACHINEIMAGE, PERSISTENTVOLUME, PERSISTENTVOLUMECLAIM, STORAGECLASS)
    made.have(STORAGECLASS, {"metadata": {"name": "lvol"}, "provisioner": "lvol"})
    return made


@pytest.fixture
def driver() -> RememberingDriver:
    return RememberingDriver()


async def settle(cluster: ModelCluster, driver: Driver, key: Key = TINY) -> None:
    """As often as its own changes bring it back, each time by a new process."""
    before = -1
    while cluster.version != before:
        before = cluster.version
        await ImageController(cluster.runtime(), {"lvol": driver}).reconcile(key)


def listened(cluster: ModelCluster) -> tuple[Runtime, list[tuple[str, str]]]:
    """What a controller is given, and what it will have said as (reason, note)."""
    runtime = cluster.runtime()
    assert isinstance(runtime.events, RecordedEvents)
    return runtime, runtime.events.said


def is_there(cluster: ModelCluster, name: str = "tiny") -> bool:
    return cluster.now(MACHINEIMAGE, name) is not None


def answers_for(cluster: ModelCluster, name: str) -> list[ImageSnapshot]:
    found = cluster.now(MACHINEIMAGE, name)
    assert found is not None
    assert (FINALIZER_CSI in found["metadata"].get("finalizers", [])) is bool(recorded(MachineImage.parse(found)))
    return list(recorded(MachineImage.parse(found)))


async def test_an_image_is_held_from_before_its_first_clone_is_asked_for(
    cluster: ModelCluster, driver: RememberingDriver
) -> None:
    cluster.have(MACHINEIMAGE, image())
    cluster.have(PERSISTENTVOLUMECLAIM, pvc(image="tiny", finalizers=[FINALIZER_CSI]))
    driver.refuse(CSIUnavailable("CreateVolume", subject="data"))
    with pytest.raises(CSIUnavailable):
        await ClaimController(cluster.runtime(), {"lvol": driver}).reconcile(CLAIM)
    assert answers_for(cluster, "tiny") == [ImageSnapshot("lvol", DIGEST)]


async def test_an_image_that_was_never_cloned_is_held_by_nobody(
    cluster: ModelCluster, driver: RememberingDriver
) -> None:
    cluster.have(MACHINEIMAGE, image())
    await settle(cluster, driver)
    assert cluster.writes == []


async def test_the_snapshot_goes_before_the_image(cluster: ModelCluster, driver: RememberingDriver) -> None:
    cluster.have(MACHINEIMAGE, cloned(**GOING))
    driver.after_next_call = lambda: driver.calls.append(("image", is_there(cluster)))
    await settle(cluster, driver)
    assert driver.calls == [DELETED, ("image", True)]
    assert not is_there(cluster)


async def test_volumes_that_are_there_hold_no_image(cluster: ModelCluster, driver: RememberingDriver) -> None:
    cluster.have(PERSISTENTVOLUMECLAIM, pvc(image="tiny", finalizers=[FINALIZER_CSI], creationTimestamp=BEFORE))
    cluster.have(PERSISTENTVOLUME, pv(name="pvc-11111111-0000"))
    cluster.have(MACHINEIMAGE, cloned(**GOING))
    await settle(cluster, driver)
    assert (driver.calls, is_there(cluster)) == ([DELETED], False)


async def test_a_snapshot_whose_content_another_image_names_stays_and_that_image_answers_for_it(
    cluster: ModelCluster, driver: RememberingDriver
) -> None:
    cluster.have(MACHINEIMAGE, image("twin"))
    cluster.have(MACHINEIMAGE, cloned(**GOING))
    await settle(cluster, driver)
    assert (driver.calls, is_there(cluster)) == ([], False)
    assert answers_for(cluster, "twin") == [ImageSnapshot("lvol", DIGEST)]
    twin = cluster.now(MACHINEIMAGE, "twin") or {}
    cluster.have(MACHINEIMAGE, twin | {"metadata": twin["metadata"] | GOING})
    await settle(cluster, driver, Key(None, "twin"))
    assert (driver.calls, is_there(cluster, "twin")) == ([DELETED], False)


async def test_an_image_that_is_given_another_content_gives_the_old_one_up(
    cluster: ModelCluster, driver: RememberingDriver
) -> None:
    cluster.have(MACHINEIMAGE, cloned(content=OTHER))
    await settle(cluster, driver)
    assert driver.calls == [DELETED]
    assert answers_for(cluster, "tiny") == []


async def test_an_image_waits_for_a_volume_that_may_be_in_the_making_and_says_for_which(
    cluster: ModelCluster, driver: RememberingDriver
) -> None:
    cluster.have(PERSISTENTVOLUMECLAIM, pvc(image="tiny", finalizers=[FINALIZER_CSI], creationTimestamp=BEFORE))
    cluster.have(MACHINEIMAGE, cloned(**GOING))
    runtime, said = listened(cluster)
    await ImageController(runtime, {"lvol": driver}).reconcile(TINY)
    assert (driver.calls, is_there(cluster)) == ([], True)
    assert said == [(Reason.WAITING_FOR_CLAIMS, "volumes of it are being made: tenant-a/data")]
    await ClaimController(runtime, {"lvol": driver}).reconcile(CLAIM)
    await settle(cluster, driver)
    assert [call[0] for call in driver.calls] == ["create", "delete snapshot"]
    assert not is_there(cluster)


async def test_a_claim_that_comes_after_the_deletion_is_refused_and_not_waited_for(
    cluster: ModelCluster, driver: RememberingDriver
) -> None:
    late = pvc(image="tiny", finalizers=[FINALIZER_CSI], creationTimestamp=AFTERWARDS)
    cluster.have(PERSISTENTVOLUMECLAIM, late)
    cluster.have(MACHINEIMAGE, cloned(finalizers=[FINALIZER_CSI, "somebody/else"], **GOING))
    runtime, said = listened(cluster)
    await ClaimController(runtime, {"lvol": driver}).reconcile(CLAIM)
    assert "MachineImage tiny is being deleted" in said[0][1]
    await settle(cluster, driver)
    assert driver.calls == [DELETED]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, Reason.DRIVER_UNAVAILABLE),
        (grpc.StatusCode.INTERNAL, Reason.SNAPSHOT_NOT_DELETED),
    ],
)
async def test_a_driver_that_does_not_delete_is_asked_again_and_the_image_says_why_it_stays(
    cluster: ModelCluster, driver: RememberingDriver, code: grpc.StatusCode, reason: Reason
) -> None:
    cluster.have(MACHINEIMAGE, cloned(**GOING))
    answer = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details="no")
    driver.refuse(from_grpc(answer, attempt="DeleteSnapshot", subject="image", driver="lvol"))
    runtime, said = listened(cluster)
    controller = ImageController(runtime, {"lvol": driver})
    try:
        assert isinstance(await controller.reconcile(TINY), RequeueAfter)
    except CSIUnavailable:
        assert code is grpc.StatusCode.UNAVAILABLE
    assert [each[0] for each in said] == [reason]
    assert is_there(cluster)


async def test_an_image_of_a_driver_that_is_not_served_any_more_says_which(
    cluster: ModelCluster, driver: RememberingDriver
) -> None:
    cluster.have(MACHINEIMAGE, cloned(driver="gone.example.org", **GOING))
    runtime, said = listened(cluster)
    await ImageController(runtime, {"lvol": driver}).reconcile(TINY)
    assert said[0][0] == Reason.SNAPSHOT_NOT_DELETED
    assert "gone.example.org" in said[0][1]


async def test_a_claim_that_is_abandoned_when_its_image_is_gone_leaves_no_snapshot(
    cluster: ModelCluster, driver: RememberingDriver
) -> None:
    pinned = {"metalplane.io/image-digest": DIGEST}
    cluster.have(PERSISTENTVOLUMECLAIM, pvc(image="tiny", annotations=pinned, finalizers=[FINALIZER_CSI], **GOING))
    await ClaimController(cluster.runtime(), {"lvol": driver}).reconcile(CLAIM)
    assert [call[0] for call in driver.calls] == ["create", "delete", "delete snapshot"]
