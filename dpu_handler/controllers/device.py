"""What both kinds share: the status that is written only when it changed, and removal with its condition."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from dpu_handler.execution.carrying import carry_out
from dpu_handler.execution.dpu import Dpu
from dpu_handler.planning.steps import Plan
from dpu_handler.southbound import SouthboundError
from provider.api.conditions import PLUGGED, READY, REMOVED, Condition, ConditionStatus, merge
from provider.api.emulateddisk import EmulatedDisk, EmulatedDiskStatus
from provider.api.emulatednic import EmulatedNIC, EmulatedNICStatus
from provider.api.names import FINALIZER_EMULATION
from provider.api.reasons import Reason
from provider.api.resources import ResourceType
from provider.runtime.context import Runtime
from provider.runtime.controller import Json, Lane, RequeueAfter, Settled
from provider.runtime.errors import NotFound

_LOG = logging.getLogger(__name__)

FIELD_MANAGER = "metalplane-agent"
LOOK_AGAIN = RequeueAfter(2.0, Lane.DRIFT)
"""After the DPU could not be asked."""

RETRY = RequeueAfter(0.5)
RETRY_LIMIT_S = 10.0
"""Every try is requests and spans, and what a device waits for may be away for hours. Events, those of the drift watch
among them, bring a device sooner."""

_TRIES_COUNTED = 16

FAILED = "DeviceFailed"
_NEWS = (
    (PLUGGED, "DevicePlugged", "the server sees it in slot {slot}"),
    (REMOVED, "DeviceUnplugged", "it is gone from slot {slot}, and nothing of it is left on the DPU"),
)
"""Condition that came true, reason and note of the Event that says so."""

Status = TypeVar("Status", EmulatedDiskStatus, EmulatedNICStatus)


@dataclass(frozen=True, slots=True)
class Fact:
    """One condition to report."""

    type: str
    status: ConditionStatus
    reason: str
    message: str = ""


@dataclass(slots=True)
class _Trouble:
    """Of a device that is not as it should be yet: how often in a row, and what the log has of it already."""

    tries: int = 0
    told: str = ""


class Device(Generic[Status]):
    """Works on the objects of one kind, and reports on them."""

    def __init__(self, runtime: Runtime, resource: ResourceType, dpu: Dpu) -> None:
        self._runtime = runtime
        self._resource = resource
        self._dpu = dpu
        self._troubles: defaultdict[str, _Trouble] = defaultdict(_Trouble)

    async def carry_out(self, raw: Json, plan: Plan) -> str:
        """Do the plan; why it failed, or nothing. What was done is seen by the next observation."""
        try:
            await carry_out(self._dpu, plan)
        except SouthboundError as error:
            self.tell(raw, str(error))
            return str(error)
        return ""

    def try_again(self, name: str) -> RequeueAfter:
        """When to look next at a device that is not as it should be: after twice the last pause."""
        trouble = self._troubles[name]
        delay_s = min(RETRY.delay_s * 2**trouble.tries, RETRY_LIMIT_S)
        trouble.tries = min(trouble.tries + 1, _TRIES_COUNTED)
        return RequeueAfter(delay_s)

    def settled(self, name: str) -> Settled:
        """The device is as it should be, or no more: the next trouble is a new one."""
        self._troubles.pop(name, None)
        return Settled()

    def tell(self, raw: Json, problem: str) -> None:
        """Why the device cannot be made or removed: in the log and as an Event, once for as long as it is so."""
        name = raw["metadata"]["name"]
        trouble = self._troubles[name]
        if problem != trouble.told:
            _LOG.warning("kind=%s object=%s error=%s", self._resource.kind, name, problem)
            self._runtime.events.record(raw, "Warning", FAILED, problem)
        trouble.told = problem

    async def report(self, obj: EmulatedDisk | EmulatedNIC, raw: Json, status: Status, facts: Iterable[Fact]) -> None:
        """Write the status, if it is another than the one that stands there."""
        now = self._runtime.clock()
        conditions = merge(obj.status.conditions, *(self._condition(obj, fact, now) for fact in facts))
        body: dict[str, Any] = status.model_copy(
            update={"conditions": conditions, "observed_generation": obj.metadata.generation}
        ).to_json()
        identity = {"name": obj.metadata.name, "namespace": obj.metadata.namespace}
        try:
            await self._runtime.client.apply(
                self._resource,
                {"metadata": identity, "status": body},
                field_manager=FIELD_MANAGER,
                subresource="status",
                current=raw,
            )
        except NotFound:
            # The provider let go of it in this moment: nobody waits for the report.
            return
        self._record(obj, raw, conditions)

    def _record(self, obj: EmulatedDisk | EmulatedNIC, raw: Json, conditions: Sequence[Condition]) -> None:
        """What happened just now, for ``kubectl describe``; a device that was plugged all along is no news."""
        for type_, reason, note in _NEWS:
            if _holds(conditions, type_) and not _holds(obj.status.conditions, type_):
                self._runtime.events.record(raw, "Normal", reason, note.format(slot=_slot(obj)))

    @staticmethod
    def not_removed(obj: EmulatedDisk | EmulatedNIC, problem: str, *, held: bool) -> list[Fact]:
        """What a removal waits for. ``held``: the server was asked to let go of the device, and has not done so."""
        waiting = _held(obj, problem) if held else problem or "the DPU is taking it away"
        return [Fact(type_, "False", Reason.DELETING, waiting) for type_ in (REMOVED, READY)]

    @staticmethod
    def awaits_removal(obj: EmulatedDisk | EmulatedNIC) -> bool:
        """Whether the provider waits to hear that the device is gone."""
        return obj.metadata.deleting and FINALIZER_EMULATION in obj.metadata.finalizers

    @staticmethod
    def _condition(obj: EmulatedDisk | EmulatedNIC, fact: Fact, now: Any) -> Condition:
        return Condition(
            type=fact.type,
            status=fact.status,
            reason=fact.reason,
            message=fact.message,
            last_transition_time=now,
            observed_generation=obj.metadata.generation,
        )


def _holds(conditions: Sequence[Condition], type_: str) -> bool:
    return any(each.type == type_ and each.status == "True" for each in conditions)


def _slot(obj: EmulatedDisk | EmulatedNIC) -> int:
    return obj.spec.slot if isinstance(obj, EmulatedDisk) else obj.spec.nic_slot


def _held(obj: EmulatedDisk | EmulatedNIC, problem: str) -> str:
    """When it began, and not how long ago: a message that changes with time would be written again and again."""
    noun, verb = ("disk", "removevolume") if isinstance(obj, EmulatedDisk) else ("NIC", "removenic")
    since = f"{obj.metadata.deletion_timestamp:%Y-%m-%d %H:%M:%SZ}"
    holds = f"the server's operating system has not let go of the {noun} in slot {_slot(obj)}, asked at {since}"
    if obj.spec.force_unplug:
        return f"{holds}, nor was it taken away by force" + (f": {problem}" if problem else "")
    return f"{holds}: stop using it there, or force it with `bmctl {verb} --force`"


def chain(made: Sequence[tuple[str, bool]], problem: str) -> list[Fact]:
    """Conditions of what is made one after the other; the first that is missing carries the problem."""
    facts: list[Fact] = []
    broken = False
    for type_, done in made:
        if done:
            facts.append(Fact(type_, "True", Reason.AVAILABLE))
        else:
            facts.append(Fact(type_, "False", Reason.CREATING, "" if broken else problem))
            broken = True
    return facts
