"""A VirtualDisk: its volume held, or its seed rendered; then the device asked for; and all of it undone in reverse.

Only what the DPU needs is projected into its namespace: the EmulatedDisk with the volume's publish context, or the
rendered seed.
"""

from dataclasses import dataclass, field
from typing import Any

from provider.api.emulateddisk import CSISource, DiskSource, EmulatedDisk, EmulatedDiskSpec, SeedSource
from provider.api.emulation import TraceParent
from provider.api.names import LABEL_MACHINE_UID, dpu_namespace, emulated_disk, seed_secret
from provider.api.reasons import Reason
from provider.api.resources import EMULATEDDISK, SECRET
from provider.api.schema import LocalSecretReference
from provider.api.virtualdisk import SeedParameters, VirtualDisk, VirtualDiskObservation
from provider.planning import emulated
from provider.planning.action import Action, ApplyObject, Json, Policy, delete
from provider.planning.attachment import NotYet, Storage, hold_volume, owned, release_volume
from provider.planning.emulated import STAYS, Departure
from provider.planning.seed import MOST_BYTES, USER_DATA, SeedNIC, digest, encoded, render, user_data_of
from provider.planning.tenancy import Hold, NoHold
from provider.planning.verdict import Plan, Verdict, refused, waiting

DiskPlan = Plan[VirtualDiskObservation]

LOOK_AGAIN_S = 10.0
"""How often a Secret that does not do is looked at: tenants' Secrets are read, never watched."""
_OF_A_SECRET = (Reason.SECRET_NOT_FOUND, Reason.USER_DATA_TOO_LARGE)


@dataclass(frozen=True, slots=True)
class SeedInputs:
    """What a seed is made of. ``pending`` names NICs without an address; ``user_data_fault`` says what is missing.

    ``secret``: the seed as it was rendered last. Its user data stays what it was: it is read at the first boot only.
    """

    nics: tuple[SeedNIC, ...] = ()
    pending: tuple[str, ...] = ()
    user_data: bytes | None = field(default=None, repr=False)
    user_data_fault: str | None = None
    secret: Json | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class World:
    """``device`` is this disk's EmulatedDisk; ``slot_taken_by`` another one in the same slot of the same DPU."""

    disk: VirtualDisk
    hold: Hold | NoHold
    storage: Storage | None = None
    seed: SeedInputs | None = None
    device: Json | None = None
    slot_taken_by: str | None = None
    agent_lost: str | None = None
    departure: Departure = STAYS
    trace: TraceParent | None = None


def plan(world: World) -> DiskPlan:
    """Show the disk to the server, follow it, or take it away."""
    if world.disk.metadata.deleting:
        return _plan_delete(world)
    if isinstance(world.hold, NoHold):
        if world.hold.refused:
            return refused(world.hold.reason, world.hold.message, _seen(world))
        return _not_yet(world, NotYet(waiting(world.hold.reason, world.hold.message)))
    if wrong := _slot_fault(world, world.hold):
        return _not_yet(world, NotYet(Verdict("False", Reason.SLOT_UNAVAILABLE, wrong)))
    seed = world.disk.spec.for_provider.seed
    supply = _seed_supply(world, world.hold, seed) if seed else _volume_supply(world, world.hold)
    if isinstance(supply, NotYet):
        return _not_yet(world, supply)
    return _plan_device(world, world.hold, supply)


@dataclass(frozen=True, slots=True)
class _Supply:
    """What is to be behind the disk, and what has to be written before the device that names it."""

    source: DiskSource
    first: tuple[Action, ...] = ()


def _plan_device(world: World, hold: Hold, supply: _Supply) -> DiskPlan:
    parameters, source = world.disk.spec.for_provider, supply.source
    spec = EmulatedDiskSpec(
        machine_ref=hold.machine,
        claim_uid=hold.claim.metadata.uid,
        slot=parameters.slot,
        boot_index=parameters.boot_index,
        bus=parameters.bus,
        read_only=parameters.only_read,
        source=source,
        force_unplug=parameters.force_unplug,
        trace=emulated.trace_of(world.trace, world.device),
    ).to_json()
    name = emulated_disk(world.disk.metadata.uid)
    what = f"a disk in slot {parameters.slot}"
    asked = emulated.ensure(EMULATEDDISK, dpu_namespace(hold.dpu_name), name, hold, spec, world.device, what)
    actions = (*supply.first, *asked)
    ready = emulated.readiness(_device(world), agent_lost=world.agent_lost)
    if actions and ready.status == "True":
        ready = waiting(Reason.CREATING, f"asking {hold.dpu_name} for {what}")
    return Plan(ready=ready, seen=_seen(world), actions=actions)


def _slot_fault(world: World, hold: Hold) -> str | None:
    slot, server = world.disk.spec.for_provider.slot, hold.server
    if slot not in server.disk_slots():
        usable = ", ".join(str(number) for number in sorted(server.disk_slots()))
        return f"slot {slot} of Server {server.metadata.name} takes no disk; those that do: {usable}"
    if world.slot_taken_by is not None:
        return f"slot {slot} of Server {server.metadata.name} is taken by EmulatedDisk {world.slot_taken_by}"
    return None


def _volume_supply(world: World, hold: Hold) -> _Supply | NotYet:
    if world.storage is None:
        return NotYet(waiting(Reason.WAITING_FOR_VOLUME, "its Volume does not exist yet"))
    held = hold_volume(world.storage, hold, world.disk.metadata.uid)
    if isinstance(held, NotYet):
        return held
    csi = held.persistent_volume["spec"]["csi"]
    source = CSISource(
        driver=csi["driver"],
        volume_handle=csi["volumeHandle"],
        volume_attributes=csi.get("volumeAttributes", {}),
        publish_context=held.publish_context,
    )
    return _Supply(DiskSource(csi=source))


