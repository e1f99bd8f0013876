"""Stories of a Volume and its PVC."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.api.names import ANNOTATION_IMAGE_DIGEST, FINALIZER_IN_USE
from provider.api.quantity import parse_bytes
from provider.api.reasons import Reason
from provider.api.resources import PERSISTENTVOLUMECLAIM
from provider.api.volume import Volume
from provider.planning.action import CreateObject, DeleteObject, PatchObject
from provider.planning.volume import Failure, VolumePlan, World, plan
from tests.unit.planning.builders import DELETED, MACHINE_UID, NAMESPACE, Json, child, obj
from tests.unit.planning.model_api import ModelApi, at_rest, merged

DIGEST = "a" * 64
PVC = "vol-uid-data"


def volume(size: str = "1Gi", *, status: Json | None = None, deleted: bool = False, **parameters: str) -> Volume:
    made = child("Volume", "data", {"size": size} | parameters, **(DELETED if deleted else {}))
    return Volume.parse(made | ({"status": status} if status else {}))


def pvc(size: str = "1Gi", *, capacity: str | None = None, **metadata: object) -> Json:
    """Bound if it has a capacity."""
    spec: Json = {"resources": {"requests": {"storage": size}}}
    known: Json = {"labels": {"metalplane.io/machine-uid": MACHINE_UID}} | metadata
    made = obj("PersistentVolumeClaim", PVC, spec, **known)
    if capacity is not None:
        made["spec"]["volumeName"] = "pv"
        made["status"] = {"phase": "Bound", "capacity": {"storage": capacity}}
    return made


PV = obj("PersistentVolume", "pv", {"csi": {"driver": "lvol", "volumeHandle": "h"}}, namespace=None)


def decide(made: Volume, claim: Json | None = None, **known: object) -> VolumePlan:
    bound = claim is not None and "volumeName" in claim["spec"]
    world = World(made, claim, PV if bound else None, storage_class="lvol")
    return plan(replace(world, **known))  # type: ignore[arg-type]


def test_a_pvc_is_named_after_the_volume_and_names_its_image_with_the_pin() -> None:
    (action,) = decide(volume(image="tiny", imageDigest=DIGEST), digest=DIGEST).actions
    assert isinstance(action, CreateObject)
    assert action.body["metadata"]["name"] == PVC
    assert action.body["metadata"]["labels"] == {"metalplane.io/machine-uid": MACHINE_UID}
    assert action.body["metadata"]["annotations"] == {ANNOTATION_IMAGE_DIGEST: DIGEST}
    assert action.body["spec"]["dataSourceRef"] == {"apiGroup": "metalplane.io", "kind": "MachineImage", "name": "tiny"}
    assert action.body["spec"]["volumeMode"] == "Block"


@pytest.mark.parametrize(
    ("known", "reason"),
    [({"storage_class": None}, Reason.RECONCILE_ERROR), ({"digest": None}, Reason.IMAGE_NOT_FOUND)],
    ids=["no storage class", "no image"],
)
def test_nothing_is_made_of_what_is_not_known(known: dict[str, object], reason: Reason) -> None:
    decided = decide(volume(image="tiny"), None, **{"digest": DIGEST, **known})
    assert decided.actions == ()
    assert decided.ready.reason is reason


def test_a_volume_that_is_there_needs_neither_image_nor_configuration() -> None:
    known = {"storage_class": None, "digest": None}
    with_them, without = (decide(volume(image="tiny"), pvc(), **each) for each in ({"digest": DIGEST}, known))
    assert without == with_them


def test_a_storage_class_that_is_not_there_is_named() -> None:
    decided = decide(volume(), pvc(), storage_class="lvoll", storage_class_exists=False)
    assert decided.ready.reason is Reason.STORAGE_CLASS_NOT_FOUND
    assert "there is no StorageClass lvoll" in decided.ready.message


def test_a_pvc_that_was_bound_and_is_gone_is_not_made_again() -> None:
    lost = volume(status={"atProvider": {"persistentVolumeClaim": PVC, "persistentVolume": "pv"}})
    decided = decide(lost)
    assert decided.actions == ()
    assert decided.synced.status == "False"
    assert decided.seen.persistent_volume == "pv", "what is remembered is what keeps it from being made again"


def test_a_lost_status_is_observed_again_and_nothing_else_happens() -> None:
    decided = decide(volume(), pvc(capacity="1Gi"))
    assert decided.actions == ()
    assert decided.ready.status == "True"
    assert (decided.seen.persistent_volume, decided.seen.volume_handle) == ("pv", "h")


@given(have=st.integers(1, 50), want=st.integers(1, 50), bound=st.booleans())
def test_a_pvc_grows_when_bound_and_never_shrinks(have: int, want: int, bound: bool) -> None:
    claim = pvc(f"{have}Gi", capacity=f"{have}Gi" if bound else None)
    decided = decide(volume(f"{want}Gi"), claim)
    sizes = [
        action.body["spec"]["resources"]["requests"]["storage"]
        for action in decided.actions
        if isinstance(action, PatchObject)
    ]
    assert sizes == ([f"{want}Gi"] if bound and want > have else [])
    assert len(decided.actions) == len(sizes)


def test_a_volume_that_is_growing_is_not_ready_until_it_has_grown() -> None:
    claim = pvc("2Gi", capacity="1Gi")
    assert decide(volume("2Gi"), claim).ready.reason is Reason.UNAVAILABLE
    claim["status"]["capacity"]["storage"] = "2Gi"
    assert decide(volume("2Gi"), claim).ready.status == "True"


def test_what_the_provisioner_says_is_what_the_volume_says() -> None:
    failure = Failure(Reason.IMAGE_NOT_GRANTED, "not granted to tenant-a")
    decided = decide(volume(), pvc(), failure=failure)
    assert (decided.ready.reason, decided.ready.message) == (Reason.IMAGE_NOT_GRANTED, "not granted to tenant-a")


def test_a_deleted_volume_waits_for_the_disks_that_use_it() -> None:
    decided = decide(volume(deleted=True), pvc(capacity="1Gi"), users=("VirtualDisk bm-01-d",))
    assert decided.actions == ()
    assert not decided.gone
    assert decided.ready.reason is Reason.WAITING_FOR_DISKS
    assert "VirtualDisk bm-01-d" in decided.ready.message


def test_a_deleted_volume_waits_for_its_attachment() -> None:
    attachment = obj("VolumeAttachment", "mp-x", namespace=None)
    decided = decide(volume(deleted=True), pvc(capacity="1Gi"), attachment=attachment)
    assert decided.actions == ()
    assert "VolumeAttachment mp-x" in decided.ready.message


def test_nothing_is_made_on_the_delete_path() -> None:
    decided = decide(volume(deleted=True))
    assert decided.gone
    assert decided.actions == ()


def test_a_deleted_volume_whose_pvc_is_gone_does_not_wait_for_disks_that_wait_for_it() -> None:
    assert decide(volume(deleted=True), users=("VirtualDisk d",)).gone


def test_a_deleted_volume_asks_for_its_pvc_by_uid() -> None:
    (action,) = decide(volume(deleted=True), pvc()).actions
    assert isinstance(action, DeleteObject)
    assert (action.name, action.uid, action.policy) == (PVC, f"uid-{PVC}", "Delete")


def test_an_adopted_pvc_gets_its_new_machines_label() -> None:
    (action,) = decide(volume(), pvc(capacity="1Gi", labels={"mine": "1"})).actions
    assert isinstance(action, PatchObject)
    assert action.body == {"metadata": {"labels": {"metalplane.io/machine-uid": MACHINE_UID}}}


@dataclass
class Scene:
    """A Volume's world, to which things happen."""

    api: ModelApi = field(default_factory=ModelApi)
    size: int = 1
    deleted: bool = False
    in_use: bool = True
    status: Json | None = None

    @property
    def claim(self) -> Json | None:
        return self.api.get(PERSISTENTVOLUMECLAIM, PVC, NAMESPACE)

    def decide(self) -> VolumePlan:
        users = ("VirtualDisk d",) if self.in_use else ()
        return decide(volume(f"{self.size}Gi", status=self.status, deleted=self.deleted), self.claim, users=users)

    def happen(self, event: str) -> None:
        match event:
            case "grow":
                self.size += 1
            case "delete":
                self.deleted = True
            case "users go":
                self.in_use = False
            case "forget":
                self.status = None
            case _:
                claim = self.claim
                if claim is not None:
                    self.api.put(PERSISTENTVOLUMECLAIM, merged(claim, self._change(event, claim)))

    def _change(self, event: str, claim: Json) -> Json:
        if event == "protect":
            return {"metadata": {"finalizers": [FINALIZER_IN_USE]}}
        capacity = {"storage": claim["spec"]["resources"]["requests"]["storage"]}
        return {"spec": {"volumeName": "pv"}, "status": {"phase": "Bound", "capacity": capacity}}


