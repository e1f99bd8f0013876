"""The contract of managed resources, on Volumes: paused, policies, external-name, finalizer, conflicts, errors."""

from dataclasses import replace
from typing import Any

import pytest

from provider.api.managed import ALLOWED_POLICIES
from provider.api.names import (
    ANNOTATION_EXTERNAL_NAME,
    ANNOTATION_PAUSED,
    ANNOTATION_RECONCILE_REQUESTED_AT,
    FINALIZER_MANAGED,
)
from provider.api.resources import PERSISTENTVOLUMECLAIM, VOLUME
from provider.controllers import policies
from provider.controllers.inventory import Inventory
from provider.controllers.managed import ManagedController
from provider.controllers.surroundings import Surroundings
from provider.controllers.volume import VolumeKind
from provider.runtime.context import Runtime
from provider.runtime.controller import Json, Key, Settled
from provider.runtime.errors import Forbidden, Unavailable
from provider.runtime.events import EventRecorder
from tests.unit.runtime.model_cluster import ModelCluster, RecordedEvents

KEY = Key("tenant-a", "data")
GOING: Json = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [FINALIZER_MANAGED]}
PVC = "vol-uid-data"


class Scene:
    """A Volume, its controller, and the cluster around them."""

    def __init__(self, events: EventRecorder | None = None) -> None:
        self.cluster = ModelCluster(VOLUME)
        self.runtime: Runtime = self.cluster.runtime()
        if events is not None:
            self.runtime = replace(self.runtime, events=events)
        kind = VolumeKind(self.runtime, Surroundings(self.cluster.cache, Inventory(self.cluster.cache)))
        for watch in kind.watches:
            self.cluster.cache.track(watch.resource)
        self.controller = ManagedController(self.runtime, kind)

    def have(self, *, policies: list[str] | None = None, size: str = "1Gi", **metadata: Any) -> None:
        spec: Json = {"forProvider": {"size": size, "storageClassName": "lvol"}}
        if policies is not None:
            spec["managementPolicies"] = policies
        known = {"name": "data", "namespace": "tenant-a", "uid": "uid-data"}
        self.cluster.have(VOLUME, {"metadata": known | metadata, "spec": spec})

    def have_pvc(self, size: str = "1Gi", *, unseen: bool = False, **spec: Any) -> None:
        wanted = {"resources": {"requests": {"storage": size}}} | spec
        metadata = {"name": PVC, "namespace": "tenant-a", "uid": "uid-pvc", "finalizers": ["theirs"]}
        made = {"metadata": metadata, "spec": wanted, "status": {"phase": "Bound"}}
        self.cluster.have(PERSISTENTVOLUMECLAIM, made, unseen=unseen)

    async def reconcile(self) -> object:
        return await self.controller.reconcile(KEY)

    @property
    def volume(self) -> Json:
        found = self.cluster.now(VOLUME, "data", "tenant-a")
        assert found is not None
        return found

    @property
    def pvc(self) -> Json | None:
        return self.cluster.now(PERSISTENTVOLUMECLAIM, PVC, "tenant-a")

    def condition(self, type_: str) -> tuple[str, str, str]:
        found = next(each for each in self.volume["status"]["conditions"] if each["type"] == type_)
        return found["status"], found["reason"], found["message"]

    @property
    def touched(self) -> list[tuple[str, str]]:
        """What was written beside the Volume itself."""
        return [(verb, kind) for verb, kind, *_ in self.cluster.writes if kind != "Volume"]

    @property
    def said(self) -> list[str]:
        assert isinstance(self.runtime.events, RecordedEvents)
        return [reason for reason, _ in self.runtime.events.said]


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_the_finalizer_and_the_external_name_are_written_before_anything_is_made(scene: Scene) -> None:
    scene.have()
    await scene.reconcile()
    first, second = scene.cluster.writes[:2]
    assert first[:2] == ("apply", "Volume")
    assert first[3]["metadata"]["finalizers"] == [FINALIZER_MANAGED]
    assert first[3]["metadata"]["annotations"] == {ANNOTATION_EXTERNAL_NAME: PVC}
    assert second[:3] == ("create", "PersistentVolumeClaim", PVC)
    assert scene.said == ["CreatedExternalResource"]