def _seed_supply(world: World, hold: Hold, seed: SeedParameters) -> _Supply | NotYet:
    """The seed follows the machine's NICs. The agent shows a new one only while the server is off."""
    inputs = world.seed or SeedInputs()
    present: dict[str, str] | None = (inputs.secret or {}).get("data")
    if inputs.pending:
        if world.device is not None and present is not None:
            return _Supply(_seed_source(world, present))
        return NotYet(waiting(Reason.WAITING_FOR_NICS, "waiting for addresses of " + ", ".join(inputs.pending)))
    if inputs.user_data_fault is not None:
        return NotYet(Verdict("False", Reason.SECRET_NOT_FOUND, inputs.user_data_fault))
    files = render(seed, hold.machine.uid, inputs.nics, user_data_of(present) if present else inputs.user_data)
    if wrong := _too_large(files, seed):
        return NotYet(Verdict("False", Reason.USER_DATA_TOO_LARGE, wrong))
    data = encoded(files)
    if data == present:
        return _Supply(_seed_source(world, data))
    policy: Policy = "Create" if present is None else "Update"
    return _Supply(_seed_source(world, data), (_seed_secret(world, hold, data, policy),))


def _seed_source(world: World, data: dict[str, str]) -> DiskSource:
    reference = LocalSecretReference(name=seed_secret(world.disk.metadata.uid))
    return DiskSource(seed=SeedSource(secret_ref=reference, digest=digest(data)))


def _seed_secret(world: World, hold: Hold, data: dict[str, str], policy: Policy) -> ApplyObject:
    metadata = {
        "name": seed_secret(world.disk.metadata.uid),
        "namespace": dpu_namespace(hold.dpu_name),
        "labels": {LABEL_MACHINE_UID: hold.machine.uid},
    }
    return ApplyObject(SECRET, {"metadata": metadata, "type": "Opaque", "data": data}, policy=policy)


def _too_large(files: dict[str, bytes], seed: SeedParameters) -> str | None:
    """A Secret's limit holds for the seed as well, which is one too: user data alone cannot use it up."""
    over = sum(map(len, files.values())) - MOST_BYTES
    if over <= 0 or seed.user_data_secret_ref is None:
        return None
    size = len(files[USER_DATA])
    return (
        f"the user data in Secret {seed.user_data_secret_ref.name} has {size} bytes, and {size - over} fit into the "
        "seed: compress it (gzip), or have it include the rest from a URL"
    )


def _plan_delete(world: World) -> DiskPlan:
    if world.departure.must_wait and _leaves_something(world):
        return Plan(ready=world.departure.verdict(), seen=_seen(world))
    if _boots_a_running_machine(world):
        return Plan(ready=world.departure.running_verdict(), seen=_seen(world))
    device = _device(world)
    if device is not None and world.device is not None:
        forced = world.disk.spec.for_provider.force_unplug
        actions, message = emulated.remove(EMULATEDDISK, world.device, device, world.agent_lost, forced=forced)
        return _not_yet(world, NotYet(waiting(Reason.DELETING, message), tuple(actions)))
    secret = world.seed.secret if world.seed else None
    if secret is not None:
        removal: Action | None = delete(SECRET, secret)
        return _not_yet(world, NotYet(waiting(Reason.DELETING), (removal,) if removal else ()))
    if world.storage is not None:
        release = release_volume(world.storage, world.disk.metadata.uid)
        if release is not None:
            return _not_yet(world, release)
    return Plan(ready=waiting(Reason.DELETING), seen=_seen(world), gone=True)


def _boots_a_running_machine(world: World) -> bool:
    """Somebody deleted the boot disk of a machine that stays: pulled out now, it would take the machine with it."""
    boots = world.disk.spec.for_provider.boot_index is not None
    return boots and isinstance(world.hold, Hold) and bool(world.departure.running) and _leaves_something(world)


def _leaves_something(world: World) -> bool:
    attachment = world.storage.attachment if world.storage else None
    return world.device is not None or (attachment is not None and owned(attachment, world.disk.metadata.uid))


def _not_yet(world: World, step: NotYet) -> DiskPlan:
    again_s = LOOK_AGAIN_S if step.ready.reason in _OF_A_SECRET else None
    return Plan(ready=step.ready, seen=_seen(world), actions=step.actions, look_again_s=again_s, polled=True)


def _device(world: World) -> EmulatedDisk | None:
    return None if world.device is None else EmulatedDisk.parse(world.device)


def _seen(world: World) -> VirtualDiskObservation:
    device = _device(world)
    known: dict[str, Any] = {}
    if isinstance(world.hold, Hold):
        known = {"server_name": world.hold.server.metadata.name, "dpu_name": world.hold.dpu_name}
    attachment = world.storage.attachment if world.storage else None
    if attachment is not None and owned(attachment, world.disk.metadata.uid):
        known["volume_attachment"] = attachment["metadata"]["name"]
    if device is not None:
        known |= {
            "emulated_disk": device.metadata.name,
            "slot": device.spec.slot,
            "bdev": device.status.bdev,
            "serial": device.status.serial,
            "size_bytes": device.status.size_bytes,
        }
    return VirtualDiskObservation(**known)