@given(st.lists(st.sampled_from(["bind", "grow", "protect", "forget", "users go", "delete"]), max_size=12))
def test_carrying_out_a_plan_and_planning_again_gives_the_empty_plan_whatever_happens(happened: list[str]) -> None:
    scene = Scene()
    at_rest(scene.api, scene.decide)
    for event in happened:
        scene.happen(event)
        decided = at_rest(scene.api, scene.decide)
        scene.status = {"atProvider": decided.seen.to_json()}
        assert decided.gone == (scene.claim is None), "a Volume goes when its PVC has gone, and not before"
        may_go = scene.deleted and not scene.in_use
        assert may_go or (scene.claim and "deletionTimestamp" not in scene.claim["metadata"]), "its disks still use it"


def test_sizes_are_compared_as_bytes() -> None:
    assert parse_bytes("1Gi") == parse_bytes("1024Mi")
    assert decide(volume("1024Mi"), pvc(capacity="1Gi")).actions == ()


def test_a_volume_without_a_machine_labels_nothing() -> None:
    raw = child("Volume", "data", {"size": "1Gi"})
    del raw["metadata"]["ownerReferences"]
    (action,) = decide(Volume.parse(raw)).actions
    assert isinstance(action, CreateObject)
    assert action.body["metadata"]["labels"] == {}
