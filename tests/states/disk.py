"""A VirtualDisk: its planner is asked along the life of a disk with a volume behind it."""

from collections.abc import Iterator
from dataclasses import replace

from provider.api.names import ANNOTATION_VIRTUAL_DISK, FINALIZER_EMULATION, FINALIZER_IN_USE
from provider.api.virtualdisk import VirtualDisk
from provider.planning.attachment import Storage
from provider.planning.emulated import Departure
from provider.planning.virtualdisk import World, plan
from tests.states.emulation import applied, reported
from tests.states.markdown import OUTSIDE
from tests.states.scenes import Scene, object_words, section
from tests.unit.planning.builders import DELETED, UNBOUND, Json, child, hold_on, obj

_PV = obj(
    "PersistentVolume",
    "pv",
    {"claimRef": {"uid": "uid-pvc"}, "csi": {"driver": "lvol", "volumeHandle": "h"}},
    namespace=None,
)


def lines() -> Iterator[str]:
    intro = (
        "It claims its volume by a VolumeAttachment, and asks the DPU to show it by an EmulatedDisk. One with a seed "
        "instead waits for the addresses of its machine's NICs, and writes the seed as a Secret."
    )
    yield from section("A VirtualDisk", intro, _scenes(), plan, object_words)


def _disk(*, deleted: bool = False) -> VirtualDisk:
    parameters = {"volumeRef": {"name": "v"}, "slot": 1}
    return VirtualDisk.parse(child("VirtualDisk", "disk", parameters, **(DELETED if deleted else {})))


def _claim(*finalizers: str) -> Json:
    made = obj("PersistentVolumeClaim", "pvc", {"volumeName": "pv"}, finalizers=list(finalizers))
    return made | {"status": {"phase": "Bound"}}


def _attachment(status: Json) -> Json:
    marks = {ANNOTATION_VIRTUAL_DISK: "uid-disk"}
    made = obj("VolumeAttachment", "va", {"nodeName": "dpu-of-s1"}, namespace=None, annotations=marks)
    return made | {"status": status}


def _scenes() -> Iterator[Scene[World]]:
    protected = _claim(FINALIZER_IN_USE)
    attached = Storage(protected, _PV, _attachment({"attached": True, "attachmentMetadata": {}}))
    new, ready = World(_disk(), hold_on()), World(_disk(), hold_on(), attached)
    asked = replace(ready, device=applied(plan(ready)))
    shown = replace(asked, device=reported(asked.device, "Ready"))
    yield Scene("without server", "the ServerClaim holds none yet", replace(new, hold=UNBOUND), ((OUTSIDE, "made"),))
    yield Scene("waits", "its volume is not bound yet", new, (("without server", "server bound"),))
    yield Scene(
        "unprotected",
        "the PVC is bound, and may still be deleted",
        replace(new, storage=Storage(_claim(), _PV)),
        (("waits", "volume bound"),),
    )
    yield Scene(
        "free", "nobody holds the volume", replace(new, storage=Storage(protected, _PV)), (("unprotected", "done"),)
    )
    yield Scene(
        "attaching",
        "the VolumeAttachment is not attached yet",
        replace(new, storage=Storage(protected, _PV, _attachment({}))),
        (("free", "made"),),
    )
    yield Scene(
        "attach failed",
        "the driver says why it cannot",
        replace(new, storage=Storage(protected, _PV, _attachment({"attachError": {"message": "no"}}))),
        (("attaching", "the driver refuses"),),
    )
    yield Scene(
        "attached",
        "the volume is attached to the DPU",
        ready,
        (("attaching", "attached"), ("attach failed", "attached")),
    )
    yield Scene("asked", "the EmulatedDisk is there, and no agent has seen it", asked, (("attached", "applied"),))
    yield Scene("shown", "the agent says Ready", shown, (("asked", "the agent shows it"), ("unknown", "agent back")))
    yield Scene(
        "unknown", "the agent is silent", replace(shown, agent_lost="silent"), (("shown", "Lease not renewed"),)
    )
    yield from _leaving(shown, attached)


def _leaving(shown: World, attached: Storage) -> Iterator[Scene[World]]:
    going = replace(shown, disk=_disk(deleted=True))
    machine_leaves = Departure(machine_leaves=True, power_states=("PowerState p",), running=("PowerState p",))
    taken = replace(going, device=reported(going.device, "Removed", **DELETED, finalizers=[FINALIZER_EMULATION]))
    free = replace(going, device=None)
    yield Scene(
        "powered",
        "deleted with its machine, whose power was not seen off",
        replace(going, departure=machine_leaves),
        (("shown", "machine deleted"),),
    )
    yield Scene("goes", "deleted; the DPU shows it", going, (("powered", "power seen off"), ("shown", "unplugged")))
    yield Scene("taken away", "deleted; the agent says Removed", taken, (("goes", "the agent has undone it"),))
    yield Scene("held", "deleted; the volume is attached still", free, (("taken away", "EmulatedDisk gone"),))
    yield Scene(
        "detached",
        "deleted; there is no VolumeAttachment",
        replace(free, storage=replace(attached, attachment=None)),
        (("held", "detached"),),
    )
    yield Scene(
        "gone",
        "deleted; the PVC is not protected by it",
        replace(free, storage=Storage(_claim(), _PV)),
        (("detached", "done"),),
    )
