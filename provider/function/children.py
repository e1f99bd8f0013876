"""The children of a machine, as the function wants them. What was resolved once is read back from what is observed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from provider.api import API_VERSION
from provider.api.machine import MachineDisk, MachineNetworkInterface
from provider.api.names import LABEL_DISK, LABEL_MACHINE_UID, LABEL_NIC, LABEL_RUN
from provider.api.virtualdisk import VirtualDisk
from provider.api.virtualnic import VirtualNIC
from provider.api.volume import Volume
from provider.function.observed import CLAIM, POWER, SEED, Observed, disk_name, nic_name, volume_name

Json = dict[str, Any]

BOOT_SLOT, SEED_SLOT, FIRST_DATA_SLOT = 1, 2, 3
KEEP_POLICIES = ["Observe", "Create", "Update", "LateInitialize"]
_SIBLING: Json = {"matchControllerRef": True}


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that only the cluster can supply and that is not there."""

    kind: str
    name: str


def missing(seen: Observed) -> list[Missing]:
    """What has to be resolved, for the first time, and cannot be."""
    lacks: list[Missing] = []
    spec = seen.machine.spec
    if spec.instance_type and seen.claim is None and spec.instance_type not in seen.instance_types:
        lacks.append(Missing("InstanceType", spec.instance_type))
    lacks += [Missing("MachineImage", disk.image) for disk in spec.disks if disk.image and _digest(disk, seen) is None]
    return lacks


def compose(seen: Observed) -> dict[str, Json]:
    """All children that can be composed, by resource name."""
    spec = seen.machine.spec
    composed = {CLAIM: _claim(seen)} if seen.claim is not None or not _lacks_instance_type(seen) else {}
    slots = _slots(seen)
    for disk in spec.disks:
        if disk.image is None or _digest(disk, seen) is not None:
            composed[volume_name(disk.name)] = _volume(disk, seen)
            composed[disk_name(disk.name)] = _disk(disk, slots[disk.name], seen)
    indexes = _indexes(seen)
    for interface in spec.network_interfaces:
        composed[nic_name(interface.name)] = _nic(interface, indexes[interface.name], seen)
    composed[SEED] = _seed(seen)
    composed[POWER] = _power(seen)
    for name in seen.ephemeral.resources & composed.keys():
        composed[name]["metadata"]["labels"][LABEL_RUN] = seen.ephemeral.run
    return composed


def _claim(seen: Observed) -> Json:
    spec = seen.machine.spec
    wanted: Json = {"disks": len(spec.disks) + 1, "nics": len(spec.network_interfaces)}
    if seen.claim is not None:
        pinned = seen.claim.spec.for_provider.to_json()
        wanted |= {key: pinned[key] for key in ("instanceType", "cpus", "memory", "serverSelector") if key in pinned}
    elif spec.instance_type:
        type_ = seen.instance_types[spec.instance_type].spec
        wanted |= {"instanceType": spec.instance_type, "cpus": type_.cpus, "memory": type_.memory}
        if type_.server_selector is not None:
            wanted["serverSelector"] = type_.server_selector.to_json()
    elif spec.server_selector is not None:
        wanted["serverSelector"] = spec.server_selector.to_json()
    return _manifest("ServerClaim", seen, wanted)


def _volume(disk: MachineDisk, seen: Observed) -> Json:
    wanted: Json = {"size": disk.size}
    if disk.image is not None:
        wanted |= {"image": disk.image, "imageDigest": _digest(disk, seen)}
    if disk.storage_class is not None:
        wanted["storageClassName"] = disk.storage_class
    manifest = _manifest("Volume", seen, wanted, {LABEL_DISK: disk.name})
    if disk.kept:
        manifest["spec"]["managementPolicies"] = KEEP_POLICIES
    return manifest


def _disk(disk: MachineDisk, slot: int, seen: Observed) -> Json:
    wanted: Json = {
        "serverClaimSelector": _SIBLING,
        "volumeSelector": {**_SIBLING, "matchLabels": {LABEL_DISK: disk.name}},
        "slot": slot,
    }
    if disk.boot:
        wanted["bootIndex"] = 1
    return _manifest("VirtualDisk", seen, wanted, {LABEL_DISK: disk.name})


