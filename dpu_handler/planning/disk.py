"""A disk: its bdev, the vhost controller over it, the PCIe function over that. Made in this order, undone reversed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dpu_handler.planning.observed import Bdev, NvmeController, Observed, VhostController
from dpu_handler.planning.steps import (
    AttachNvme,
    CloseFile,
    CreateController,
    DeleteController,
    DetachNvme,
    DisableNvme,
    EnableNvme,
    OpenFile,
    Plan,
    PlugDisk,
    Stage,
    Unplug,
)

NVME_NAME_LENGTH = 18
"""The guest's serial is the bdev's name ("<controller>n1") cut at 20 characters: hence 18 for the controller's."""

NAMESPACE_SUFFIX = "n1"
"""What SPDK adds to a controller's name for its first namespace."""


@dataclass(frozen=True, slots=True)
class RemoteVolume:
    """A volume behind NVMe/TCP: the publish context of ``lvol.csi.metalplane.io`` with protocol nvmf-tcp."""

    uuid: str
    traddr: str
    trsvcid: str
    subnqn: str
    hostnqn: str

    @property
    def controller(self) -> str:
        """Name of the NVMe controller, from the volume."""
        return self.uuid.replace("-", "")[:NVME_NAME_LENGTH]

    @property
    def bdev(self) -> str:
        """Name of the bdev that the controller's first namespace becomes."""
        return f"{self.controller}{NAMESPACE_SUFFIX}"

    def attach(self) -> AttachNvme:
        """Times: reconnect for ever and fail no I/O, for a finite loss time-out deletes the bdev under a live disk."""
        params = {
            "name": self.controller,
            "trtype": "TCP",
            "adrfam": "IPv4",
            "traddr": self.traddr,
            "trsvcid": self.trsvcid,
            "subnqn": self.subnqn,
            "hostnqn": self.hostnqn,
            "ctrlr_loss_timeout_sec": -1,
            "reconnect_delay_sec": 1,
            "fast_io_fail_timeout_sec": 0,
            "multipath": "disable",
            "num_io_queues": 1,
        }
        return AttachNvme(self.controller, params)


@dataclass(frozen=True, slots=True)
class LocalVolume:
    """A volume whose lvstore is on the DPU's own target (protocol bdev): nothing to attach."""

    uuid: str


@dataclass(frozen=True, slots=True)
class SeedFile:
    """A NoCloud seed that the agent built."""

    bdev: str
    path: str


Backing = RemoteVolume | LocalVolume | SeedFile


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk as the server must see it."""

    controller: str
    vhost_socket: str
    slot: int
    boot_index: int | None
    read_only: bool
    backing: Backing


class UnknownPublishContext(ValueError):
    """The CSI driver's publish context is of a protocol that this agent does not speak."""


def backing_of(publish_context: Mapping[str, str]) -> RemoteVolume | LocalVolume:
    """What a publish context asks for. Raises ``UnknownPublishContext``."""
    try:
        match publish_context.get("protocol"):
            case "nvmf-tcp":
                names = ("uuid", "traddr", "trsvcid", "subnqn", "hostnqn")
                return RemoteVolume(**{name: publish_context[name] for name in names})
            case "bdev":
                return LocalVolume(publish_context["uuid"])
            case other:
                raise UnknownPublishContext(f"protocol {other!r} is unknown: nvmf-tcp and bdev are spoken here")
    except KeyError as error:
        raise UnknownPublishContext(f"the publish context lacks {error}") from error


def plan(disk: Disk, seen: Observed) -> Plan:
    """What is missing. Where something stands in the way (an old attach, a dead controller), that is undone first."""
    in_the_way = _in_the_way(disk, seen)
    if in_the_way:
        return in_the_way
    holder = _holder(disk, seen)
    if holder is not None:
        return (*_detach(seen.nvme[holder]), *plan(disk, _without(seen, holder)))
    stages: list[Stage] = [_back(disk, seen), _serve(disk, seen), _show(disk, seen)]
    return tuple(stage for stage in stages if stage)


def undo(disk: Disk, seen: Observed, *, force: bool = False) -> Plan:
    """What is left of the disk, taken away from the top: function, vhost controller, bdev.

    Where the storage is fenced off or cannot be reached, the bdev goes before the vhost controller. ``force``: the
    function is taken away though the server's operating system does not let go of it.
    """
    return (*_hide(disk, seen, force=force), *_undo_below(disk, seen))


