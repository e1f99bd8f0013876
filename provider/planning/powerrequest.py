"""Requests: changes of power that are no state, each carried out once.

How far a request has come is in status, by its id, and is written before the command that must not be forgotten. That
it is finished is in an annotation of the PowerState, written before the final status; a request whose id stands there
asks for nothing any more.

Where the status is lost in the middle, nobody knows whether the server was switched off already. A command that takes
a running system away is not sent on so little: the request ends as Failed and says so, and whoever still wants it asks
again. Only a restart whose server is seen off then goes on, with its start: that takes nothing away, and whoever asked
for a restart does not want the server off. A reset leaves no trace in the power; one that is written down and was not
confirmed is sent again for a little while, in which it strikes the same start, and after that it has failed.

::

    Pending --> PoweringOff --seen off--> PoweringOn --seen on--> Succeeded     GracefulRestart, PowerCycle
                     |                        ^
                     |                        +---- On
                     +--seen off--> Succeeded                                   GracefulShutdown, ForceOff
    Pending --> Resetting --the BMC took it--> Succeeded                        ForceRestart
    any of them --> Failed                                                      with what to do next
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from provider.api.powerstate import PowerRequest, PowerRequestProgress, RequestPhase
from provider.api.reasons import Reason
from provider.planning.powerworld import World
from provider.planning.verdict import Verdict, waiting

Command = Literal["On", "GracefulShutdown", "ForceOff", "ForceRestart"]

_ENDED: tuple[RequestPhase, ...] = ("Succeeded", "Failed")
_STARTS = ("On", "GracefulRestart", "PowerCycle", "ForceRestart")

MAY_CHANGE_S = 30.0
"""A request to switch off that comes with a change of the desired state waits so long for that state."""
RESET_AGAIN_S = 30.0
"""So long a reset is sent again that the BMC did not confirm."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Nothing is to be done for a request now: the desired state alone decides."""

    progress: PowerRequestProgress | None = None


@dataclass(frozen=True, slots=True)
class Pursue:
    """A request is under way. ``command`` is what to ask of the BMC now; ``since``: when this change of power began."""

    progress: PowerRequestProgress
    ready: Verdict
    command: Command | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """A request is over; that must be written down."""

    progress: PowerRequestProgress


Step = Leave | Pursue | Finish


def decide(world: World) -> Step:
    """The next step of the request, for a server that is held and whose power was read."""
    known = world.progress
    if world.request is None or (world.request_is_finished and known is None):
        return Leave()
    if known is not None and known.phase in _ENDED:
        return Leave(known) if world.request_is_finished else Finish(known)
    step = _next(world, world.request)
    if not world.request_is_finished:
        return step
    # Whoever wrote that it is finished was killed before it said how.
    lost = "it was finished, and how was lost: read the power"
    return Leave(step.progress if isinstance(step, Finish) else _end(world, world.request, "Failed", lost).progress)


def while_unread(world: World) -> PowerRequestProgress | None:
    """How far the request has come while the power cannot be read. What it is to take the place of stands till then."""
    request, known = world.request, world.progress
    if request is None or known is not None or world.request_is_finished:
        return known
    before = world.power.status.at_provider.request
    if before is not None and before.phase not in _ENDED:
        return before
    if world.first_look and request.action != "On":
        return _lost(world, request).progress
    return _at(world, request, "Pending", "the power cannot be read now")


def _next(world: World, request: PowerRequest) -> Step:
    step = _pursue(world, request)
    if not world.first_look or request.action == "On" or isinstance(step, Finish):
        return step
    going_on = isinstance(step, Pursue) and step.progress.phase == "PoweringOn"
    return step if going_on else _lost(world, request)


def _pursue(world: World, request: PowerRequest) -> Step:
    if world.off_is_desired and request.action in _STARTS:
        return _end(world, request, "Failed", "superseded: the server is to be off")
    if world.found_on and not world.off_is_desired:
        return Leave(_at(world, request, "Pending", "the power is cut first: the server was on for somebody else"))
    match request.action:
        case "On":
            return _start(world, request)
        case "GracefulShutdown" | "ForceOff":
            return _stop(world, request)
        case "GracefulRestart" | "PowerCycle":
            return _restart(world, request)
        case "ForceRestart":
            return _reset(world, request)


def _start(world: World, request: PowerRequest) -> Step:
    if world.reading == "On":
        if world.shutting_down:
            ready = waiting(Reason.POWERING_OFF, "a shutdown is under way; the server is powered on again after it")
            return Pursue(_at(world, request, "PoweringOn"), ready)
        return _end(world, request, "Succeeded")
    if world.pending:
        message = f"waiting for {world.pending[0]} (its conditions say why)"
        return Pursue(_at(world, request, "PoweringOn", message), waiting(Reason.WAITING_FOR_DEVICES, message))
    progress = _at(world, request, "PoweringOn")
    ready = waiting(Reason.POWERING_ON, "the BMC was asked to power the server on")
    if world.asked("On") and not world.is_due_again:
        return Pursue(progress, ready)
    return Pursue(progress, ready, "On", world.now)


