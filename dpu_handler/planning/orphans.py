"""What is on the DPU and belongs to no EmulatedDisk or EmulatedNIC of its namespace: found by the names that we give.

A thing of another name is never ours to remove. Nor is one that a server uses, or that another stands on: it is *held*,
and the message says by what. Orphans come in the order in which they go: functions, what serves them, what is behind.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any
from uuid import UUID

from dpu_handler.planning.disk import NAMESPACE_SUFFIX, NVME_NAME_LENGTH
from dpu_handler.planning.observed import Function, NvmeController, Observed, VhostController
from dpu_handler.planning.steps import (
    CloseFile,
    DeleteController,
    DetachNvme,
    DisableNvme,
    Plan,
    RemovePort,
    Unplug,
)
from provider.api.emulateddisk import EmulatedDisk
from provider.api.emulatednic import EmulatedNIC
from provider.api.orphanreport import OrphanKey

Json = dict[str, Any]

VHOST_PREFIX = "mp-"
SEED_PREFIX = "seed-"
VOLUME_NQN = "nqn.2026-01.io.metalplane:vol-"
PROBE_PREFIX = "mp-probe-"


@dataclass(frozen=True, slots=True)
class Claims:
    """All that the objects of the DPU's namespace name, be they on their way out or not."""

    disks: frozenset[str] = frozenset()
    nvme: frozenset[str] = frozenset()
    subsystems: frozenset[str] = frozenset()
    nics: frozenset[str] = frozenset()
    representors: frozenset[str] = frozenset()
    nic_slots: frozenset[int] = frozenset()
    vlans: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class FoundOrphan:
    """Something that no object claims. ``held_by``: why it stays for now; ``removal`` takes it away once nothing is."""

    key: OrphanKey
    about: str
    held_by: str
    removal: Plan


def claims_of(disks: Iterable[Json], nics: Iterable[Json]) -> Claims:
    """What EmulatedDisks and EmulatedNICs name, as the API server sends them.

    A publish context of a protocol that is not spoken here claims its volume all the same.
    """
    every_disk, every_nic = [EmulatedDisk.parse(each) for each in disks], [EmulatedNIC.parse(each) for each in nics]
    contexts = [disk.spec.source.csi.publish_context for disk in every_disk if disk.spec.source.csi is not None]
    return Claims(
        disks=frozenset(disk.metadata.uid for disk in every_disk),
        nvme=frozenset(_nvme_name(context["uuid"]) for context in contexts if "uuid" in context),
        subsystems=frozenset(context["subnqn"] for context in contexts if "subnqn" in context),
        nics=frozenset(nic.metadata.uid for nic in every_nic),
        representors=frozenset(nic.spec.representor for nic in every_nic),
        nic_slots=frozenset(nic.spec.nic_slot for nic in every_nic),
        vlans=frozenset(nic.spec.network.vlan for nic in every_nic),
    )


def orphans(claimed: Claims, seen: Observed) -> list[FoundOrphan]:
    """All of them, in the order in which they go."""
    return [
        *_functions(claimed, seen),
        *_vhost_controllers(claimed, seen),
        *_seeds(claimed, seen),
        *_nvme_controllers(claimed, seen),
        *_ports(claimed, seen),
    ]


def _functions(claimed: Claims, seen: Observed) -> Iterator[FoundOrphan]:
    for slot, function in sorted(seen.functions.items()):
        if _is_orphan_disk(function, claimed) or _is_orphan_nic(function, claimed):
            name = f"slot-{slot}/{PurePath(function.backing).name}"
            held = ""
            if function.driver_bound:
                held = "the server's operating system uses it: power the server off first"
            yield FoundOrphan(OrphanKey("emulation", "Function", name), _about(function), held, ((Unplug(slot),),))


def _is_orphan_disk(function: Function, claimed: Claims) -> bool:
    owner = _owner(PurePath(function.backing).name, VHOST_PREFIX)
    return function.mac is None and owner is not None and owner not in claimed.disks


def _is_orphan_nic(function: Function, claimed: Claims) -> bool:
    """A NIC bears no name of ours; but the NIC slots are the card's for metalplane alone, as ``nic.plan`` has it."""
    claims_it = function.slot in claimed.nic_slots or function.backing in claimed.representors
    return function.mac is not None and not claims_it


def _vhost_controllers(claimed: Claims, seen: Observed) -> Iterator[FoundOrphan]:
    for name, controller in sorted(seen.vhost.items()):
        owner = _owner(name, VHOST_PREFIX)
        if owner is not None and owner not in claimed.disks:
            about = f"serves {controller.bdev or 'nothing any more'}"
            held = _holds_vhost(controller, seen)
            removal: Plan = ((DeleteController(name),),)
            yield FoundOrphan(OrphanKey("spdk", "VhostController", name), about, held, removal)