def is_held(disk: Disk, seen: Observed) -> bool:
    """Whether the server was asked to let go of the disk and has not done so."""
    return any(each.backing == disk.vhost_socket and each.unplugging for each in seen.functions.values())


def obstacle(disk: Disk, seen: Observed) -> str:
    """What the plan cannot take away, because it may be another's; nothing where the slot is free or the disk's."""
    function = seen.functions.get(disk.slot)
    if function is None or function.backing == disk.vhost_socket:
        return ""
    return f"slot {disk.slot} shows {function.backing}, which is not this disk's: unplug that, or use another slot"


def bdev_of(disk: Disk, seen: Observed) -> Bdev | None:
    """The bdev behind the disk, if it is there."""
    match disk.backing:
        case RemoteVolume() as volume:
            # Not by UUID: another controller's may be attached under a host NQN that was fenced long ago.
            return seen.bdev(volume.bdev)
        case LocalVolume(uuid=uuid):
            return seen.bdev(uuid)
        case SeedFile(bdev=name):
            return seen.bdev(name)


def _back(disk: Disk, seen: Observed) -> Stage:
    if bdev_of(disk, seen) is not None:
        return ()
    match disk.backing:
        case RemoteVolume() as volume:
            # Still connecting, or the storage took the namespace away: attaching again would be refused.
            return () if volume.controller in seen.nvme else (volume.attach(),)
        case SeedFile(bdev=name, path=path):
            return (OpenFile(name, path),)
        case LocalVolume():
            return ()


def _serve(disk: Disk, seen: Observed) -> Stage:
    if disk.controller in seen.vhost:
        return ()
    return (CreateController(disk.controller, _bdev_name(disk, seen), disk.read_only),)


def _show(disk: Disk, seen: Observed) -> Stage:
    if disk.slot in seen.functions:
        return ()
    return (PlugDisk(disk.slot, disk.vhost_socket, disk.boot_index),)


def _bdev_name(disk: Disk, seen: Observed) -> str:
    bdev = bdev_of(disk, seen)
    match disk.backing:
        case _ if bdev is not None:
            return bdev.name
        case RemoteVolume() as volume:
            return volume.bdev
        case LocalVolume(uuid=uuid):
            return uuid
        case SeedFile(bdev=name):
            return name


def _in_the_way(disk: Disk, seen: Observed) -> Plan:
    if _old_attach(disk, seen):
        return _undo_old(disk, seen)
    reconnect = _reconnect(disk, seen)
    if reconnect:
        return reconnect
    if _other_file(disk, seen):
        # In one go: the server may be asked to start at any time.
        return (*undo(disk, seen), *plan(disk, _cleared(disk, seen)))
    controller = seen.vhost.get(disk.controller)
    if controller is not None and _serves_nothing(controller, disk, seen):
        # SPDK does not bind it again when the bdev comes back; and with a server connected it never answers a delete.
        return (*_hide(disk, seen), *_stop_serving(disk, seen))
    return ()


def _hide(disk: Disk, seen: Observed, *, force: bool = False) -> Plan:
    """The server lets go of the disk before the socket behind it goes, whether it has power or not."""
    slots = [slot for slot, function in seen.functions.items() if function.backing == disk.vhost_socket]
    return (tuple(Unplug(slot, force) for slot in slots),) if slots else ()


def _holder(disk: Disk, seen: Observed) -> str | None:
    """An NVMe controller that keeps the volume's namespace from becoming our bdev.

    An attach while another controller of the target holds the namespace's UUID is answered with no bdev at all, and
    leaves a connected controller that never gets one. One that serves a disk is left alone: the attach fails aloud.
    """
    if not isinstance(disk.backing, RemoteVolume) or bdev_of(disk, seen) is not None or disk.controller in seen.vhost:
        return None
    own, held = seen.nvme.get(disk.backing.controller), seen.bdev(disk.backing.uuid)
    if own is not None:
        return own.name if own.connected else None
    if held is None or any(controller.bdev in (held.name, held.uuid) for controller in seen.vhost.values()):
        return None
    name = held.name.removesuffix(NAMESPACE_SUFFIX)
    return name if name in seen.nvme else None


def _without(seen: Observed, controller: str) -> Observed:
    """What will be there once an NVMe controller is detached."""
    nvme = {name: each for name, each in seen.nvme.items() if name != controller}
    bdevs = {name: each for name, each in seen.bdevs.items() if name != f"{controller}{NAMESPACE_SUFFIX}"}
    return replace(seen, nvme=nvme, bdevs=bdevs)


