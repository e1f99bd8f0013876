"""A VirtualDisk: its volume held, or its seed rendered; then the device asked for; and all of it undone in reverse.

Only what the DPU needs is projected into its namespace: the EmulatedDisk with the volume's publish context, or the
rendered seed.
"""

import base64
from dataclasses import dataclass, field
from typing import Any

from provider.api.emulateddisk import CSISource, DiskSource, EmulatedDisk, EmulatedDiskSpec, SeedSource
from provider.api.emulation import TraceParent
from provider.api.names import LABEL_MACHINE_UID, dpu_namespace, emulated_disk, seed_secret
from provider.api.reasons import Reason
from provider.api.registry import EMULATEDDISK, SECRET
from provider.api.schema import LocalSecretReference
from provider.api.virtualdisk import SeedParameters, VirtualDisk, VirtualDiskObservation
from provider.planning import emulated
from provider.planning.action import Action, ApplyObject, Json, delete
from provider.planning.attachment import NotYet, Storage, hold_volume, owned, release_volume
from provider.planning.emulated import STAYS, Departure
from provider.planning.seed import SeedNIC, render
from provider.planning.tenancy import Hold, NoHold
from provider.planning.verdict import Plan, Verdict, refused, waiting

DiskPlan = Plan[VirtualDiskObservation]

LOOK_AGAIN_S = 10.0
"""How often a Secret that is missing is looked for: tenants' Secrets are read, never watched."""


@dataclass(frozen=True, slots=True)
class SeedInputs:
    """What a seed is made of. ``pending`` names NICs without an address; ``user_data_fault`` says what is missing."""

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
    source = _seed_source(world, world.hold, seed) if seed else _volume_source(world, world.hold)
    if isinstance(source, NotYet):
        return _not_yet(world, source)
    return _plan_device(world, world.hold, source)


def _plan_device(world: World, hold: Hold, source: DiskSource) -> DiskPlan:
    parameters = world.disk.spec.for_provider
    spec = EmulatedDiskSpec(
        machine_ref=hold.machine,
        claim_uid=hold.claim.metadata.uid,
        slot=parameters.slot,
        boot_index=parameters.boot_index,
        bus=parameters.bus,
        read_only=parameters.only_read,
        source=source,
        trace=emulated.trace_of(world.trace, world.device),
    ).to_json()
    name = emulated_disk(world.disk.metadata.uid)
    what = f"a disk in slot {parameters.slot}"
    actions = emulated.ensure(EMULATEDDISK, dpu_namespace(hold.dpu_name), name, hold, spec, world.device, what)
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


def _volume_source(world: World, hold: Hold) -> DiskSource | NotYet:
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
    return DiskSource(csi=source)


def _seed_source(world: World, hold: Hold, seed: SeedParameters) -> DiskSource | NotYet:
    """The Secret is written before the device that names it. A device that is there has been given its seed."""
    name = seed_secret(world.disk.metadata.uid)
    source = DiskSource(seed=SeedSource(secret_ref=LocalSecretReference(name=name)))
    inputs = world.seed or SeedInputs()
    if world.device is not None and inputs.secret is not None:
        return source
    if inputs.pending:
        return NotYet(waiting(Reason.WAITING_FOR_NICS, "waiting for addresses of " + ", ".join(inputs.pending)))
    if inputs.user_data_fault is not None:
        return NotYet(Verdict("False", Reason.SECRET_NOT_FOUND, inputs.user_data_fault))
    files = render(seed, hold.machine.uid, inputs.nics, inputs.user_data)
    body: Json = {
        "metadata": {
            "name": name,
            "namespace": dpu_namespace(hold.dpu_name),
            "labels": {LABEL_MACHINE_UID: hold.machine.uid},
        },
        "type": "Opaque",
        "data": {file: base64.b64encode(content).decode() for file, content in files.items()},
    }
    if inputs.secret is not None and inputs.secret.get("data") == body["data"]:
        return source
    return NotYet(waiting(Reason.CREATING, "rendering the seed"), (ApplyObject(SECRET, body),))


def _plan_delete(world: World) -> DiskPlan:
    if world.departure.must_wait and _leaves_something(world):
        return Plan(ready=world.departure.verdict(), seen=_seen(world))
    if _boots_a_running_machine(world):
        return Plan(ready=world.departure.running_verdict(), seen=_seen(world))
    device = _device(world)
    if device is not None and world.device is not None:
        actions, message = emulated.remove(EMULATEDDISK, world.device, device, world.agent_lost)
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
    again_s = LOOK_AGAIN_S if step.ready.reason is Reason.SECRET_NOT_FOUND else None
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