@pytest.mark.parametrize("going", [{}, GOING], ids=["alive", "deleted"])
async def test_a_paused_object_is_not_touched_whatever_it_asks_for(scene: Scene, going: Json) -> None:
    scene.have(size="5Gi", annotations={ANNOTATION_PAUSED: "true"}, **going)
    scene.have_pvc()
    assert await scene.reconcile() == Settled()
    assert scene.touched == []
    assert scene.condition("Synced")[:2] == ("False", "ReconcilePaused")
    assert scene.volume["metadata"].get("finalizers") == going.get("finalizers")


async def test_an_object_that_is_no_longer_paused_goes_on(scene: Scene) -> None:
    scene.have(annotations={ANNOTATION_PAUSED: "true"})
    await scene.reconcile()
    scene.have(annotations={ANNOTATION_PAUSED: "false"})
    await scene.reconcile()
    assert scene.pvc is not None
    assert scene.condition("Synced")[0] == "True"


@pytest.mark.parametrize("wanted", [["Create"], ["Delete"], ["Observe", "*"], ["Update", "Delete"]])
async def test_a_combination_of_policies_that_means_nothing_is_refused(scene: Scene, wanted: list[str]) -> None:
    scene.have(policies=wanted)
    assert await scene.reconcile() == Settled()
    assert scene.touched == []
    assert scene.condition("Synced")[:2] == ("False", "InvalidManagementPolicies")


def test_exactly_crossplanes_combinations_are_granted() -> None:
    assert len(ALLOWED_POLICIES) == 15
    assert policies.granted(["*"]) == policies.EVERYTHING
    assert all(policies.granted(list(each)) is not None for each in ALLOWED_POLICIES)
    assert policies.granted(["Create", "Delete"]) is None


async def test_observe_only_reports_what_is_there_and_changes_nothing(scene: Scene) -> None:
    scene.have(policies=["Observe"], size="5Gi")
    scene.have_pvc("1Gi")
    await scene.reconcile()
    assert scene.touched == []
    status, _, message = scene.condition("Ready")
    assert (status, "Update" in message) == ("False", True)
    assert scene.volume["status"]["atProvider"]["phase"] == "Bound"


async def test_observe_only_makes_nothing_and_says_that_it_may_not(scene: Scene) -> None:
    scene.have(policies=["Observe"])
    await scene.reconcile()
    assert scene.pvc is None
    status, reason, message = scene.condition("Synced")
    assert (status, reason) == ("False", "ReconcileError")
    assert "do not allow to create it" in message


async def test_observe_only_lets_go_without_deleting(scene: Scene) -> None:
    scene.have(policies=["Observe"], **GOING)
    scene.have_pvc()
    await scene.reconcile()
    assert scene.touched == []
    assert scene.cluster.now(VOLUME, "data", "tenant-a") is None


async def test_without_delete_the_external_resource_stays_behind(scene: Scene) -> None:
    scene.have(policies=["Observe", "Create", "Update", "LateInitialize"], **GOING)
    scene.have_pvc()
    await scene.reconcile()
    assert scene.pvc is not None
    assert "deletionTimestamp" not in scene.pvc["metadata"]
    assert scene.cluster.now(VOLUME, "data", "tenant-a") is None


async def test_with_delete_the_object_stays_until_the_external_resource_is_gone(scene: Scene) -> None:
    scene.have(**GOING)
    scene.have_pvc()
    await scene.reconcile()
    assert scene.pvc is not None
    assert "deletionTimestamp" in scene.pvc["metadata"]
    assert FINALIZER_MANAGED in scene.volume["metadata"]["finalizers"]
    assert scene.condition("Ready")[:2] == ("False", "Deleting")
    await scene.cluster.patch(PERSISTENTVOLUMECLAIM, PVC, "tenant-a", {"metadata": {"finalizers": []}})
    await scene.reconcile()
    assert scene.cluster.now(VOLUME, "data", "tenant-a") is None


async def test_a_deleted_object_that_was_never_taken_on_is_nobodys_affair(scene: Scene) -> None:
    scene.have(deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["somebody-elses"])
    assert await scene.reconcile() == Settled()
    assert scene.cluster.writes == []


