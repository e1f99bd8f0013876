"""Power: what to ask of the BMC, from what it reported and what was asked of it before.

Every command is repeated from what is seen, never from what is remembered: a lost status means that the power is read
and, where it differs from what is desired, asked for again. A server is switched off by a desired Off (or the object's
deletion), by a request that is not finished, and when it was on before it was started for this machine; and only the
server that the claim holds.

What runs on a server that has never been shown the machine's boot disk is not the machine: somebody else's operating
system, which must not see its disks. That is decided at the first look and written down, because the disk comes soon;
with no status, a server that is shown the boot disk is taken for the machine's own.

::

         desired On, devices ready         desired Off, or deleted              the server follows
    Off --------------------------> On ---------------------------> shutting down ------------------> Off
                                                                       | grace is over: ForceOff       ^
                                                                       +-------------------------------+

Neighbours: ``powerworld`` is what all of this is decided on; ``powerrequest`` decides what a request does, which comes
before what the state says.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from provider.api.names import ANNOTATION_FINISHED_POWER_REQUEST, ANNOTATION_RUN
from provider.api.powerstate import Power, PowerRequestProgress, PowerStateObservation, PowerTransition
from provider.api.reasons import Reason
from provider.api.resources import POWERSTATE
from provider.planning.action import BootFromDisk, PatchObject, Policy, PowerAction, SwitchPower
from provider.planning.powerrequest import Command, Finish, Leave, Pursue, decide, while_unread
from provider.planning.powerworld import FAULT_RETRY_S, IN_TRANSITION_S, Fault, World
from provider.planning.tenancy import NoHold
from provider.planning.verdict import AVAILABLE, Plan, Verdict, refused, waiting

PowerPlan = Plan[PowerStateObservation]

PENDING_S = 10.0
"""A request that waits for what no event tells of is looked at after so long."""


def plan(world: World) -> PowerPlan:
    """Read, compare, ask. What was asked for once comes before the state, but for what the state forbids."""
    if isinstance(world.hold, NoHold):
        return _no_hold(world, world.hold)
    if world.fault is not None:
        return _fault(world, world.fault)
    if world.reading is None:
        unread = _report(world, waiting(Reason.CREATING, "reading the power"), again_s=IN_TRANSITION_S)
        return _with_progress(unread, world.progress)
    if world.reading == "Off" and world.run is not None and not world.power.metadata.deleting:
        return _end_run(world, world.run)
    match decide(world):
        case Leave(progress):
            return _leave(world, progress)
        case Pursue() as step:
            return _pursue(world, step)
        case Finish(progress):
            return _finish(world, progress)
        case never:
            assert_never(never)


def _leave(world: World, progress: PowerRequestProgress | None) -> PowerPlan:
    decided = _with_progress(_by_state(world), progress)
    if progress is None or progress.phase != "Pending":
        return decided
    again_s = PENDING_S if decided.look_again_s is None else min(decided.look_again_s, PENDING_S)
    return replace(decided, look_again_s=again_s, polled=False)


def _pursue(world: World, step: Pursue) -> PowerPlan:
    if step.ready.reason is Reason.WAITING_FOR_DEVICES:
        decided = _report(world, step.ready)
    elif step.command is None:
        decided = _report(world, step.ready, transition=world.transition, again_s=IN_TRANSITION_S)
    else:
        since = step.since or world.now
        decided = _ask(world, step.ready, step.command, since=since, written_first=True)
    return _with_progress(decided, step.progress)


def _finish(world: World, progress: PowerRequestProgress) -> PowerPlan:
    """The annotation first: from then on nothing repeats it, whatever becomes of the status."""
    # A start that the server may still follow must not be forgotten where it is to be off.
    over = _seen(world, world.transition if world.off_is_desired else None)
    told = f": {progress.message}" if progress.message else ""
    mark = _annotate(
        world, ANNOTATION_FINISHED_POWER_REQUEST, progress.id, f"power request {progress.id} {progress.phase}{told}"
    )
    return Plan(
        ready=_by_state(world).ready,
        seen=_seen(world, world.transition).model_copy(update={"request": world.progress}),
        actions=(mark,),
        record=over.model_copy(update={"request": progress}),
        look_again_s=IN_TRANSITION_S,
    )


def _end_run(world: World, run: str) -> PowerPlan:
    """Before anything else is done to a server that is off: a start must not come before the run's end is written."""
    note = f"Server {world.server} was seen off: run {run} is over, and the devices that were added for it go"
    return Plan(
        ready=_by_state(world).ready,
        seen=_seen(world, world.transition).model_copy(update={"request": world.power.status.at_provider.request}),
        actions=(_annotate(world, ANNOTATION_RUN, None, note),),
        look_again_s=IN_TRANSITION_S,
    )


