"""The machine's state in one word, as a table: the first row whose facts hold gives the word. The diagram is the table.

Unknown combinations are loud: a row for them stands last, so that a machine never claims a state nobody decided on.
"""

from collections.abc import Callable
from dataclasses import dataclass

from provider.api.conditions import ConditionStatus
from provider.api.machine import MachineStatus, PrintableStatus
from provider.api.reasons import Reason
from provider.api.steps import Step
from provider.api.virtualdisk import VirtualDisk
from provider.api.virtualnic import VirtualNIC
from provider.function.children import Missing
from provider.function.observed import Observed, is_ready, ready_condition
from provider.function.progress import Obstacle, answering, departure, timeline

FAILURES = frozenset(
    {
        Reason.SERVER_NOT_YOURS,
        Reason.IMAGE_NOT_GRANTED,
        Reason.NETWORK_NOT_GRANTED,
        Reason.PROVISIONING_FAILED,
        Reason.ATTACH_FAILED,
        Reason.SLOT_UNAVAILABLE,
        Reason.USER_DATA_TOO_LARGE,
        Reason.BMC_AUTHENTICATION_FAILED,
    }
)
"""Reasons that waiting alone does not cure."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the word depends on."""

    deleting: bool
    composed: bool
    unschedulable: bool
    bound: bool
    power: str | None
    wanted: str
    answers: bool
    lost: bool
    failed: bool
    provisioned: bool


Rule = tuple[PrintableStatus, Callable[[Facts], bool]]

RULES: tuple[Rule, ...] = (
    ("Deleting", lambda f: f.deleting),
    ("Pending", lambda f: not f.composed),
    ("Unschedulable", lambda f: f.unschedulable),
    ("Unknown", lambda f: f.provisioned and (f.lost or f.power == "Unknown")),
    ("Failed", lambda f: f.failed and f.power != "On"),
    ("Stopped", lambda f: f.wanted == "Halted" and f.power == "Off"),
    ("Stopping", lambda f: f.wanted == "Halted" and f.power == "On"),
    ("Running", lambda f: f.power == "On" and f.answers),
    ("Starting", lambda f: f.power == "On"),
    ("Stopped", lambda f: f.wanted == "Manual" and f.power == "Off"),
    ("Starting", lambda f: f.provisioned and f.power == "Off"),
    ("Provisioning", lambda f: f.bound),
    ("Pending", lambda f: f.power is None),
    ("Unknown", lambda _: True),
)


def facts(seen: Observed, obstacle: Obstacle | None) -> Facts:
    """What is observed, reduced to what the table asks."""
    claim, power = seen.claim, seen.power
    claim_ready = None if claim is None else ready_condition(claim)
    devices = [child for child in seen.children.values() if isinstance(child, VirtualDisk | VirtualNIC)]
    conditions = [ready_condition(device) for device in devices]
    told = seen.machine.status.timeline if seen.machine.status else ()
    return Facts(
        deleting=seen.machine.metadata.deleting,
        composed=bool(seen.children),
        unschedulable=claim_ready is not None and claim_ready.reason == Reason.NO_FITTING_SERVER,
        bound=claim is not None and is_ready(claim),
        power=None if power is None else power.status.at_provider.state,
        wanted=seen.machine.spec.run_strategy,
        answers=answering(seen),
        lost=any(condition is not None and condition.reason == Reason.AGENT_LOST for condition in conditions),
        failed=obstacle is not None and obstacle.reason in FAILURES,
        provisioned=any(entry.step == Step.POWERED_ON for entry in told),
    )


def word(known: Facts) -> PrintableStatus:
    """The first rule that holds."""
    return next(name for name, holds in RULES if holds(known))


def machine_status(seen: Observed, obstacle: Obstacle | None) -> MachineStatus:
    """All of the machine's status but its conditions."""
    claim, power = seen.claim, seen.power
    return MachineStatus(
        printable_status=word(facts(seen, obstacle)),
        server_name=None if claim is None else claim.status.at_provider.server_name,
        addresses=[address for nic in seen.nics for address in nic.status.at_provider.addresses],
        power_state=None if power is None else power.status.at_provider.state,
        timeline=timeline(seen),
        trace_id=seen.machine.metadata.uid.replace("-", ""),
    )


@dataclass(frozen=True, slots=True)
class Progressing:
    """Our own condition: whether the machine is on its way, and what it waits for or fails on."""

    status: ConditionStatus
    reason: str
    message: str


def progressing(seen: Observed, obstacle: Obstacle | None, lacks: list[Missing]) -> Progressing:
    """False with a failure's reason, True while something is waited for, False when all is as it should be."""
    if seen.machine.metadata.deleting:
        return Progressing("True", Reason.DELETING, departure(seen))
    if lacks:
        reasons = {"InstanceType": Reason.INSTANCE_TYPE_NOT_FOUND, "MachineImage": Reason.IMAGE_NOT_FOUND}
        first = lacks[0]
        message = f"there is no {first.kind} {first.name}; it is taken up as soon as it appears"
        return Progressing("False", reasons[first.kind], message)
    if obstacle is not None:
        failed = obstacle.failed or obstacle.reason in FAILURES or obstacle.reason == Reason.NO_FITTING_SERVER
        return Progressing("False" if failed else "True", obstacle.reason, obstacle.message)
    if seen.machine.spec.run_strategy == "Halted":
        return Progressing("False", Reason.STOPPED, "")
    return Progressing("False", Reason.PROVISIONED, "")
