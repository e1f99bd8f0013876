"""A kept PVC that two machines name: who has it now keeps it, and who waits has it as soon as it is free."""

from copy import deepcopy

import pytest

from provider.api.names import ANNOTATION_EXTERNAL_NAME, FINALIZER_MANAGED, LABEL_MACHINE_UID, volume_attachment
from provider.api.resources import (
    PERSISTENTVOLUME,
    PERSISTENTVOLUMECLAIM,
    VIRTUALDISK,
    VOLUME,
    VOLUMEATTACHMENT,
    ResourceType,
)
from provider.controllers import build
from provider.runtime.controller import Controller, Json, Key
from tests.unit.controllers.rig import Fuse, PlayedBMC
from tests.unit.runtime.model_cluster import ModelCluster

NAMESPACE = "tenant-a"
OLD, NEW = "11111111-0000-0000-0000-000000000000", "22222222-0000-0000-0000-000000000000"
GOING = {"deletionTimestamp": "2026-01-01T11:00:00Z"}


class Scene:
    """A PVC that is bound and labelled with the old machine, and both machines' Volumes and disks of it."""

    def __init__(self) -> None:
        self.cluster = ModelCluster()
        controllers = build(self.cluster.runtime(), bmc=PlayedBMC(Fuse())).controllers
        self.controllers: dict[ResourceType, Controller] = {each.resource: each for each in controllers}
        for kind in {watch.resource for each in controllers for watch in each.watches} | set(self.controllers):
            self.cluster.cache.track(kind)
        self.cluster.have(PERSISTENTVOLUMECLAIM, _pvc())
        self.cluster.have(PERSISTENTVOLUME, _pv())
        for machine in (OLD, NEW):
            self.cluster.have(VOLUME, _child("volume", machine, {"size": "1Gi"}))
            self.cluster.have(
                VIRTUALDISK, _child("disk", machine, {"slot": 3, "volumeRef": {"name": f"volume-{machine}"}})
            )

    @property
    def holder(self) -> str:
        claim = self.cluster.now(PERSISTENTVOLUMECLAIM, "kept", NAMESPACE)
        assert claim is not None
        label: str = claim["metadata"]["labels"][LABEL_MACHINE_UID]
        return label

    async def reconcile(self, kind: ResourceType, *machines: str) -> None:
        for machine in machines:
            await self.controllers[kind].reconcile(Key(NAMESPACE, f"{kind.kind.lower()}-{machine}"))

    def woken(self, kind: ResourceType, source: ResourceType, obj: Json) -> set[str]:
        """Names of the objects of a kind that a change of ``obj`` brings."""
        watches = [watch for watch in self.controllers[kind].watches if watch.resource is source]
        return {key.name for watch in watches for key in watch.to_keys(obj)}


def _child(noun: str, machine: str, parameters: Json) -> Json:
    owner = {"apiVersion": "metalplane.io/v1alpha1", "kind": "BareMetalMachine", "name": machine[:8], "uid": machine}
    metadata = {
        "name": f"{noun}-{machine}",
        "namespace": NAMESPACE,
        "uid": f"uid-{noun}-{machine}",
        "finalizers": [FINALIZER_MANAGED],
        "annotations": {ANNOTATION_EXTERNAL_NAME: "kept"} if noun == "volume" else {},
        "ownerReferences": [owner | {"controller": True}],
    }
    return {"metadata": metadata, "spec": {"forProvider": parameters}}


def _pvc() -> Json:
    labels = {LABEL_MACHINE_UID: OLD}
    metadata = {"name": "kept", "namespace": NAMESPACE, "uid": "uid-kept", "labels": labels}
    spec = {"resources": {"requests": {"storage": "1Gi"}}, "volumeName": "pv"}
    return {"metadata": metadata, "spec": spec, "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}


def _pv() -> Json:
    reference = {"namespace": NAMESPACE, "name": "kept", "uid": "uid-kept"}
    spec = {"claimRef": reference, "csi": {"driver": "lvol", "volumeHandle": "h"}, "capacity": {"storage": "1Gi"}}
    return {"metadata": {"name": "pv", "uid": "uid-pv"}, "spec": spec}


def _attachment(machine: str) -> Json:
    metadata = {"name": volume_attachment("uid-pv"), "uid": "uid-attachment", "labels": {LABEL_MACHINE_UID: machine}}
    spec = {"attacher": "lvol", "nodeName": "dpu-1", "source": {"persistentVolumeName": "pv"}}
    return {"metadata": metadata, "spec": spec}


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_two_volumes_of_one_pvc_do_not_write_their_labels_in_turns(scene: Scene) -> None:
    for _ in range(3):
        await scene.reconcile(VOLUME, OLD, NEW)
    assert scene.holder == OLD
    assert not [write for write in scene.cluster.writes if write[1] == PERSISTENTVOLUMECLAIM.kind]


async def test_the_pvc_is_labelled_anew_once_its_old_volume_goes(scene: Scene) -> None:
    old = scene.cluster.now(VOLUME, f"volume-{OLD}", NAMESPACE)
    assert old is not None
    assert scene.woken(VOLUME, VOLUME, old) == set()
    going = deepcopy(old)
    going["metadata"] |= GOING
    scene.cluster.have(VOLUME, going)
    assert f"volume-{NEW}" in scene.woken(VOLUME, VOLUME, going)
    await scene.reconcile(VOLUME, NEW)
    assert scene.holder == NEW


def test_a_disk_hears_when_another_machine_gives_its_volume_up(scene: Scene) -> None:
    woken = scene.woken(VIRTUALDISK, VOLUMEATTACHMENT, _attachment(OLD))
    assert woken == {f"disk-{OLD}", f"disk-{NEW}"}


def test_an_attachment_of_what_is_not_known_concerns_nobody(scene: Scene) -> None:
    stranger = _attachment("33333333-0000-0000-0000-000000000000")
    stranger["spec"]["source"] = {"persistentVolumeName": "another"}
    assert scene.woken(VIRTUALDISK, VOLUMEATTACHMENT, stranger) == set()
