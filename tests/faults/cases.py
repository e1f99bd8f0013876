"""One case: a machine is brought through a phase of its life, a process is killed at one call, and all must be well."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from sandbox.cloud import Cloud
from sandbox.errors import CommandFailed
from tests.e2e.inventory import inventory, wait_as_before
from tests.e2e.tenant import BOOT_S, Machine, Tenant, pids
from tests.faults.calls import Call, Edge, Spans
from tests.waiting import wait_for

Phase = Literal["create", "delete", "start", "stop"]
PHASES: tuple[Phase, ...] = ("create", "delete", "start", "stop")

_CALL_WITHIN_S = 30.0
_SETTLES_S = 90.0
_CALLERS = {"metalplane-provider": "provider", "metalplane-agent": "agent-dpu0", "metalplane-lvol": "lvol"}
_CALLED = {
    "emulation": ("chassis-server0",),
    "ovsdb": ("ovsdb-server-dpu0", "ovs-vswitchd-dpu0"),
    "csi": ("lvol",),
    "bmc": ("bmc-server0", "chassis-server0"),
    "kube": ("kube-apiserver",),
}


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """Kill ``victim`` just before, or just after, ``call`` in ``phase``."""

    phase: Phase
    call: Call
    edge: Edge
    victim: str

    def __str__(self) -> str:
        return f"{self.phase}: {self.victim} killed {self.edge} {self.call}"


def calls(cloud: Cloud, most_of_a_name: int) -> dict[Phase, list[Call]]:
    """The calls of each phase of a life without faults. Of ``start`` and ``stop``, those to the BMC."""
    tenant = Tenant(cloud)
    _go_through(tenant, None, "create")
    tenant.delete_everything()  # the image is in the pool by now, as it is in all that follow
    made: dict[Phase, list[Call]] = {}
    machine: Machine | None = None
    for phase in ("create", "start", "stop", "delete"):
        spans = Spans(cloud.layout.trace)
        machine = _go_through(tenant, machine, phase)
        found = spans.calls(most_of_a_name)
        made[phase] = [call for call in found if phase in ("create", "delete") or call.name.startswith("bmc ")]
    return made


def cases(made: dict[Phase, list[Call]]) -> Iterator[Case]:
    """Every case: the caller and those it calls, before and after each call."""
    for phase, each in made.items():
        for call in each:
            for victim in (_CALLERS[call.service], *_called(call)):
                for edge in ("before", "after"):
                    yield Case(phase, call, edge, victim)


def run(cloud: Cloud, case: Case) -> bool:
    """Run one case; False where the call was not made this time. Fails as a test fails, with what is wrong."""
    before = inventory(cloud)
    tenant = Tenant(cloud)
    try:
        machine = _prepare(tenant, case.phase)
        spans, pid = Spans(cloud.layout.trace), pids(cloud, case.victim)[case.victim]
        hit = False

        def kill() -> None:
            nonlocal hit
            hit = spans.wait(case.call, case.edge, _CALL_WITHIN_S)
            if hit:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                wait_for(lambda: _answers(cloud), "the API server answers")

        _go_through(tenant, machine, case.phase, kill)
    finally:
        tenant.delete_everything()
    wait_as_before(cloud, before, _SETTLES_S)
    return hit


def _prepare(tenant: Tenant, phase: Phase) -> Machine | None:
    """The machine as it is before the phase."""
    if phase == "create":
        return None
    machine = _go_through(tenant, None, "create")
    return _go_through(tenant, machine, "start") if phase == "stop" else machine


def _go_through(
    tenant: Tenant, machine: Machine | None, phase: Phase, meanwhile: Callable[[], None] = lambda: None
) -> Machine:
    if machine is None:
        machine = tenant.apply(runStrategy="Halted", terminationGracePeriodSeconds=5)
        meanwhile()
        machine.wait_status("Stopped", within_s=_SETTLES_S)
        wait_for(lambda: machine.condition("Ready").get("status") == "True", f"{machine.name} is ready", _SETTLES_S)
        return machine
    match phase:
        case "start":
            machine.patch({"runStrategy": "Always"})
            meanwhile()
            machine.wait_running(BOOT_S)
        case "stop":
            machine.patch({"runStrategy": "Halted"})
            meanwhile()
            machine.wait_status("Stopped", within_s=_SETTLES_S)
        case _:
            machine.delete()
            meanwhile()
            machine.wait_gone(_SETTLES_S)
    return machine


def _answers(cloud: Cloud) -> bool:
    """Whether the API server can be asked: it may be what was killed, and those who look on have no retries."""
    try:
        cloud.kubectl.run("get", "--raw=/readyz")
    except CommandFailed:
        return False
    return True


def _called(call: Call) -> tuple[str, ...]:
    system = call.name.split(" ")[0]
    if system == "spdk":
        return ("spdk-dpu0",) if call.service == "metalplane-agent" else ("spdk-storage",)
    return _CALLED[system]
