"""What to do next, decided from what was observed. Pure: values in, a plan out.

A plan is a sequence of stages; the calls of a stage do not depend on each other and are issued together, for on a stock
target each round trip costs 8 ms. After a plan was carried out, planning again gives the empty plan.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dpu_handler.lvol import names
from dpu_handler.lvol.target import Lvol, Subsystem

MIB = 1 << 20
CLUSTER_BYTES = MIB
"""Cluster size of the lvstore, which is what a first write to a clone copies; every size is a multiple of it."""

BLOCK_BYTES = 512
"""Block size throughout: a clone of an image with another block size than the pool's is refused by SPDK."""

MODEL_NUMBER = "metalplane"


@dataclass(frozen=True, slots=True)
class Call:
    """One JSON-RPC request to the target."""

    method: str
    params: Mapping[str, Any] = field(default_factory=dict)


Stage = tuple[Call, ...]
Plan = tuple[Stage, ...]


@dataclass(frozen=True, slots=True)
class Listener:
    """Where the storage node listens for NVMe/TCP."""

    traddr: str
    trsvcid: str


def round_up(size_bytes: int) -> int:
    """The smallest whole number of clusters that holds ``size_bytes``."""
    return -(-size_bytes // CLUSTER_BYTES) * CLUSTER_BYTES


def round_down(size_bytes: int) -> int:
    """The largest whole number of clusters within ``size_bytes``."""
    return size_bytes // CLUSTER_BYTES * CLUSTER_BYTES


@dataclass(frozen=True, slots=True)
class ImageState:
    """An image on its way into the pool: the finished snapshot, the lvol it is gathered in, the raw file's bdev."""

    snapshot: Lvol | None = None
    staging: Lvol | None = None
    raw: bool = False


def image(sha256: str, raw_file: str, lvstore: str, seen: ImageState) -> Plan:
    """Raw file -> AIO bdev -> clone -> decouple (the target copies) -> snapshot, then what was only a means goes.

    A snapshot holds all its clusters itself, so nothing of the raw file is needed at any later start.
    """
    staging, raw = names.image_staging(sha256), names.image_bdev(sha256)
    if seen.snapshot is not None:
        leftovers = [Call("bdev_lvol_delete", {"name": f"{lvstore}/{staging}"})] if seen.staging else []
        # The raw bdev is let go after its clone: bdev_aio_delete never answers while a clone holds it.
        after = [Call("bdev_aio_delete", {"name": raw})] if seen.raw else []
        return tuple((call,) for call in (*leftovers, *after))
    steps: list[Call] = []
    if seen.staging is None or seen.staging.esnap is not None:
        if not seen.raw:
            opened = {"name": raw, "filename": raw_file, "block_size": BLOCK_BYTES, "readonly": True}
            steps.append(Call("bdev_aio_create", opened | {"uuid": names.image_bdev_uuid(sha256)}))
        if seen.staging is None:
            steps.append(Call("bdev_lvol_clone_bdev", {"bdev": raw, "lvs_name": lvstore, "clone_name": staging}))
        steps.append(Call("bdev_lvol_decouple_parent", {"name": f"{lvstore}/{staging}"}))
    finished = {"lvol_name": f"{lvstore}/{staging}", "snapshot_name": names.image_snapshot(sha256)}
    steps.append(Call("bdev_lvol_snapshot", finished))
    steps.append(Call("bdev_lvol_delete", {"name": f"{lvstore}/{staging}"}))
    if seen.raw or any(step.method == "bdev_aio_create" for step in steps):
        steps.append(Call("bdev_aio_delete", {"name": raw}))
    return tuple((step,) for step in steps)


def dropped_image(sha256: str, lvstore: str, seen: ImageState) -> Plan:
    """An image goes, with what a cut-off import left of it; a snapshot that a volume stands on stays.

    It is never left to SPDK to refuse: a snapshot with one clone it merges into that.
    """
    staging = names.image_staging(sha256)
    steps: list[Call] = []
    if seen.staging is not None:
        steps.append(Call("bdev_lvol_delete", {"name": f"{lvstore}/{staging}"}))
    if seen.raw:
        # After its clone, as in ``image``.
        steps.append(Call("bdev_aio_delete", {"name": names.image_bdev(sha256)}))
    if seen.snapshot is not None and not seen.snapshot.clones - {staging}:
        steps.append(Call("bdev_lvol_delete", {"name": f"{lvstore}/{names.image_snapshot(sha256)}"}))
    return tuple((step,) for step in steps)


def volume(name: str, lvstore: str, size_bytes: int, image_sha256: str | None, seen: Lvol | None) -> Plan:
    """A volume of at least ``size_bytes`` (whole clusters): a clone of an image's snapshot, or blank and thin."""
    alias = f"{lvstore}/{name}"
    if seen is not None:
        return grow(alias, size_bytes, seen.size_bytes)
    if image_sha256 is None:
        blank = {"lvol_name": name, "lvs_name": lvstore, "size_in_mib": size_bytes // MIB, "thin_provision": True}
        return ((Call("bdev_lvol_create", blank),),)
    clone = {"snapshot_name": f"{lvstore}/{names.image_snapshot(image_sha256)}", "clone_name": name}
    # A resize depends on the clone and is never pipelined behind it: the target would refuse it.
    return ((Call("bdev_lvol_clone", clone),), (Call("bdev_lvol_resize", _size(alias, size_bytes)),))


def grow(name: str, size_bytes: int, present_bytes: int) -> Plan:
    """Grow to ``size_bytes``. A smaller size is never sent: the target destroys data even where it refuses."""
    return () if size_bytes <= present_bytes else ((Call("bdev_lvol_resize", _size(name, size_bytes)),),)


def export(lvol_uuid: str, host: str, listener: Listener, seen: Subsystem | None) -> Plan:
    """One subsystem for the volume, open to exactly ``host``.

    Stages follow what SPDK needs: the namespace before the listener, and stale hosts out before the new one is in.
    """
    nqn = names.subsystem(lvol_uuid)
    identity = {"nqn": nqn, "serial_number": names.serial_number(lvol_uuid), "model_number": MODEL_NUMBER}
    create = Call("nvmf_create_subsystem", identity | {"allow_any_host": False, "max_namespaces": 1})
    hosts = seen.hosts if seen else frozenset[str]()
    inside: list[Call] = []
    if seen is None or lvol_uuid not in seen.namespace_uuids:
        namespace = {"bdev_name": lvol_uuid, "nsid": 1, "uuid": lvol_uuid}
        inside.append(Call("nvmf_subsystem_add_ns", {"nqn": nqn, "namespace": namespace}))
    if host not in hosts:
        inside.append(Call("nvmf_subsystem_add_host", {"nqn": nqn, "host": host}))
    listening = seen is not None and (listener.traddr, listener.trsvcid) in seen.listeners
    address = {"trtype": "TCP", "adrfam": "IPv4", "traddr": listener.traddr, "trsvcid": listener.trsvcid}
    listen = Call("nvmf_subsystem_add_listener", {"nqn": nqn, "listen_address": address})
    closing = [Call("nvmf_subsystem_allow_any_host", {"nqn": nqn, "allow_any_host": False})]
    stages = (
        () if seen is not None else (create,),
        (
            *(closing if seen is not None and seen.any_host else ()),
            *(remove_host(nqn, stale) for stale in sorted(hosts - {host})),
        ),
        tuple(inside),
        () if listening else (listen,),
    )
    return tuple(stage for stage in stages if stage)


def unexport(seen: Subsystem | None, connected: frozenset[str]) -> Plan:
    """Revoke every host; delete the subsystem only once nobody is connected any more."""
    if seen is None:
        return ()
    if seen.hosts:
        return (tuple(remove_host(seen.nqn, host) for host in sorted(seen.hosts)),)
    if connected:
        return ()
    return ((Call("nvmf_delete_subsystem", {"nqn": seen.nqn}),),)


def remove_host(nqn: str, host: str) -> Call:
    """Revoke one host; the target cuts its connections."""
    return Call("nvmf_subsystem_remove_host", {"nqn": nqn, "host": host})


def _size(name: str, size_bytes: int) -> dict[str, Any]:
    return {"name": name, "size_in_mib": size_bytes // MIB}