async def test_a_volume_does_not_change_its_pvc(scene: Scene) -> None:
    scene.have()
    await scene.reconcile()
    scene.cluster.have(
        VOLUME, scene.volume | {"metadata": scene.volume["metadata"] | {"annotations": {ANNOTATION_EXTERNAL_NAME: "x"}}}
    )
    scene.have_pvc()
    await scene.reconcile()
    scene.cluster.writes.clear()
    await scene.reconcile()
    assert scene.touched == []
    assert scene.condition("Synced")[:2] == ("False", "ExternalNameRefused")


async def test_what_the_cache_has_not_seen_is_looked_at_again_and_the_plan_made_anew(scene: Scene) -> None:
    scene.have()
    scene.have_pvc(unseen=True)
    await scene.reconcile()
    assert scene.volume["status"]["atProvider"]["phase"] == "Bound"
    assert scene.condition("Synced")[0] == "True"
    assert scene.touched == []


async def test_a_lost_compare_and_swap_is_decided_again_on_what_is_there(scene: Scene) -> None:
    scene.have(size="2Gi")
    scene.have_pvc("1Gi")
    scene.have_pvc("1Gi", unseen=True, changed="meanwhile")
    await scene.reconcile()
    assert scene.pvc is not None
    assert scene.pvc["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert scene.pvc["spec"]["changed"] == "meanwhile"


async def test_a_status_that_says_nothing_new_is_not_written(scene: Scene) -> None:
    scene.have()
    await scene.reconcile()
    scene.cluster.writes.clear()
    for _ in range(3):
        await scene.reconcile()
    assert scene.cluster.writes == []


async def test_a_request_for_a_reconcile_is_echoed(scene: Scene) -> None:
    scene.have(annotations={ANNOTATION_RECONCILE_REQUESTED_AT: "now"})
    await scene.reconcile()
    assert scene.volume["status"]["lastHandledReconcileAt"] == "now"


@pytest.mark.parametrize("failure", [Forbidden, Unavailable])
async def test_an_error_is_told_on_the_object_and_tried_again(
    scene: Scene, failure: type[Forbidden | Unavailable], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object, **__: object) -> Json:
        raise failure("create PersistentVolumeClaim", subject=PVC, cause="because")

    scene.have()
    monkeypatch.setattr(scene.cluster, "create", fails)
    with pytest.raises(failure):
        await scene.reconcile()
    status, reason, message = scene.condition("Synced")
    assert (status, reason) == ("False", "ReconcileError")
    assert "because" in message
    assert scene.said == ["CannotCreateExternalResource"]


def posted(events: EventRecorder) -> list[str]:
    """Reasons of the Events that are on their way."""
    return [events._queue.get_nowait()["reason"] for _ in range(events._queue.qsize())]


async def test_a_fault_that_heals_and_comes_back_is_told_again_and_one_that_lasts_is_not() -> None:
    events = EventRecorder(ModelCluster(), controller="test", instance="test")
    scene, told = Scene(events), []
    for may in ("Observe", "Observe", "*", "Observe"):
        scene.have(policies=[may])
        if may == "Observe" and scene.pvc is not None:
            scene.cluster.have(PERSISTENTVOLUMECLAIM, scene.pvc | {"metadata": scene.pvc["metadata"] | GOING})
            await scene.cluster.patch(PERSISTENTVOLUMECLAIM, PVC, "tenant-a", {"metadata": {"finalizers": []}})
        await scene.reconcile()
        told.append(posted(events))
    assert told == [["ReconcileError"], [], ["CreatedExternalResource"], ["ReconcileError"]]


async def test_a_second_pause_is_told_as_the_first_was() -> None:
    events = EventRecorder(ModelCluster(), controller="test", instance="test")
    scene, told = Scene(events), []
    for paused in ("true", "true", "false", "true"):
        scene.have(annotations={ANNOTATION_PAUSED: paused})
        await scene.reconcile()
        told.append("ReconciliationPaused" in posted(events))
    assert told == [True, False, False, True]


async def test_an_object_that_is_gone_is_nothing_to_do(scene: Scene) -> None:
    assert await scene.reconcile() == Settled()
    assert scene.cluster.writes == []
