"""The verbs of machines: read, decide, write, and say what was done."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from provider.api.subresources import ADDNIC, ADDVOLUME, EXPAND, REMOVENIC, REMOVEVOLUME, RESET, RESTART, START, STOP
from provider.apiserver import devices, power
from provider.apiserver.caller import Caller
from provider.apiserver.objects import Objects
from provider.apiserver.options import (
    ActionResult,
    AddNicOptions,
    AddVolumeOptions,
    ExpandOptions,
    Options,
    RemoveNicOptions,
    RemoveVolumeOptions,
    ResetOptions,
    RestartOptions,
    StartOptions,
    StopOptions,
)
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


async def _start(objects: Objects, machine: Json, _: StartOptions) -> Decision:
    return power.start(await objects.powered(machine))


async def _stop(objects: Objects, machine: Json, options: StopOptions) -> Decision:
    return power.stop(await objects.powered(machine), options)


async def _restart(objects: Objects, machine: Json, options: RestartOptions) -> Decision:
    return power.restart(await objects.powered(machine), options)


async def _reset(objects: Objects, machine: Json, options: ResetOptions) -> Decision:
    return power.reset(await objects.powered(machine), options)


async def _add_volume(objects: Objects, machine: Json, options: AddVolumeOptions) -> Decision:
    return devices.add_volume(await objects.equipped(machine), options)


async def _remove_volume(objects: Objects, machine: Json, options: RemoveVolumeOptions) -> Decision:
    return devices.remove_volume(await objects.equipped(machine), options)


async def _add_nic(objects: Objects, machine: Json, options: AddNicOptions) -> Decision:
    return devices.add_nic(await objects.equipped(machine), options)


async def _remove_nic(objects: Objects, machine: Json, options: RemoveNicOptions) -> Decision:
    return devices.remove_nic(await objects.equipped(machine), options)


async def _expand(objects: Objects, machine: Json, options: ExpandOptions) -> Decision:
    return devices.expand(await objects.equipped(machine), options)


VERBS: Mapping[str, Decide] = {
    START: _start,
    STOP: _stop,
    RESTART: _restart,
    RESET: _reset,
    ADDVOLUME: _add_volume,
    REMOVEVOLUME: _remove_volume,
    ADDNIC: _add_nic,
    REMOVENIC: _remove_nic,
    EXPAND: _expand,
}


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

        machine, decision = await self._objects.decide(asked.namespace, asked.name, decided, dry_run=asked.dry_run)
        if not asked.dry_run and not decision.changes_nothing:
            note = f"{asked.caller.name} asked for {asked.verb}: {decision.message}"
            self._events.record(machine, "Normal", _reason(asked.verb), note, action=asked.verb)
        return ActionResult(
            metadata={"namespace": asked.namespace, "name": asked.name},
            action=asked.verb,
            message=decision.message,
            request_id=decision.request.get("id"),
            dry_run=asked.dry_run,
        )


def _reason(verb: str) -> str:
    return f"{verb.capitalize()}Requested"
