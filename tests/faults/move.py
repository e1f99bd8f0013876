"""A kept volume goes from the server of one DPU to the server of another, while the first one still writes to it.

The first machine is deleted under its writes; the second was made before, names the volume's PVC as its own, and starts
as soon as it has it. What was acknowledged to the first must be there; then the second writes over all of it, and
nothing of the first may land on that, however late its DPU comes back.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from provider.api import API_VERSION
from provider.api.names import (
    ANNOTATION_EXTERNAL_NAME,
    ANNOTATION_PAUSED,
    ANNOTATION_RESOURCE_NAME,
    LABEL_COMPOSITE,
    LABEL_MACHINE_UID,
    child_name,
    volume_attachment,
)
from provider.function.children import KEEP_POLICIES
from provider.function.observed import volume_name
from sandbox.cloud import Cloud
from tests.e2e.tenant import BOOT_S, Json, Machine, Tenant, patch
from tests.faults.acknowledged import Writing, check, digest_of
from tests.waiting import wait_for

Strike = Callable[[], None]

_SECOND = "server1"
_SECOND_ADDRESS = "10.20.0.12"
_SIZE = "64Mi"
_DISK = "/dev/vdc"
"""The first data disk of a machine: after its boot disk and its seed."""

_OTHERS = 2
"""Its boot disk and its seed."""

_WRITTEN_MIB = 48
"""What both write to: records in front, and behind them what is on its way all the time, so that a DPU has a queue."""

_QUEUE = f"while dd if=/dev/zero of={_DISK} bs=64k seek=512 count=256 conv=notrunc,fsync; do :; done"
_LINE = "the second machine\n"
_WRITE_OVER = f"yes '{_LINE.strip()}' | head -c {_WRITTEN_MIB << 20} | dd of={_DISK} bs=64k conv=notrunc,fsync"


def nothing() -> None:
    """What happens meanwhile where nothing does."""


def keep_second_server_free(cloud: Cloud) -> None:
    """Have machines go to the first server, until one is made for the second."""
    if cloud.servers > 1:
        _cordon(cloud, cordoned=True)


class Move:
    """The two machines and their volume."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._first = tenant.apply("bm-01", terminationGracePeriodSeconds=5, disks=_disks())
        self._first.wait_running(BOOT_S)
        self._volume = _claim_of_data_disk(tenant)
        with _second_server_open(tenant.cloud):
            self._second = self._make_second()

    def go_through(self, strike: Strike = nothing, let_go: Strike = nothing, *, revoke: bool = False) -> None:
        """Delete the first machine under fire; fails unless the second has all, and has it alone.

        ``revoke``: its operator takes the volume from it by force, while what was struck is still so.
        """
        writing = self._write()
        try:
            self._first.delete()
            strike()
            if revoke:
                self._revoke()
            self._second.wait_running(2 * BOOT_S)
            check(self._second, writing.stop(), _DISK, _SECOND_ADDRESS)
            self._second.run(_WRITE_OVER, _SECOND_ADDRESS)
        finally:
            writing.stop()
            let_go()
        self._first.wait_gone(2 * BOOT_S)
        left = digest_of(self._second, _DISK, _WRITTEN_MIB << 20, _SECOND_ADDRESS)
        assert left == _digest_of_second(), "what the second machine wrote is not all there"

    def _write(self) -> Writing:
        wait_for(self._first.lets_in, "the first machine lets its tenant in")
        self._first.start(_QUEUE)
        return Writing(self._first, _DISK)

    def _revoke(self) -> None:
        """What an operator does who knows that a DPU does not answer: the storage shuts it out."""
        name = volume_attachment(self._persistent_volume()["metadata"]["uid"])
        self._tenant.kubectl.run("delete", f"volumeattachment/{name}", "--timeout=60s")

    def _persistent_volume(self) -> Json:
        claim = self._tenant.kubectl.get(f"pvc/{self._volume}", f"--namespace={self._tenant.namespace}")
        return self._tenant.kubectl.get(f"pv/{claim['spec']['volumeName']}")

    def _make_second(self) -> Machine:
        """Its data disk's Volume is made by hand, before the engine would: so that it names the PVC that is there."""
        interface = {"name": "eth0", "network": "tenant-a", "address": f"{_SECOND_ADDRESS}/24"}
        machine = self._tenant.apply("bm-02", paused=True, disks=_disks(), networkInterfaces=[interface])
        self._tenant.kubectl.apply([_volume(machine, self._volume)])
        unpaused = {"metadata": {"annotations": {ANNOTATION_PAUSED: None}}}
        patch(self._tenant.cloud, f"bmm/{machine.name}", unpaused, self._tenant.namespace)
        wait_for(lambda: _ready_disks(machine) == _OTHERS, "bm-02 waits for nothing but the volume", BOOT_S)
        return machine


def _ready_disks(machine: Machine) -> int:
    uid = machine.get()["metadata"]["uid"]
    selected = (f"--namespace={machine.tenant.namespace}", f"--selector={LABEL_MACHINE_UID}={uid}")
    disks = machine.tenant.kubectl.get("virtualdisks", *selected)["items"]
    conditions = [each for disk in disks for each in disk.get("status", {}).get("conditions", ())]
    return sum(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _disks() -> list[Json]:
    root = {"name": "root", "boot": True, "image": "tiny", "size": "1Gi"}
    return [root, {"name": "data", "size": _SIZE, "keep": True}]


def _volume(machine: Machine, claim: str) -> Json:
    identity = machine.get()["metadata"]
    owner = {"apiVersion": API_VERSION, "kind": "BareMetalMachine", "name": machine.name, "uid": identity["uid"]}
    resource = volume_name("data")
    metadata = {
        "name": child_name(machine.name, identity["uid"], resource),
        "namespace": identity["namespace"],
        "labels": {LABEL_COMPOSITE: machine.name},
        "annotations": {ANNOTATION_RESOURCE_NAME: resource, ANNOTATION_EXTERNAL_NAME: claim},
        "ownerReferences": [owner | {"controller": True, "blockOwnerDeletion": True}],
    }
    spec = {"managementPolicies": KEEP_POLICIES, "forProvider": {"size": _SIZE}}
    return {"apiVersion": API_VERSION, "kind": "Volume", "metadata": metadata, "spec": spec}


def _claim_of_data_disk(tenant: Tenant) -> str:
    claims = tenant.kubectl.get("pvc", f"--namespace={tenant.namespace}")["items"]
    (name,) = (each["metadata"]["name"] for each in claims if each["spec"]["resources"]["requests"]["storage"] == _SIZE)
    return str(name)


@contextmanager
def _second_server_open(cloud: Cloud) -> Iterator[None]:
    _cordon(cloud, cordoned=False)
    try:
        yield
    finally:
        _cordon(cloud, cordoned=True)


def _cordon(cloud: Cloud, *, cordoned: bool) -> None:
    patch(cloud, f"server/{_SECOND}", {"spec": {"unschedulable": cordoned}})


def _digest_of_second() -> str:
    size = _WRITTEN_MIB << 20
    lines = (_LINE * (size // len(_LINE) + 1)).encode()
    return hashlib.sha256(lines[:size]).hexdigest()
