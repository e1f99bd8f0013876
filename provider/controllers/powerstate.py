"""PowerStates: one server's power, through its BMC."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from provider.api.conditions import READY, Condition, is_true
from provider.api.emulateddisk import EmulatedDisk
from provider.api.names import ANNOTATION_RUN, LABEL_MACHINE_UID, LABEL_RUN
from provider.api.powerstate import Power, PowerState
from provider.api.providerconfig import ClusterProviderConfig
from provider.api.resources import (
    BAREMETALMACHINE,
    CLUSTERPROVIDERCONFIG,
    EMULATEDDISK,
    POWERSTATE,
    SERVER,
    SERVERCLAIM,
    VIRTUALDISK,
    VIRTUALNIC,
)
from provider.controllers.agents import Agents
from provider.controllers.kind import ObjectKind
from provider.controllers.powercommand import command
from provider.controllers.powerreading import PowerReadings
from provider.controllers.references import ReferenceField
from provider.controllers.routes import Routes, nobody
from provider.controllers.surroundings import Surroundings
from provider.execution.errors import PowerActionFailed
from provider.planning.action import Action, BootFromDisk, SwitchPower
from provider.planning.powerstate import PowerPlan, plan
from provider.planning.powerworld import Fault, World
from provider.planning.tenancy import Hold
from provider.runtime.context import Runtime
from provider.runtime.controller import Json, Key, Watch

_DEVICES = (VIRTUALDISK, VIRTUALNIC)
_DEFAULT_POLL_S = 60.0
_LESS_OFTEN = 10
"""So many times as long between two polls of a server whose agent sees it run: a login at a BMC costs milliseconds."""
_DOUBTED_POLL_S = 6.0
"""Between two polls of a server that let go of a disk a moment ago and is still on: an operating system that shuts
down does so seconds before the power goes, and that is to be seen within 10 s of it."""
_DOUBTED_FOR_S = 120.0
"""A server that is still on after this long has not shut down: it starts again, or its disk is in trouble."""


class PowerStateKind(ObjectKind[PowerState]):
    """The external resource is the server's power; it is always there, and only ever switched."""

    resource = POWERSTATE
    references: tuple[ReferenceField, ...] = (ReferenceField("serverClaim", SERVERCLAIM),)
    workers = 8

    def __init__(self, runtime: Runtime, surroundings: Surroundings, agents: Agents, readings: PowerReadings) -> None:
        super().__init__(runtime)
        self._surroundings = surroundings
        self._agents = agents
        self._readings = readings
        self._generations: dict[Key, int] = {}
        self._doubted_since: dict[Key, datetime] = {}
        routes = Routes(runtime.cache, POWERSTATE)
        self.watches = [
            # EmulatedDisks tell at once when the server lets go of its disks: its power may be gone.
            *routes.by_machine(SERVERCLAIM, *_DEVICES, EMULATEDDISK),
            Watch(SERVER, routes.by_server),
            Watch(BAREMETALMACHINE, nobody),
            Watch(CLUSTERPROVIDERCONFIG, nobody),
        ]

    def parse(self, raw: Json) -> PowerState:
        """The model of an object."""
        return PowerState.parse(raw)

    async def observe(self, obj: PowerState) -> World:
        """Hold, power, and the devices that a start has to wait for."""
        hold = self._surroundings.hold(obj.metadata, obj.spec.for_provider.server_claim_ref)
        now, poll_s = self._runtime.clock(), self._poll_interval_s(obj)
        if not isinstance(hold, Hold):
            return World(obj, hold, now, poll_interval_s=poll_s)
        shown = self._boot_disk_is_shown(hold)  # before the power is read, which may take a while
        answer = await self._readings.read(hold.server, fresh=self._must_be_fresh(obj))
        self._generations[_key(obj)] = obj.metadata.generation
        pending = tuple(self._pending(obj, hold))
        if self._is_doubted(obj, answer, now):
            poll_s = min(poll_s, _DOUBTED_POLL_S)
        elif answer == "On" and self._vouched_for(hold):
            poll_s *= _LESS_OFTEN
        world = World(obj, hold, now, pending=pending, boot_disk_shown=shown, poll_interval_s=poll_s)
        return replace(world, fault=answer) if isinstance(answer, Fault) else replace(world, reading=answer)

    def plan(self, world: World) -> PowerPlan:
        """What to do about it."""
        return plan(world)

    async def carry_out(self, action: Action, obj: PowerState) -> None:
        """Write, or send one command; the proof that the server is ours is made again right before it."""
        if not isinstance(action, SwitchPower | BootFromDisk):
            await super().carry_out(action, obj)
            return
        hold = self._surroundings.hold(obj.metadata, obj.spec.for_provider.server_claim_ref)
        if not isinstance(hold, Hold):
            subject = f"the server of PowerState {obj.metadata.name}"
            raise PowerActionFailed("switch the power of", subject=subject, cause=hold.message)
        await command(self._runtime, self._readings, hold.server, action)

    def forget(self, key: Key) -> None:
        """Let go of what was kept for an object that is gone."""
        self._generations.pop(key, None)
        self._doubted_since.pop(key, None)

    def _must_be_fresh(self, obj: PowerState) -> bool:
        if obj.metadata.deleting or obj.status.at_provider.transition is not None:
            return True
        if self._generations.get(_key(obj)) != obj.metadata.generation:
            return True
        return self._disks_deny(obj, obj.status.at_provider.state)

    def _is_doubted(self, obj: PowerState, answer: Power | Fault, now: datetime) -> bool:
        """Whether the disks have denied for no more than a while what the BMC says."""
        if isinstance(answer, Fault) or not self._disks_deny(obj, answer):
            self._doubted_since.pop(_key(obj), None)
            return False
        since = self._doubted_since.setdefault(_key(obj), now)
        return now - since < timedelta(seconds=_DOUBTED_FOR_S)

    def _disks_deny(self, obj: PowerState, power: str | None) -> bool:
        """Whether the server has closed a disk though it is on, or opened one though it is off."""
        devices = self._disks_of(obj.metadata.controller_uid or "")
        sessions = [device.get("status", {}).get("sessions") for device in devices]
        match power:
            case "On":
                return 0 in sessions
            case "Off":
                return any(sessions)
            case _:
                return False

    def _boot_disk_is_shown(self, hold: Hold) -> bool:
        specs = [EmulatedDisk.parse(device).spec for device in self._disks_of(hold.machine.uid)]
        return any(spec.boot_index and spec.claim_uid == hold.claim.metadata.uid for spec in specs)

    def _vouched_for(self, hold: Hold) -> bool:
        """Whether an agent that lives sees the server use its boot disk: it tells of the power sooner than a poll."""
        if self._agents.lost(hold.dpu_name) is not None:
            return False
        disks = [EmulatedDisk.parse(device) for device in self._disks_of(hold.machine.uid)]
        return any(disk.spec.boot_index and disk.status.sessions for disk in disks)

    def _disks_of(self, machine_uid: str) -> Sequence[Json]:
        """The machine's disks as DPUs show them, whatever DPU that is."""
        return self._cache.list(EMULATEDDISK, None, {LABEL_MACHINE_UID: machine_uid})

    def _pending(self, obj: PowerState, hold: Hold) -> Iterable[str]:
        """Devices that are not ready, or not even there: the claim and the machine say how many there will be.

        Disks of volumes are first, for storage takes its time; then those that the provider renders, then NICs.
        """
        wanted = hold.claim.spec.for_provider
        for resource, count in ((VIRTUALDISK, wanted.disks), (VIRTUALNIC, wanted.nics)):
            present = self._surroundings.siblings(obj.metadata, resource)
            missing = self._composed(hold, resource.kind) - {device["metadata"]["name"] for device in present}
            yield from (f"{resource.kind} {name}" for name in sorted(missing))
            if not missing and len(present) < count:
                yield f"{count - len(present)} more of kind {resource.kind}"
            for device in sorted(present, key=_is_rendered):
                if _is_over(device, obj):
                    yield f"{resource.kind} {device['metadata']['name']} to go, which the last run alone had"
                elif not _is_ready(device):
                    yield f"{resource.kind} {device['metadata']['name']}"

    def _composed(self, hold: Hold, kind: str) -> set[str]:
        """Names of the machine's children of a kind; an engine writes them down before it makes the children."""
        machine = self._cache.get(BAREMETALMACHINE, Key(hold.machine.namespace, hold.machine.name))
        references = (machine or {}).get("spec", {}).get("crossplane", {}).get("resourceRefs", ())
        return {reference["name"] for reference in references if reference["kind"] == kind}

    def _poll_interval_s(self, obj: PowerState) -> float:
        raw = self._cache.get(CLUSTERPROVIDERCONFIG, Key(None, obj.spec.provider_config_ref.name))
        return _DEFAULT_POLL_S if raw is None else ClusterProviderConfig.parse(raw).spec.power_poll_interval_seconds


def _key(obj: PowerState) -> Key:
    return Key(obj.metadata.namespace, obj.metadata.name)


def _is_rendered(device: Json) -> bool:
    return "volumeRef" not in device["spec"]["forProvider"]


def _is_over(device: Json, obj: PowerState) -> bool:
    """Whether a device was added for another run than the present one: the next start must not see it any more."""
    run = device["metadata"].get("labels", {}).get(LABEL_RUN)
    return run is not None and run != obj.metadata.annotations.get(ANNOTATION_RUN)


def _is_ready(device: Json) -> bool:
    """Whether a device is ready for its present generation.

    One that is being taken away is waited for as well: of a machine that is deleted the devices may be told first, and
    a server must not be started because the last of them has lost its say.
    """
    metadata = device["metadata"]
    if metadata.get("deletionTimestamp"):
        return False
    conditions = [Condition.model_validate(entry) for entry in device.get("status", {}).get("conditions", ())]
    return is_true(conditions, READY, generation=metadata["generation"])
