"""A machine's life in phases, and what each phase's cases bring it through."""

import itertools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Literal, get_args

from sandbox.cloud import DEFAULT_IMAGE, Cloud
from tests.conformance.emulation.rig import Caller
from tests.e2e.tenant import BOOT_S, Machine, Tenant, patch
from tests.faults.acknowledged import Writing, check
from tests.faults.fault import CONTROLLER_MANAGER, SERVER, Fault
from tests.faults.images import fresh_image
from tests.faults.move import Move, Strike, nothing
from tests.waiting import wait_for

Phase = Literal["import", "create", "delete", "start", "stop", "cut", "move", "run"]
PHASES: tuple[Phase, ...] = get_args(Phase)

SETTLES_S = 120.0
"""kube-controller-manager looks again only after a minute or so, where the API server was away for long."""

_ENOUGH_S = 40
"""For any machine to shut down."""

_DETACHES_WITHIN_S = 60.0
_HEARTBEAT = "tests.metalplane.io/heartbeat"

Aim = Callable[[], Strike]


class Life:
    """A tenant's machine. Each step asks for something, has a strike happen meanwhile, and waits until it is so."""

    def __init__(self, tenant: Tenant, image: str = DEFAULT_IMAGE) -> None:
        self.tenant = tenant
        self._image = image
        self._machine: Machine | None = None

    @property
    def machine(self) -> Machine:
        """The machine, once it was created."""
        assert self._machine is not None
        return self._machine

    def create(self, meanwhile: Strike = nothing) -> None:
        disks = [{"name": "root", "boot": True, "image": self._image, "size": "1Gi"}]
        self._machine = self.tenant.apply(runStrategy="Halted", terminationGracePeriodSeconds=5, disks=disks)
        meanwhile()
        self._wait_stopped()
        wait_for(lambda: self.machine.condition("Ready").get("status") == "True", "the machine is ready", SETTLES_S)

    def start(self, meanwhile: Strike = nothing) -> None:
        self.machine.patch({"runStrategy": "Always"})
        meanwhile()
        self.machine.wait_running(BOOT_S)

    def stop(self, meanwhile: Strike = nothing) -> None:
        """Have it shut down, in as much time as it takes."""
        self.machine.patch({"runStrategy": "Halted", "terminationGracePeriodSeconds": _ENOUGH_S})
        meanwhile()
        self._wait_stopped()

    def cut(self, meanwhile: Strike = nothing) -> None:
        """Have it stop with no time to shut down."""
        self.machine.patch({"runStrategy": "Halted", "terminationGracePeriodSeconds": 0})
        meanwhile()
        self._wait_stopped()

    def delete(self, meanwhile: Strike = nothing) -> None:
        self.machine.delete()
        meanwhile()
        self.machine.wait_gone(SETTLES_S)

    def write(self) -> Writing:
        """Begin to write, once the machine lets its tenant in."""
        wait_for(self.machine.lets_in, "the machine lets its tenant in")
        return Writing(self.machine)

    def _wait_stopped(self) -> None:
        self.machine.wait_status("Stopped", within_s=SETTLES_S)


def go_through(tenant: Tenant, phase: Phase, fault: Fault, aim: Aim, let_go: Strike = nothing) -> None:
    """Prepare a machine for the phase, take aim, have the phase gone through under fire, and see that all is there.

    ``let_go`` ends a fault that lasts.
    """
    with ExitStack() as images:
        image = images.enter_context(fresh_image(tenant.cloud)) if phase == "import" else DEFAULT_IMAGE
        try:
            _go_through(Life(tenant, image), phase, fault, aim, let_go)
        finally:
            tenant.delete_everything()


def _go_through(life: Life, phase: Phase, fault: Fault, aim: Aim, let_go: Strike) -> None:
    match phase:
        case "import" | "create":
            life.create(aim())
        case "delete":
            life.create()
            life.delete(aim())
        case "start":
            records = _write_once(life)
            life.stop()
            life.start(aim())
            check(life.machine, records)
        case "stop":
            records = _write_once(life)
            life.stop(aim())
            life.start()
            check(life.machine, records)
        case "cut":
            records = _write_once(life)
            life.cut(aim())
            life.start()
            check(life.machine, records)
        case "move":
            Move(life.tenant).go_through(aim(), let_go, revoke=fault.kind == "fenced")
        case "run":
            _run(life, fault, aim)


def _write_once(life: Life) -> int:
    """Have a machine that runs and has written; how many records."""
    life.create()
    life.start()
    return life.write().stop()


def _run(life: Life, fault: Fault, aim: Aim) -> None:
    """A machine that writes all the time goes on, and keeps its volume; only a cut of its own power interrupts it."""
    life.create()
    life.start()
    cloud = life.machine.tenant.cloud
    held, boots, strike = _attachments(cloud), _boots(cloud), aim()
    writing = life.write()
    try:
        strike()
        if fault.victim == CONTROLLER_MANAGER:
            _wait_detach_is_over(cloud)
        if fault.victim == SERVER:
            wait_for(lambda: _boots(cloud) > boots, "the server is powered on again", SETTLES_S)
        else:
            writing.wait_goes_on(SETTLES_S)
    finally:
        records = writing.stop()
    life.machine.wait_running(BOOT_S)
    check(life.machine, records)
    assert _attachments(cloud) == held, "the volume was detached from a machine that runs"


def _wait_detach_is_over(cloud: Cloud) -> None:
    """Return when kube-controller-manager has detached, as it thinks, the volume that no Pod uses.

    It does so once the volume's Node was updated after its start, as a kubelet and the node controller do all the time.
    """
    log = cloud.layout.log / f"{CONTROLLER_MANAGER}.log"
    began = log.stat().st_size
    beats = itertools.count()

    def detached() -> bool:
        patch(cloud, "node/dpu0", {"metadata": {"annotations": {_HEARTBEAT: f"{next(beats)}"}}})
        return b"DetachVolume" in log.read_bytes()[began:]

    wait_for(detached, "kube-controller-manager detaches what no Pod uses", _DETACHES_WITHIN_S)
    patch(cloud, "node/dpu0", {"metadata": {"annotations": {_HEARTBEAT: None}}})


def _attachments(cloud: Cloud) -> set[str]:
    return {each["metadata"]["uid"] for each in cloud.kubectl.get("volumeattachments")["items"]}


def _boots(cloud: Cloud) -> int:
    boots: int = Caller(cloud.layout.server_run(0) / "control.sock")("boots")
    return boots