def _stop(world: World, request: PowerRequest) -> Step:
    if world.on_is_desired:
        return _stop_what_is_to_run(world, request)
    if world.reading == "On":
        return _switch_off(world, request, cut=request.force_after_grace_period or world.off_is_desired)
    if world.asked("On") and not world.is_due_again:
        ready = waiting(Reason.POWERING_OFF, "a start that the BMC was asked for may still be under way")
        return Pursue(_at(world, request, "PoweringOff"), ready)
    return _end(world, request, "Succeeded")


def _stop_what_is_to_run(world: World, request: PowerRequest) -> Step:
    """It may have come just before the change of state that it belongs to."""
    progress = _at(world, request, "Pending", "the server is to be on: waiting for that to change")
    if world.now - progress.started_at < timedelta(seconds=MAY_CHANGE_S):
        return Leave(progress)
    message = f"Server {world.server} is to be on: set runStrategy to Halted or Manual, or ask for a restart"
    return _end(world, request, "Failed", message)


def _restart(world: World, request: PowerRequest) -> Step:
    if world.reading == "Off":
        return _start(world, request) if _was_switched_off(world) else _is_off(world, request)
    if _phase(world) == "PoweringOn":
        return _end(world, request, "Succeeded")
    return _switch_off(world, request, cut=request.action == "PowerCycle" or request.force_after_grace_period)


def _reset(world: World, request: PowerRequest) -> Step:
    phase = _phase(world)
    if world.reading == "Off":
        # In the middle of a reset the power stays on: somebody else has switched it off.
        switched_off = phase != "Resetting" and _was_switched_off(world)
        return _start(world, request) if switched_off else _is_off(world, request)
    sent = phase == "Resetting" and world.asked("ForceRestart")
    if sent or phase == "PoweringOn":
        return _end(world, request, "Succeeded")
    progress = _at(world, request, "Resetting")
    if world.now - progress.started_at >= timedelta(seconds=RESET_AGAIN_S):
        message = f"the BMC of Server {world.server} did not confirm the reset: see whether it came, or ask again"
        return _end(world, request, "Failed", message)
    ready = waiting(Reason.POWERING_ON, "the BMC is asked to reset the server")
    return Pursue(progress, ready, "ForceRestart", progress.started_at)


def _switch_off(world: World, request: PowerRequest, *, cut: bool) -> Step:
    """``cut``: whether the power is cut when the grace is over."""
    progress = _at(world, request, "PoweringOff")
    begun = world.progress is not None and world.progress.phase == "PoweringOff"
    grace_s = _grace_s(world, request)
    over = world.now - progress.started_at >= timedelta(seconds=grace_s)
    command: Command = "ForceOff" if over and (cut or grace_s == 0) else "GracefulShutdown"
    if command == "ForceOff":
        ready = waiting(Reason.POWERING_OFF, "the BMC was asked to cut the power")
    elif over:
        message = f"Server {world.server} did not shut down within {grace_s} s and runs on: ask again, or with force"
        return _end(world, request, "Failed", message)
    else:
        until = progress.started_at + timedelta(seconds=grace_s)
        ready = waiting(Reason.POWERING_OFF, f"the server has until {until:%H:%M:%SZ} to shut down")
    # What another request, or the desired state, asked for before this one began is not its own.
    if begun and world.asked(command) and not world.is_due_again:
        return Pursue(progress, ready)
    return Pursue(progress, ready, command, progress.started_at)


def _grace_s(world: World, request: PowerRequest) -> int:
    if request.action in ("ForceOff", "PowerCycle"):
        return 0
    given = request.grace_period_seconds
    return world.power.spec.for_provider.graceful_shutdown_timeout_seconds if given is None else given


def _was_switched_off(world: World) -> bool:
    """Whether a server that is off is so, or may be so, because a request had it switched off on the way to a start.

    A request that is superseded in the middle leaves its work to the next one.
    """
    known = world.power.status.at_provider.request
    under_way = known is not None and known.phase in ("PoweringOff", "PoweringOn")
    return under_way or (world.first_look and world.progress is None)


def _is_off(world: World, request: PowerRequest) -> Finish:
    return _end(world, request, "Failed", f"Server {world.server} is off: start it")


def _lost(world: World, request: PowerRequest) -> Finish:
    message = "there is no status that says whether it was begun, and it is not begun twice: ask again"
    return _end(world, request, "Failed", message)


def _phase(world: World) -> RequestPhase | None:
    return None if world.progress is None else world.progress.phase


def _at(world: World, request: PowerRequest, phase: RequestPhase, message: str | None = None) -> PowerRequestProgress:
    known = world.progress
    begins = known is None or (known.phase == "Pending" and phase != "Pending")
    started_at = world.now if known is None or begins else known.started_at
    return PowerRequestProgress(id=request.id, phase=phase, started_at=started_at, message=message)


def _end(world: World, request: PowerRequest, phase: RequestPhase, message: str | None = None) -> Finish:
    known = world.progress
    started_at = world.now if known is None else known.started_at
    return Finish(
        PowerRequestProgress(id=request.id, phase=phase, started_at=started_at, finished_at=world.now, message=message)
    )
