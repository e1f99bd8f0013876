"""The verbs of machines: read, decide, write, and say what was done."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from provider.api.subresources import ADDNIC, ADDVOLUME, EXPAND, REMOVENIC, REMOVEVOLUME, RESET, RESTART, START, STOP
from provider.apiserver import devices, power
from provider.apiserver.caller import Caller
from provider.apiserver.equipped import Equipped
from provider.apiserver.objects import Objects
from provider.apiserver.options import ActionResult, Options
from provider.apiserver.power import Powered
from provider.apiserver.verdicts import Decision
from provider.runtime.events import EventRecorder

Json = dict[str, Any]
Decide = Callable[[Objects, Json, Any], Awaitable[Decision]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for a verb, as it was understood."""

    caller: Caller
    verb: str
    namespace: str
    name: str
    options: Options
    dry_run: bool


def of_power(decide: Callable[[Powered, Any], Decision]) -> Decide:
    """A verb that is decided from the machine and its PowerState."""

    async def decided(objects: Objects, machine: Json, options: Options) -> Decision:
        return decide(await objects.powered(machine), options)

    return decided


def _of_devices(decide: Callable[[Equipped, Any], Decision]) -> Decide:
    """A verb that is decided from the machine and its devices."""

    async def decided(objects: Objects, machine: Json, options: Options) -> Decision:
        return decide(await objects.equipped(machine), options)

    return decided


VERBS: Mapping[str, Decide] = {
    START: of_power(power.start),
    STOP: of_power(power.stop),
    RESTART: of_power(power.restart),
    RESET: of_power(power.reset),
    ADDVOLUME: _of_devices(devices.add_volume),
    REMOVEVOLUME: _of_devices(devices.remove_volume),
    ADDNIC: _of_devices(devices.add_nic),
    REMOVENIC: _of_devices(devices.remove_nic),
    EXPAND: _of_devices(devices.expand),
}
"""Each by its own options (``routes``), of which the table does not know the type."""


class MachineVerbs:
    """Answers the verbs of ``baremetalmachines``."""

    def __init__(self, objects: Objects, events: EventRecorder) -> None:
        self._objects = objects
        self._events = events

    async def answer(self, asked: Asked) -> ActionResult:
        """Do it. Raises ``ApiError``, ``KubeError``."""
        return await self.carry_out(asked, VERBS[asked.verb])

    async def carry_out(self, asked: Asked, decide: Decide) -> ActionResult:
        """Do what ``decide`` says of the machine that ``asked`` names."""

        async def decided(objects: Objects, machine: Json) -> Decision:
            return await decide(objects, machine, asked.options)

        machine, decision = await self._objects.decide(
            asked.namespace, asked.name, decided, verb=asked.verb, dry_run=asked.dry_run
        )
        if not asked.dry_run and not decision.changes_nothing:
            note = f"{asked.caller.name} asked for {asked.verb}: {decision.message}"
            self._events.record(machine, "Normal", _reason(asked.verb), note, action=asked.verb)
        return ActionResult(
            metadata={"namespace": asked.namespace, "name": asked.name},
            action=asked.verb,
            message=decision.message,
            request_id=decision.request.parameters["id"] if decision.request else None,
            dry_run=asked.dry_run,
        )


def _reason(verb: str) -> str:
    return f"{verb.capitalize()}Requested"
