"""Power: what to ask of the BMC, from what it reported and what was asked of it before.

Every command is repeated from what is seen, never from what is remembered: a lost status means that the power is read
and, where it differs from what is desired, asked for again. A server is switched off by a desired Off (or the object's
deletion), and when it was on before it was started for this machine; and only the server that the claim holds.

What runs on a server that has never been shown the machine's boot disk is not the machine: somebody else's operating
system, which must not see its disks. That is decided at the first look and written down, because the disk comes soon;
with no status, a server that is shown the boot disk is taken for the machine's own.

::

         desired On, devices ready         desired Off, or deleted              the server follows
    Off --------------------------> On ---------------------------> shutting down ------------------> Off
                                                                       | grace is over: ForceOff       ^
                                                                       +-------------------------------+
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from provider.api.powerstate import Power, PowerState, PowerStateObservation, PowerTransition
from provider.api.reasons import Reason
from provider.planning.action import BootFromDisk, Policy, PowerAction, SwitchPower
from provider.planning.tenancy import Hold, NoHold
from provider.planning.verdict import AVAILABLE, Plan, Verdict, refused, waiting

PowerPlan = Plan[PowerStateObservation]
_ResetType = Literal["On", "GracefulShutdown", "ForceOff"]

ASK_AGAIN_S = 10.0
"""A server that has not followed for this long is asked again: one that was still starting heard no power button."""
IN_TRANSITION_S = 1.0
FAULT_RETRY_S = 10.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Why the power could not be read."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class World:
    """``reading`` is fresh; ``pending`` names the machine's devices that are not ready, the last to be expected first.

    ``boot_disk_shown``: the DPU was asked to show the server the disk that the machine boots from.
    """

    power: PowerState
    hold: Hold | NoHold
    now: datetime
    reading: Power | None = None
    fault: Fault | None = None
    pending: tuple[str, ...] = ()
    boot_disk_shown: bool = True
    poll_interval_s: float = 60.0

    @property
    def transition(self) -> PowerTransition | None:
        """The change of power that is under way, as last recorded."""
        return self.power.status.at_provider.transition

    @property
    def found_on(self) -> bool:
        """Whether the server is, or may be, on for somebody else than this machine."""
        known = self.power.status.at_provider
        if self.reading == "Off":
            return False
        if known.found_on:
            return True
        # After a fault only a first look tells: an Unknown that was written later may have been On before.
        unused = known.state is None or (known.state == "Off" and self.reading == "On")
        return unused and known.transition is None and not self.boot_disk_shown


def plan(world: World) -> PowerPlan:
    """Read, compare, ask."""
    deleting = world.power.metadata.deleting
    if isinstance(world.hold, NoHold):
        return _no_hold(world, world.hold)
    if world.fault is not None:
        return _fault(world, world.fault)
    if world.reading is None:
        return _report(world, waiting(Reason.CREATING, "reading the power"), again_s=IN_TRANSITION_S)
    if deleting or world.power.spec.for_provider.state == "Off":
        return _plan_off(world)
    if world.found_on:
        return _plan_vacant(world)
    if world.power.spec.for_provider.state == "On":
        return _plan_on(world)
    return _report(world, AVAILABLE)


def _plan_on(world: World) -> PowerPlan:
    if world.reading == "On":
        if _shutting_down(world):
            ready = waiting(Reason.POWERING_OFF, "a shutdown is under way; the server is powered on again after it")
            return _report(world, ready, transition=world.transition, again_s=IN_TRANSITION_S)
        return _report(world, AVAILABLE)
    if world.pending:
        # One, and not how far it is: each word that changes is a write, for every step of every device.
        message = f"waiting for {world.pending[0]} (its conditions say why)"
        return _report(world, waiting(Reason.WAITING_FOR_DEVICES, message))
    ready = waiting(Reason.POWERING_ON, "the BMC was asked to power the server on")
    if _asked(world, "On") and not _is_due_again(world):
        return _report(world, ready, transition=world.transition, again_s=IN_TRANSITION_S)
    return _ask(world, ready, "On", since=world.now)


def _plan_vacant(world: World) -> PowerPlan:
    ready = waiting(Reason.POWERING_OFF, "the server was on before it was started for this machine: its power is cut")
    if _asked(world, "ForceOff") and not _is_due_again(world):
        return _report(world, ready, transition=world.transition, again_s=IN_TRANSITION_S)
    return _ask(world, ready, "ForceOff", since=world.now)


def _plan_off(world: World) -> PowerPlan:
    if world.reading == "Off":
        if _asked(world, "On") and not _is_due_again(world):
            ready = waiting(Reason.POWERING_OFF, "a start that the BMC was asked for may still be under way")
            return _report(world, ready, transition=world.transition, again_s=IN_TRANSITION_S)
        return _report(world, AVAILABLE, gone=world.power.metadata.deleting)
    grace = timedelta(seconds=world.power.spec.for_provider.graceful_shutdown_timeout_seconds)
    under_way = _asked(world, "GracefulShutdown") or _asked(world, "ForceOff")
    started = world.transition.started_at if world.transition and under_way else world.now
    if world.now - started >= grace:
        ready = waiting(Reason.POWERING_OFF, "the BMC was asked to cut the power")
        return _ask(world, ready, "ForceOff", since=started)
    ready = waiting(Reason.POWERING_OFF, f"the server has until {_time(started + grace)} to shut down")
    if under_way and not _is_due_again(world):
        return _report(world, ready, transition=world.transition, again_s=IN_TRANSITION_S)
    return _ask(world, ready, "GracefulShutdown", since=started)


def _switch(world: World, reset_type: _ResetType) -> tuple[PowerAction, ...]:
    policy: Policy = "Delete" if world.power.metadata.deleting else "Update"
    server = world.hold.server.metadata.name if isinstance(world.hold, Hold) else ""
    switch = SwitchPower(reset_type, f"asked the BMC of Server {server} for {reset_type}", policy)
    return (BootFromDisk(), switch) if reset_type == "On" else (switch,)


def _ask(world: World, ready: Verdict, reset_type: _ResetType, *, since: datetime) -> PowerPlan:
    asked = _seen(world, PowerTransition(action=reset_type, started_at=since, asked_at=world.now))
    # A start is written down before it is sent: whoever finds the server off after a crash must know that it may not
    # stay off; and so is what was found on, which cannot be told once the boot disk is shown. A shutdown that never
    # left is only sent again.
    first = reset_type == "On" or world.found_on
    return Plan(
        ready=ready,
        seen=asked if first else _seen(world, world.transition),
        actions=_switch(world, reset_type),
        intent=asked if first else None,
        record=None if first else asked,
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
    if hold.refused:
        return refused(hold.reason, hold.message, PowerStateObservation())
    return Plan(ready=waiting(hold.reason, hold.message), seen=PowerStateObservation())


def _fault(world: World, fault: Fault) -> PowerPlan:
    seen = _seen(world, world.transition).model_copy(update={"state": "Unknown"})
    return Plan(
        ready=waiting(fault.reason, fault.message),
        seen=seen,
        synced=Verdict("False", Reason.RECONCILE_ERROR, fault.message),
        look_again_s=FAULT_RETRY_S,
    )


def _seen(world: World, transition: PowerTransition | None) -> PowerStateObservation:
    server = world.hold.server.metadata.name if isinstance(world.hold, Hold) else None
    return PowerStateObservation(
        server_name=server, state=world.reading, transition=transition, found_on=world.found_on or None
    )


def _asked(world: World, action: str) -> bool:
    return world.transition is not None and world.transition.action == action


def _is_due_again(world: World) -> bool:
    return world.transition is None or world.now - world.transition.asked_at >= timedelta(seconds=ASK_AGAIN_S)


def _elapsed(world: World) -> timedelta:
    return timedelta.max if world.transition is None else world.now - world.transition.started_at


def _shutting_down(world: World) -> bool:
    grace = timedelta(seconds=world.power.spec.for_provider.graceful_shutdown_timeout_seconds)
    return _asked(world, "GracefulShutdown") and _elapsed(world) < grace


def _time(moment: datetime) -> str:
    return moment.strftime("%H:%M:%SZ")
