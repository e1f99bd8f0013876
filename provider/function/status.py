"""The machine's state in one word, as a table: the first row whose facts hold gives the word.

docs/states.md is drawn from it (``python -m tests.states``).

Unknown combinations are loud: a row for them stands last, so that a machine never claims a state nobody decided on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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


def _fact(about: str) -> Any:
    return field(metadata={"about": about})


@dataclass(frozen=True, slots=True)
class Facts:
    """What the word depends on."""

    deleting: bool = _fact("the machine is being deleted")
    composed: bool = _fact("its children are made")
    unschedulable: bool = _fact("no server fits its claim")
    bound: bool = _fact("it holds a server")
    power: str | None = _fact("the power, as the BMC last said")
    wanted: str = _fact("spec.runStrategy")
    answers: bool = _fact("the DPU sees it answer on its network")
    lost: bool = _fact("the agent of its DPU is silent")
    failed: bool = _fact("a child failed on something that waiting does not cure")
    provisioned: bool = _fact("it has been powered on before")


@dataclass(frozen=True, slots=True)
class Rule:
    """A row: the word, and which values each fact may have. A fact that is not named may have any."""

    word: PrintableStatus
    when: Mapping[str, tuple[object, ...]]

    def holds(self, known: Facts) -> bool:
        """Whether the row is one for these facts."""
        return all(getattr(known, name) in values for name, values in self.when.items())


def _row(word: PrintableStatus, **when: object) -> Rule:
    return Rule(word, {name: value if isinstance(value, tuple) else (value,) for name, value in when.items()})


RULES: tuple[Rule, ...] = (
    _row("Deleting", deleting=True),
    _row("Pending", composed=False),
    _row("Unschedulable", unschedulable=True),
    _row("Unknown", provisioned=True, lost=True),
    _row("Unknown", provisioned=True, power="Unknown"),
    _row("Failed", failed=True, power=(None, "Off", "Unknown")),
    _row("Stopped", wanted="Halted", power="Off"),
    _row("Stopping", wanted="Halted", power="On"),
    _row("Running", power="On", answers=True),
    _row("Starting", power="On"),
    _row("Stopped", wanted="Manual", power="Off"),
    _row("Starting", provisioned=True, power="Off"),
    _row("Provisioning", bound=True),
    _row("Pending", power=None),
    _row("Unknown"),
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
    """That of the first row that holds."""
    return next(rule.word for rule in RULES if rule.holds(known))


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
    if obstacle is not None and _is_failure(obstacle):
        return Progressing("False", obstacle.reason, obstacle.message)
    if seen.ephemeral.fault is not None:
        return Progressing("False", Reason.EPHEMERAL_DEVICES_UNREADABLE, seen.ephemeral.fault)
    if obstacle is not None:
        return Progressing("True", obstacle.reason, obstacle.message)
    if seen.machine.spec.run_strategy == "Halted":
        return Progressing("False", Reason.STOPPED, "")
    return Progressing("False", Reason.PROVISIONED, "")


def _is_failure(obstacle: Obstacle) -> bool:
    return obstacle.failed or obstacle.reason in FAILURES or obstacle.reason == Reason.NO_FITTING_SERVER