def _seed(seen: Observed) -> Json:
    content: Json = {"hostname": seen.machine.metadata.name[:63]}
    if seen.machine.spec.cloud_init is not None:
        content |= seen.machine.spec.cloud_init.to_json()
    wanted = {"serverClaimSelector": _SIBLING, "seed": content, "slot": SEED_SLOT, "readOnly": True}
    return _manifest("VirtualDisk", seen, wanted)


def _nic(interface: MachineNetworkInterface, index: int, seen: Observed) -> Json:
    wanted: Json = {"serverClaimSelector": _SIBLING, "network": interface.network, "index": index}
    if interface.mac is not None:
        wanted["macAddress"] = interface.mac
    if interface.address is not None:
        wanted["address"] = interface.address
    return _manifest("VirtualNIC", seen, wanted, {LABEL_NIC: interface.name})


def _power(seen: Observed) -> Json:
    grace_s = seen.machine.spec.termination_grace_period_seconds
    wanted: Json = {"serverClaimSelector": _SIBLING, "gracefulShutdownTimeoutSeconds": grace_s}
    match seen.machine.spec.run_strategy:
        case "Always":
            wanted["state"] = "On"
        case "Halted":
            wanted["state"] = "Off"
        case "Manual":
            pass
    return _manifest("PowerState", seen, wanted)


def _manifest(kind: str, seen: Observed, wanted: Json, labels: dict[str, str] | None = None) -> Json:
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"labels": {LABEL_MACHINE_UID: seen.machine.metadata.uid, **(labels or {})}},
        "spec": {"forProvider": wanted},
    }


def _lacks_instance_type(seen: Observed) -> bool:
    name = seen.machine.spec.instance_type
    return name is not None and name not in seen.instance_types


def _digest(disk: MachineDisk, seen: Observed) -> str | None:
    """The content that the disk was, or is to be, cloned from: the pin first."""
    volume = seen.child(volume_name(disk.name), Volume)
    if volume is not None and volume.spec.for_provider.image_digest is not None:
        return volume.spec.for_provider.image_digest
    image = seen.images.get(disk.image or "")
    return None if image is None else image.spec.sha256


def _slots(seen: Observed) -> dict[str, int]:
    """PCIe slots of the disks: the boot disk in 1, the seed in 2; a disk keeps its slot when others come and go."""
    spec = seen.machine.spec
    slots = {disk.name: BOOT_SLOT for disk in spec.disks if disk.boot}
    for disk in spec.disks:
        present = seen.child(disk_name(disk.name), VirtualDisk)
        if present is not None:
            slots[disk.name] = present.spec.for_provider.slot
    free = _free(FIRST_DATA_SLOT, set(slots.values()) | _slots_of_leaving(seen))
    return {disk.name: slots.get(disk.name) or next(free) for disk in spec.disks}


def _slots_of_leaving(seen: Observed) -> set[int]:
    """Slots of disks that are observed and no longer wanted: taken until they are gone."""
    return {child.spec.for_provider.slot for child in seen.children.values() if isinstance(child, VirtualDisk)}


def _indexes(seen: Observed) -> dict[str, int]:
    """NIC slots of the interfaces, counted from 0; an interface keeps its own when others come and go."""
    taken = {
        child.spec.for_provider.index: name for name, child in seen.children.items() if isinstance(child, VirtualNIC)
    }
    by_name = {name: index for index, name in taken.items()}
    free = _free(0, set(taken))
    indexes: dict[str, int] = {}
    for interface in seen.machine.spec.network_interfaces:
        present = by_name.get(nic_name(interface.name))
        indexes[interface.name] = next(free) if present is None else present
    return indexes


def _free(first: int, taken: set[int]) -> Iterator[int]:
    number = first
    while True:
        if number not in taken:
            yield number
        number += 1