def _annotate(world: World, annotation: str, value: str | None, note: str) -> PatchObject:
    metadata = world.power.metadata
    body = {"metadata": {"annotations": {annotation: value}}}
    return PatchObject(
        POWERSTATE, metadata.namespace, metadata.name, metadata.resource_version, body, note, _policy(world)
    )


def _with_progress(decided: PowerPlan, progress: PowerRequestProgress | None) -> PowerPlan:
    def told(seen: PowerStateObservation) -> PowerStateObservation:
        return seen.model_copy(update={"request": progress})

    return replace(
        decided,
        seen=told(decided.seen),
        intent=None if decided.intent is None else told(decided.intent),
        record=None if decided.record is None else told(decided.record),
    )


def _by_state(world: World) -> PowerPlan:
    if world.off_is_desired:
        return _plan_off(world)
    if world.found_on:
        return _plan_vacant(world)
    return _plan_on(world) if world.on_is_desired else _report(world, AVAILABLE)


def _plan_on(world: World) -> PowerPlan:
    if world.reading == "On":
        if world.shutting_down:
            ready = waiting(Reason.POWERING_OFF, "a shutdown is under way; the server is powered on again after it")
            return _report(world, ready, transition=world.transition, again_s=IN_TRANSITION_S)
        return _report(world, AVAILABLE)
    if world.pending:
        # One, and not how far it is: each word that changes is a write, for every step of every device.
        message = f"waiting for {world.pending[0]} (its conditions say why)"
        return _report(world, waiting(Reason.WAITING_FOR_DEVICES, message))
    found = "it was off, switched off by hand or from within: " if _repairs(world, "On") else ""
    ready = waiting(Reason.POWERING_ON, f"{found}the BMC was asked to power the server on")
    if world.asked("On") and not world.is_due_again:
        return _report(world, ready, transition=world.transition, again_s=IN_TRANSITION_S)
    return _ask(world, ready, "On", since=world.now)


def _plan_vacant(world: World) -> PowerPlan:
    ready = waiting(Reason.POWERING_OFF, "the server was on before it was started for this machine: its power is cut")
    if world.asked("ForceOff") and not world.is_due_again:
        return _report(world, ready, transition=world.transition, again_s=IN_TRANSITION_S)
    return _ask(world, ready, "ForceOff", since=world.now)


def _plan_off(world: World) -> PowerPlan:
    if world.reading == "Off":
        if world.asked("On") and not world.is_due_again:
            ready = waiting(Reason.POWERING_OFF, "a start that the BMC was asked for may still be under way")
            return _report(world, ready, transition=world.transition, again_s=IN_TRANSITION_S)
        return _report(world, AVAILABLE, gone=world.power.metadata.deleting)
    grace = timedelta(seconds=world.power.spec.for_provider.graceful_shutdown_timeout_seconds)
    under_way = world.asked("GracefulShutdown", "ForceOff")
    started = world.transition.started_at if world.transition and under_way else world.now
    if world.now - started >= grace:
        ready = waiting(Reason.POWERING_OFF, "the BMC was asked to cut the power")
        return _ask(world, ready, "ForceOff", since=started)
    found = "it was on, switched on by hand: " if _repairs(world, "Off") else ""
    ready = waiting(Reason.POWERING_OFF, f"{found}the server has until {started + grace:%H:%M:%SZ} to shut down")
    if under_way and not world.is_due_again:
        return _report(world, ready, transition=world.transition, again_s=IN_TRANSITION_S)
    return _ask(world, ready, "GracefulShutdown", since=started)


