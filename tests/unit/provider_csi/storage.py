"""PVCs, PVs and attachments as the API server would send them, and a driver that remembers its calls."""

from collections.abc import Callable, Mapping
from typing import Any

from provider.csi.driver import Driver, ProvisionedVolume
from provider.csi.errors import CSIError

Json = dict[str, Any]

GIB = 1 << 30
DIGEST = "a" * 64


def pvc(size: str = "1Gi", *, image: str | None = None, **metadata: Any) -> Json:
    known = {"name": "data", "namespace": "tenant-a", "uid": "11111111-0000", "resourceVersion": "1"}
    spec: Json = {
        "accessModes": ["ReadWriteOnce"],
        "volumeMode": "Block",
        "storageClassName": "lvol",
        "resources": {"requests": {"storage": size}},
    }
    if image is not None:
        spec["dataSourceRef"] = {"apiGroup": "metalplane.io", "kind": "MachineImage", "name": image}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": known | metadata, "spec": spec}


def bound(claim: Json, capacity: str) -> Json:
    status = {"phase": "Bound", "capacity": {"storage": capacity}}
    return claim | {"spec": claim["spec"] | {"volumeName": "pv"}, "status": status}


def pv(capacity: str = "1Gi", *, policy: str = "Delete", phase: str = "Bound", **metadata: Any) -> Json:
    spec = {
        "capacity": {"storage": capacity},
        "persistentVolumeReclaimPolicy": policy,
        "volumeMode": "Block",
        "claimRef": {"namespace": "tenant-a", "name": "data", "uid": "11111111-0000"},
        "csi": {"driver": "lvol", "volumeHandle": "h", "volumeAttributes": {"lvstore": "s"}},
    }
    known = {"name": "pv", "uid": "uid-pv", "resourceVersion": "1", "finalizers": ["metalplane.io/csi"]}
    made = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": known | metadata, "spec": spec}
    return made | {"status": {"phase": phase}}


def image(
    name: str = "tiny",
    *,
    allowed: tuple[str, ...] = ("tenant-a",),
    sha256: str = DIGEST,
    size_bytes: int = GIB,
    **metadata: Any,
) -> Json:
    spec = {"sha256": sha256, "sizeBytes": size_bytes, "allowedNamespaces": list(allowed)}
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": "1"} | metadata, "spec": spec}


def attachment(name: str = "mp-x", *, attached: bool = False, **metadata: Any) -> Json:
    spec = {"attacher": "lvol", "nodeName": "dpu-1", "source": {"persistentVolumeName": "pv"}}
    made = {"metadata": {"name": name, "uid": "uid-va", "resourceVersion": "1"} | metadata, "spec": spec}
    return made | {"status": {"attached": attached}}


GOING: Json = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


class RememberingDriver(Driver):
    """Counts attaches in the publish context, as a driver does that gives each attach a host name of its own."""

    def __init__(self) -> None:
        self.name = "lvol"
        self.calls: list[tuple[Any, ...]] = []
        self.refusal: CSIError | None = None
        self.after_next_call: Callable[[], object] | None = None
        self._attaches = 0

    async def create_volume(
        self, name: str, size_bytes: int, parameters: Mapping[str, str], *, block: bool
    ) -> ProvisionedVolume:
        self._called("create", name, size_bytes, dict(parameters), block)
        return ProvisionedVolume(f"handle-of-{name}", size_bytes, {"lvstore": "s"})

    async def delete_volume(self, handle: str) -> None:
        self._called("delete", handle)

    async def delete_snapshot(self, handle: str) -> None:
        self._called("delete snapshot", handle)

    async def expand_volume(self, handle: str, size_bytes: int, *, block: bool) -> int:
        self._called("expand", handle, size_bytes)
        return size_bytes

    async def publish_volume(
        self, handle: str, node_id: str, attributes: Mapping[str, str], *, block: bool
    ) -> dict[str, str]:
        self._called("publish", handle, node_id)
        self._attaches += 1
        return {"hostnqn": f"{node_id}.g{self._attaches}"}

    async def unpublish_volume(self, handle: str, node_id: str) -> None:
        self._called("unpublish", handle, node_id)

    def refuse(self, refusal: CSIError) -> None:
        """Answer so from now on."""
        self.refusal = refusal

    def _called(self, *call: Any) -> None:
        self.calls.append(call)
        if self.refusal is not None:
            raise self.refusal
        after, self.after_next_call = self.after_next_call, None
        if after is not None:
            after()