def _holds_vhost(controller: VhostController, seen: Observed) -> str:
    shown = _shown_in(controller.name, seen)
    if shown:
        return shown
    if controller.sessions or controller.busy:
        return "a server is connected to it: power that off first"
    behind = _nvme_behind(controller, seen)
    if behind is not None and not behind.connected:
        # The target would wait for the storage and never answer.
        return f"its storage does not answer: remove NVMeController {behind.name} first"
    return ""


def _seeds(claimed: Claims, seen: Observed) -> Iterator[FoundOrphan]:
    for name, bdev in sorted(seen.bdevs.items()):
        owner = _owner(name, SEED_PREFIX)
        if bdev.file is not None and owner is not None and owner not in claimed.disks:
            held = _served_by({bdev.name, bdev.uuid}, seen)
            yield FoundOrphan(OrphanKey("spdk", "Bdev", name), bdev.file, held, ((CloseFile(name),),))


def _nvme_controllers(claimed: Claims, seen: Observed) -> Iterator[FoundOrphan]:
    for name, controller in sorted(seen.nvme.items()):
        is_claimed = name in claimed.nvme or controller.subnqn in claimed.subsystems
        if controller.subnqn.startswith(VOLUME_NQN) and not is_claimed:
            held = _holds_nvme(controller, seen)
            cut: Plan = () if controller.disabled else ((DisableNvme(name),),)
            removal: Plan = (*cut, (DetachNvme(name),))
            yield FoundOrphan(OrphanKey("spdk", "NVMeController", name), controller.subnqn, held, removal)


def _holds_nvme(controller: NvmeController, seen: Observed) -> str:
    """What stands on it goes first; only where the storage fell silent, and no server looks on, it goes before that."""
    bdev = seen.bdevs.get(f"{controller.name}{NAMESPACE_SUFFIX}")
    names = {f"{controller.name}{NAMESPACE_SUFFIX}"} | ({bdev.uuid} if bdev is not None else set())
    serving = [each for each in seen.vhost.values() if each.bdev in names]
    if not controller.connected and not any(
        each.sessions or each.busy or _shown_in(each.name, seen) for each in serving
    ):
        return ""
    return _served_by(names, seen)


def _ports(claimed: Claims, seen: Observed) -> Iterator[FoundOrphan]:
    functions = {function.backing: slot for slot, function in seen.functions.items()}
    for name, port in sorted(seen.ports.items()):
        made_for_nic = port.owner is not None and port.owner not in claimed.nics and name not in claimed.representors
        probes = port.vlan is not None and name == f"{PROBE_PREFIX}{port.vlan}" and port.vlan not in claimed.vlans
        if made_for_nic or probes:
            about = f"VLAN {port.vlan}" + (f", made for EmulatedNIC {port.owner}" if made_for_nic else "")
            slot = functions.get(name)
            held = (
                "" if slot is None else f"slot {slot} shows it to the server: remove Function slot-{slot}/{name} first"
            )
            yield FoundOrphan(OrphanKey("ovs", "Port", name), about, held, ((RemovePort(name),),))


def _owner(name: str, prefix: str) -> str | None:
    """UID of the object that a thing of that name was made for; None where the name is not one that we give."""
    uid = name.removeprefix(prefix)
    try:
        return uid if name.startswith(prefix) and str(UUID(uid)) == uid else None
    except ValueError:
        return None


def _nvme_name(volume_uuid: str) -> str:
    return volume_uuid.replace("-", "")[:NVME_NAME_LENGTH]


def _about(function: Function) -> str:
    return f"{'disk' if function.mac is None else 'NIC ' + function.mac} in slot {function.slot}"


def _shown_in(vhost: str, seen: Observed) -> str:
    slots = [slot for slot, each in seen.functions.items() if PurePath(each.backing).name == vhost]
    return f"slot {slots[0]} shows it to the server: remove Function slot-{slots[0]}/{vhost} first" if slots else ""


def _served_by(bdevs: set[str], seen: Observed) -> str:
    serving = sorted(each.name for each in seen.vhost.values() if each.bdev in bdevs)
    return f"vhost controller {serving[0]} serves it: that goes first" if serving else ""


def _nvme_behind(controller: VhostController, seen: Observed) -> NvmeController | None:
    bdev = seen.bdev(controller.bdev) if controller.bdev else None
    return None if bdev is None else seen.nvme.get(bdev.name.removesuffix(NAMESPACE_SUFFIX))
