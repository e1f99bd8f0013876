"""A Volume: its planner is asked along a volume's whole life."""

from collections.abc import Iterator
from dataclasses import replace

from provider.api.names import LABEL_MACHINE_UID
from provider.api.reasons import Reason
from provider.api.volume import Volume
from provider.planning.volume import Failure, World, plan
from tests.states.markdown import OUTSIDE
from tests.states.scenes import Scene, object_words, section
from tests.unit.planning.builders import DELETED, MACHINE_UID, Json, child, obj

_PV = obj("PersistentVolume", "pv", {"csi": {"driver": "lvol", "volumeHandle": "h"}}, namespace=None)


def lines() -> Iterator[str]:
    intro = "It is a PersistentVolumeClaim, which a CSI driver provisions, grows and deletes behind it."
    yield from section("A Volume", intro, _scenes(), plan, object_words)


def _volume(size: str = "1Gi", *, deleted: bool = False, **status: str) -> Volume:
    made = child("Volume", "data", {"size": size}, **(DELETED if deleted else {}))
    return Volume.parse(made | ({"status": {"atProvider": status}} if status else {}))


def _claim(**metadata: str) -> Json:
    known: Json = {"labels": {LABEL_MACHINE_UID: MACHINE_UID}} | metadata
    return obj("PersistentVolumeClaim", "vol", {"resources": {"requests": {"storage": "1Gi"}}}, **known)


def _bound() -> Json:
    return _claim() | {"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}


def _growing() -> Json:
    return _bound() | {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}


def _scenes() -> Iterator[Scene[World]]:
    new = World(_volume(), storage_class="lvol")
    made, bound = replace(new, claim=_claim()), replace(new, claim=_bound(), persistent_volume=_PV)
    larger = replace(bound, volume=_volume("2Gi"))
    going = replace(bound, volume=_volume(deleted=True))
    failure = Failure(Reason.PROVISIONING_FAILED, "no space")
    yield Scene(
        "without class", "no storage class is named anywhere", replace(new, storage_class=None), ((OUTSIDE, "made"),)
    )
    yield Scene("new", "there is no PVC", new, ((OUTSIDE, "made"), ("without class", "one is named")))
    yield Scene("provisioning", "the PVC is not bound yet", made, (("new", "PVC made"),))
    yield Scene(
        "failed",
        "the driver says why it cannot",
        replace(made, failure=failure),
        (("provisioning", "the driver refuses"),),
    )
    yield Scene(
        "bound",
        "the PVC is bound, as large as asked",
        bound,
        (("provisioning", "provisioned"), ("failed", "provisioned"), ("growing", "grown")),
    )
    yield Scene("to grow", "spec.size is larger than the PVC asks for", larger, (("bound", "spec.size raised"),))
    yield Scene(
        "growing",
        "the PVC asks for more than it has",
        replace(larger, claim=_growing()),
        (("to grow", "asked"),),
    )
    lost = replace(new, volume=_volume(persistentVolume="pv"))
    yield Scene("lost", "the PVC was bound, and is gone", lost, (("bound", "PVC deleted by hand"),))
    yield Scene(
        "in use", "deleted; disks refer to it", replace(going, users=("VirtualDisk d",)), (("bound", "deleted"),)
    )
    yield Scene("unused", "deleted; no disk and no VolumeAttachment is left", going, (("in use", "disks gone"),))
    yield Scene("deleted", "deleted; there is no PVC", replace(going, claim=None), (("unused", "PVC gone"),))