def _cleared(disk: Disk, seen: Observed) -> Observed:
    """What will be there once the disk is undone, of one that has a bdev of its own."""
    bdev = bdev_of(disk, seen)
    return replace(
        seen,
        bdevs={name: each for name, each in seen.bdevs.items() if each != bdev},
        vhost={name: each for name, each in seen.vhost.items() if name != disk.controller},
        functions={slot: each for slot, each in seen.functions.items() if each.backing != disk.vhost_socket},
    )


def _old_attach(disk: Disk, seen: Observed) -> bool:
    attached = _attached(disk, seen)
    if attached is None or not isinstance(disk.backing, RemoteVolume):
        return False
    return (attached.subnqn, attached.hostnqn) != (disk.backing.subnqn, disk.backing.hostnqn)


def _undo_old(disk: Disk, seen: Observed) -> Plan:
    """Of an attach whose host was shut out the requests never come back, and a server does not let go of a disk before.

    So they are failed first, and the disk is taken from the server after that.
    """
    attached = _attached(disk, seen)
    if attached is None or attached.connected:
        return undo(disk, seen)
    return (*_detach(attached), *_hide(disk, seen), *_stop_serving(disk, seen))


def _reconnect(disk: Disk, seen: Observed) -> Plan:
    """Where it was cut off for a detach that went no further, or has requests that nobody waits for any more.

    Those that the target itself holds for a storage node that refuses it come back with its next try, 1 s later: it is
    left cut off until they did.
    """
    attached = _attached(disk, seen)
    if attached is None:
        return ()
    if _is_abandoned(disk, seen):
        return ((DisableNvme(attached.name),),)
    return ((EnableNvme(attached.name),),) if attached.disabled else ()


def _other_file(disk: Disk, seen: Observed) -> bool:
    bdev = seen.bdev(disk.backing.bdev) if isinstance(disk.backing, SeedFile) else None
    if bdev is None or not isinstance(disk.backing, SeedFile) or bdev.file == disk.backing.path:
        return False
    # A seed that changed while the server runs is shown at its next start: nobody reads it before.
    controller = seen.vhost.get(disk.controller)
    return controller is None or controller.sessions == 0


def _serves_nothing(controller: VhostController, disk: Disk, seen: Observed) -> bool:
    bdev = bdev_of(disk, seen)
    return controller.bdev is None or (bdev is not None and controller.bdev not in (bdev.name, bdev.uuid))


def _undo_below(disk: Disk, seen: Observed) -> Plan:
    served, backed = _stop_serving(disk, seen), _let_go(disk, seen)
    # A target that waits for an unreachable storage node never answers the delete of a vhost controller: its queued
    # requests fail with the detach, and only then can the vhost controller go.
    return (*backed, *served) if _is_stuck(disk, seen) else (*served, *backed)


def _stop_serving(disk: Disk, seen: Observed) -> Plan:
    return ((DeleteController(disk.controller),),) if disk.controller in seen.vhost else ()


def _let_go(disk: Disk, seen: Observed) -> Plan:
    match disk.backing:
        case RemoteVolume() as volume if volume.controller in seen.nvme:
            return _detach(seen.nvme[volume.controller])
        case SeedFile(bdev=name) if seen.bdev(name) is not None:
            return ((CloseFile(name),),)
        case _:
            return ()


def _detach(controller: NvmeController) -> Plan:
    """A detach alone tells the storage node good-bye and waits for its answer, which a silent one never gives.

    Such a node counts as connected for as long as TCP is patient, so it is not asked whether it is silent.
    """
    return (*_cut(controller), (DetachNvme(controller.name),))


def _cut(controller: NvmeController) -> Plan:
    return () if controller.disabled else ((DisableNvme(controller.name),),)


def _is_stuck(disk: Disk, seen: Observed) -> bool:
    attached = _attached(disk, seen)
    return attached is not None and (not attached.connected or _is_abandoned(disk, seen))


def _is_abandoned(disk: Disk, seen: Observed) -> bool:
    """A server without power, or without the disk, with requests under way: the storage node fell silent, most likely.

    SPDK's vhost gives them 4 s, twice, before it lets their memory go, and crashes on a completion that comes later.
    """
    served = seen.vhost.get(disk.controller)
    has_power = any(function.driver_bound for function in seen.functions.values())
    return served is not None and served.busy and not (has_power and _hide(disk, seen))


def _attached(disk: Disk, seen: Observed) -> NvmeController | None:
    return seen.nvme.get(disk.backing.controller) if isinstance(disk.backing, RemoteVolume) else None
