"""The verbs of power, decided. Pure.

Where ``runStrategy`` says what the power is to be (Always, Halted), start and stop change it. With Manual nobody says
so, and they are requests; a restart is one always, for it is no state. A request has an id: the PowerState's controller
carries it out once, whatever dies meanwhile.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from provider.api.machine import BareMetalMachine
from provider.api.powerstate import PowerState
from provider.apiserver.errors import Cause, StateForbids
from provider.apiserver.options import PowerOptions, ResetOptions, RestartOptions, StartOptions, StopOptions
from provider.apiserver.stewardship import steward
from provider.apiserver.verdicts import Decision, PowerRequest

Json = dict[str, Any]

_FINISHED = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True)
class Powered:
    """A machine as it is, with its PowerState where there is one, and the id and time for a request."""

    raw: Json
    machine: BareMetalMachine
    power: PowerState | None
    request_id: str
    now: datetime

    @property
    def name(self) -> str:
        """How a message calls it."""
        return f"BareMetalMachine {self.machine.metadata.namespace}/{self.machine.metadata.name}"

    @property
    def state(self) -> str:
        """Power as the BMC last said."""
        return (self.power.status.at_provider.state if self.power else None) or "Unknown"


def start(seen: Powered, options: StartOptions) -> Decision:  # noqa: ARG001  (every verb has its options)
    """Have it on."""
    _stays(seen, "start")
    match seen.machine.spec.run_strategy:
        case "Always":
            return Decision("runStrategy is Always already: it is kept on")
        case "Halted":
            _may_edit(seen, "start", "Always")
            return Decision("runStrategy is Always now: it is powered on", spec={"runStrategy": "Always"})
        case "Manual":
            if seen.state == "On":
                return Decision("its power is on already")
            return _request(seen, "start", "On", "it is powered on")


def stop(seen: Powered, options: StopOptions) -> Decision:
    """Have it off. How, where that is not as the spec has it, is a request beside the strategy."""
    _stays(seen, "stop")
    strategy = seen.machine.spec.run_strategy
    if strategy == "Manual":
        return Decision("its power is off already") if seen.state == "Off" else _shut_down(seen, options)
    spec: Json = {}
    if strategy == "Always":
        _may_edit(seen, "stop", "Halted")
        spec = {"runStrategy": "Halted"}
    told = "runStrategy is Halted now" if spec else "runStrategy is Halted already"
    as_in_spec = not options.force and options.grace_period_seconds is None
    if as_in_spec or seen.power is None or seen.state == "Off":
        return Decision(f"{told}: it is shut down" if spec else told, spec=spec)
    shut_down = _shut_down(seen, options)
    return Decision(f"{told}; {shut_down.message}", spec=spec, request=shut_down.request)


def _shut_down(seen: Powered, options: StopOptions) -> Decision:
    if options.force:
        return _request(seen, "stop", "ForceOff", "its power is cut")
    grace_s = options.grace_period_seconds
    return _request(seen, "stop", "GracefulShutdown", "it is shut down", grace_s=grace_s, then_force=True)


def restart(seen: Powered, options: RestartOptions) -> Decision:
    """Off and on again."""
    _stays(seen, "restart")
    _is_meant_to_run(seen, "restart")
    _is_on(seen, "restart")
    _is_free(seen, "restart", override=options.force)
    if options.force:
        return _request(seen, "restart", "PowerCycle", "its power is cut, and comes back")
    return _request(
        seen,
        "restart",
        "GracefulRestart",
        "it is shut down, and powered on again",
        grace_s=options.grace_period_seconds,
        then_force=options.force_after_grace_period,
    )


def reset(seen: Powered, options: ResetOptions) -> Decision:  # noqa: ARG001  (every verb has its options)
    """Its hardware begins anew."""
    _stays(seen, "reset")
    _is_meant_to_run(seen, "reset")
    _is_on(seen, "reset")
    return _request(seen, "reset", "ForceRestart", "its hardware is reset")


def switch(seen: Powered, options: PowerOptions) -> Decision:
    """What an operator asks of the server under it."""
    _stays(seen, "switch")
    if options.action not in ("ForceOff", "GracefulShutdown"):
        _is_meant_to_run(seen, "switch on")
    return _request(
        seen,
        "switch",
        options.action,
        f"{options.action} is carried out",
        grace_s=options.grace_period_seconds,
    )


def _request(
    seen: Powered,
    verb: str,
    action: str,
    follows: str,
    *,
    grace_s: int | None = None,
    then_force: bool = False,
) -> Decision:
    if seen.power is None:
        raise StateForbids(
            f"Cannot {verb} {seen.name}: it has no PowerState yet, for it is still being composed; "
            "`kubectl describe` it, and try again when it is Provisioning"
        )
    request: Json = {"id": seen.request_id, "action": action, "requestedAt": _rfc3339(seen.now)}
    if grace_s is not None:
        request["gracePeriodSeconds"] = grace_s
    if then_force:
        request["forceAfterGracePeriod"] = True
    of = seen.power.metadata
    asked = PowerRequest(of.name, of.uid, of.resource_version, request)
    return Decision(f"power request {seen.request_id} is recorded: {follows}", request=asked)


def _stays(seen: Powered, verb: str) -> None:
    if seen.machine.metadata.deleting:
        raise StateForbids(f"Cannot {verb} {seen.name}: it is being deleted")


def _may_edit(seen: Powered, verb: str, strategy: str) -> None:
    other = steward(seen.raw, "runStrategy")
    if other is not None:
        raise StateForbids(
            f"Cannot {verb} {seen.name}: {other} looks after spec.runStrategy and would put it back; "
            f"write runStrategy: {strategy} where that has it from",
            causes=[Cause("spec.runStrategy", f"looked after by {other}", "FieldManagerConflict")],
        )


def _is_meant_to_run(seen: Powered, verb: str) -> None:
    if seen.machine.spec.run_strategy == "Halted":
        raise StateForbids(f"Cannot {verb} {seen.name}: its runStrategy is Halted; start it instead")


def _is_on(seen: Powered, verb: str) -> None:
    if seen.state == "Off":
        raise StateForbids(f"Cannot {verb} {seen.name}: its power is off; start it instead")
    if seen.state == "Unknown":
        why = "" if seen.power is None else _why(seen.power)
        raise StateForbids(f"Cannot {verb} {seen.name}: its power is not known{why}; try again when its BMC answers")


def _is_free(seen: Powered, verb: str, *, override: bool) -> None:
    request = seen.power.status.at_provider.request if seen.power else None
    if request is not None and request.phase not in _FINISHED and not override:
        raise StateForbids(
            f"Cannot {verb} {seen.name}: power request {request.id} is under way ({request.phase}); "
            "wait for it, or use force, which takes its place"
        )


def _why(power: PowerState) -> str:
    ready = next((condition for condition in power.status.conditions if condition.type == "Ready"), None)
    return f" ({ready.message})" if ready is not None and ready.message else ""


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
