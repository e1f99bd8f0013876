"""What VirtualDisk and VirtualNIC share: how a device in the DPU's namespace is asked for, judged and taken away.

The agent realises the device and reports. The finalizer on it is the provider's: it comes off only after the agent
said ``Removed``, so nothing that an agent still has to undo is ever forgotten.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from provider.api.conditions import READY, REMOVED, Condition, find, is_true
from provider.api.emulateddisk import EmulatedDisk
from provider.api.emulatednic import EmulatedNIC
from provider.api.emulation import TraceParent
from provider.api.names import FINALIZER_EMULATION, LABEL_MACHINE_UID
from provider.api.reasons import Reason
from provider.api.resources import ResourceType
from provider.planning.action import Action, ApplyObject, Json, PatchObject, Policy, delete, finalizers
from provider.planning.tenancy import Hold
from provider.planning.verdict import AVAILABLE, Verdict, waiting

Device = EmulatedDisk | EmulatedNIC


@dataclass(frozen=True, slots=True)
class Departure:
    """What a deleted device has to wait for.

    ``machine_leaves``: the machine goes away, or its PowerState does. ``power_states``: those that are still there; one
    that is gone has seen the power off. ``running``: those of them that did not see it off.
    """

    machine_leaves: bool = False
    power_states: tuple[str, ...] = ()
    running: tuple[str, ...] = ()

    @property
    def must_wait(self) -> bool:
        """Whether the power must be seen off first. A device of a machine that stays is unplugged while it runs."""
        return self.machine_leaves and bool(self.power_states)

    def verdict(self) -> Verdict:
        """What to say meanwhile."""
        names = ", ".join(self.power_states)
        return waiting(Reason.WAITING_FOR_POWER_OFF, f"waiting until the power was seen off: {names}")

    def running_verdict(self) -> Verdict:
        """What to say of the disk that an operating system runs from."""
        message = f"the server runs from this disk: it goes once the power was seen off: {', '.join(self.running)}"
        return waiting(Reason.WAITING_FOR_POWER_OFF, message)


STAYS = Departure()


def trace_of(asked_by: TraceParent | None, current: Json | None) -> TraceParent | None:
    """The trace that a device is told: the one that it has, for it is never rewritten, else that of the asking span."""
    known = (current or {}).get("spec", {}).get("trace")
    return TraceParent.model_validate(known) if known else asked_by


def ensure(
    resource: ResourceType, namespace: str, name: str, hold: Hold, spec: Json, current: Json | None, what: str
) -> tuple[Action, ...]:
    """Apply the device unless it is there and as desired. One that somebody deleted goes first, and is made anew."""
    if current is not None and current["metadata"].get("deletionTimestamp"):
        return _lift(resource, current, "Update")
    metadata: Json = {
        "name": name,
        "namespace": namespace,
        "labels": {LABEL_MACHINE_UID: hold.machine.uid},
        "finalizers": [FINALIZER_EMULATION],
    }
    if current is not None and current["spec"] == spec and _marked(current, metadata):
        return ()
    if current is None:
        note = f"asked {hold.dpu_name} for {what}"
        return (ApplyObject(resource, {"metadata": metadata, "spec": spec}, note, "Create"),)
    # With its UID, so that what was deleted meanwhile is not made anew.
    body = {"metadata": {**metadata, "uid": current["metadata"]["uid"]}, "spec": spec}
    return (ApplyObject(resource, body, f"asked {hold.dpu_name} to change {what}", "Update"),)


def _marked(current: Json, metadata: Json) -> bool:
    present: Json = current["metadata"]
    labels: dict[str, str] = metadata["labels"]
    return labels.items() <= present.get("labels", {}).items() and FINALIZER_EMULATION in present.get("finalizers", ())


def readiness(device: Device | None, *, agent_lost: str | None) -> Verdict:
    """What the agent says of the device, for the generation that was asked for. ``agent_lost`` says why it cannot."""
    if agent_lost is not None:
        return Verdict("Unknown", Reason.AGENT_LOST, agent_lost)
    if device is None or device.metadata.deleting:
        return waiting(Reason.CREATING, "the DPU is being asked for the device")
    status = device.status
    condition = find(status.conditions, READY)
    if condition is None or status.observed_generation != device.metadata.generation:
        return waiting(Reason.WAITING_FOR_AGENT, "waiting until the DPU's agent has seen the device")
    if condition.status == "True":
        return AVAILABLE
    return Verdict(condition.status, _reason(condition.reason), condition.message)


def _force(resource: ResourceType, current: Json, name: str) -> Action:
    metadata = current["metadata"]
    place = (metadata["namespace"], metadata["name"], metadata["resourceVersion"])
    body = {"spec": {"forceUnplug": True}}
    return PatchObject(resource, *place, body, f"asked the DPU to take away {name} by force", "Delete")


def _lift(resource: ResourceType, current: Json, policy: Policy) -> tuple[Action, ...]:
    """Let a deleted device go, if its agent has undone it."""
    told = [Condition.model_validate(entry) for entry in current.get("status", {}).get("conditions", ())]
    if not is_true(told, REMOVED):
        return ()
    lifted = finalizers(resource, current, remove=FINALIZER_EMULATION, policy=policy)
    return () if lifted is None else (lifted,)


def _reason(word: str) -> Reason:
    # The agent's own words are finer than the shared list; what it says in its message is kept.
    return Reason(word) if word in Reason._value2member_map_ else Reason.WAITING_FOR_AGENT


def remove(
    resource: ResourceType, current: Json, device: Device, agent_lost: str | None, *, forced: bool = False
) -> tuple[Sequence[Action], str]:
    """The next step in taking a device away, and what is being waited for. ``forced``: for no operating system."""
    name = f"{resource.kind} {device.metadata.name}"
    if forced and not (device.spec.force_unplug or is_true(device.status.conditions, REMOVED)):
        # Also of a device that was asked to go before: whoever waits for it in vain says so afterwards.
        return (_force(resource, current, name),), f"asking the DPU to take away {name} by force"
    if asked := delete(resource, current, f"asked the DPU to take away {name}"):
        return (asked,), f"waiting until the DPU has taken away {name}"
    if is_true(device.status.conditions, REMOVED):
        return _lift(resource, current, "Delete"), f"waiting until {name} is gone"
    said = find(device.status.conditions, REMOVED)
    detail = agent_lost or (said.message if said is not None else "")
    return (), f"waiting until the DPU has taken away {name}" + (f": {detail}" if detail else "")