def _switch(world: World, command: Command) -> tuple[PowerAction, ...]:
    wanted: Power = "On" if command == "On" else "Off"
    # What is being repaired already was told when it was found.
    drifted = world.transition is None and _repairs(world, wanted)
    found = f"found Server {world.server} {world.reading}, which is to be {wanted}: " if drifted else ""
    switch = SwitchPower(command, f"{found}asked the BMC of Server {world.server or ''} for {command}", _policy(world))
    return (BootFromDisk(), switch) if command == "On" else (switch,)


def _policy(world: World) -> Policy:
    return "Delete" if world.power.metadata.deleting else "Update"


def _ask(world: World, ready: Verdict, command: Command, *, since: datetime, written_first: bool = False) -> PowerPlan:
    repairs = _repairs(world, "On" if command == "On" else "Off") or None
    transition = PowerTransition(action=command, started_at=since, asked_at=world.now, repairs=repairs)
    asked = _seen(world, transition)
    # A start is written down before it is sent: whoever finds the server off after a crash must know that it may not
    # stay off; and so is what was found on, which cannot be told once the boot disk is shown. A shutdown that never
    # left is only sent again.
    first = command == "On" or world.found_on or written_first
    # Of a reset only its record says that it was sent.
    after = asked if command == "ForceRestart" or not first else None
    before = _seen(world, None) if command == "ForceRestart" else asked
    return Plan(
        ready=ready,
        seen=before if first else _seen(world, world.transition),
        actions=_switch(world, command),
        intent=before if first else None,
        record=after,
        look_again_s=IN_TRANSITION_S,
    )


def _report(
    world: World,
    ready: Verdict,
    *,
    transition: PowerTransition | None = None,
    gone: bool = False,
    again_s: float | None = None,
) -> PowerPlan:
    return Plan(
        ready=waiting(Reason.DELETING) if gone else ready,
        seen=_seen(world, transition),
        gone=gone,
        look_again_s=world.poll_interval_s if again_s is None else again_s,
        polled=again_s is None,
    )


def _no_hold(world: World, hold: NoHold) -> PowerPlan:
    if world.power.metadata.deleting:
        # No server is ours, so none is ours to switch off.
        return Plan(ready=waiting(Reason.DELETING), seen=PowerStateObservation(), gone=True)
    seen = PowerStateObservation(request=world.progress)
    if hold.refused:
        return refused(hold.reason, hold.message, seen)
    return Plan(ready=waiting(hold.reason, hold.message), seen=seen)


def _fault(world: World, fault: Fault) -> PowerPlan:
    seen = _seen(world, world.transition).model_copy(update={"state": "Unknown", "request": while_unread(world)})
    return Plan(
        ready=waiting(fault.reason, fault.message),
        seen=seen,
        synced=Verdict("False", Reason.RECONCILE_ERROR, fault.message),
        look_again_s=FAULT_RETRY_S,
    )


def _seen(world: World, transition: PowerTransition | None) -> PowerStateObservation:
    return PowerStateObservation(
        server_name=world.server, state=world.reading, transition=transition, found_on=world.found_on or None
    )


def _repairs(world: World, wanted: Power) -> bool:
    """Whether the server was seen as it is to be, and is not so any more though nobody here asked for that."""
    if world.transition is not None:
        return bool(world.transition.repairs)
    if wanted != world.power.spec.for_provider.state or world.power.metadata.deleting or world.reading == wanted:
        return False
    return world.power.status.at_provider.state == wanted
