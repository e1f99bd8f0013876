"""A machine's life in phases, and what each phase's cases bring it through."""

import itertools
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Literal, get_args

import pytest

from provider.api.names import ANNOTATION_FINISHED_POWER_REQUEST
from provider.api.subresources import ADDNIC, ADDVOLUME, REMOVENIC, REMOVEVOLUME, RESTART
from sandbox.cloud import DEFAULT_IMAGE, Cloud
from tests.conformance.emulation.rig import Caller
from tests.e2e.inventory import inventory
from tests.e2e.tenant import BOOT_S, Json, Machine, Tenant, patch
from tests.faults.acknowledged import Writing, check
from tests.faults.fault import CONTROLLER_MANAGER, SERVER, Fault
from tests.faults.images import fresh_image
from tests.faults.move import Move, Strike, nothing
from tests.faults.verbs import Verb, asking
from tests.waiting import wait_for

Phase = Literal["import", "create", "delete", "start", "stop", "cut", "restart", "plug", "unplug", "move", "run"]
PHASES: tuple[Phase, ...] = get_args(Phase)

SETTLES_S = 120.0
"""kube-controller-manager looks again only after a minute or so, where the API server was away for long."""

_ENOUGH_S = 40
"""For any machine to shut down."""

_NEVER_OVER_S = 300
"""A grace that no fault outlasts: a restart that is given up would be no fault."""

_DISK = "more"
_DISK_MIB = 48
"""A size that no other disk has: by it the operating system's name for the disk is found."""

_NIC = "eth1"
"""Of the interface that is added; the operating system calls its second one so too."""

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

    def restart(self, meanwhile: Strike = nothing) -> None:
        """Have it shut down and come back, once, whatever becomes of whoever asks or carries it out."""
        boots, last = _boots(self.tenant.cloud), self._request_id()
        options = {"gracePeriodSeconds": _NEVER_OVER_S}
        with asking(self.machine, [Verb(RESTART, options, lambda: self._request_id() != last)]):
            meanwhile()
        wait_for(self._request_is_over, "the restart is over", 2 * SETTLES_S)
        done = self._power()["status"]["atProvider"]["request"]
        assert done["phase"] == "Succeeded", done
        self.machine.wait_running(BOOT_S)
        self._forget_power()
        self._check_as_asked()
        assert _boots(self.tenant.cloud) == boots + 1, f"it was booted {_boots(self.tenant.cloud) - boots} times"

    def plug(self, meanwhile: Strike = nothing) -> None:
        """Give it a disk and a network interface while it runs; the disk takes what is written to it."""
        boots = _boots(self.tenant.cloud)
        disk = {"name": _DISK, "size": f"{_DISK_MIB}Mi", "keep": False}
        nic = {"name": _NIC, "network": "tenant-a"}
        verbs = [
            Verb(ADDVOLUME, disk, lambda: _DISK in self._names("disks")),
            Verb(ADDNIC, nic, lambda: _NIC in self._names("networkInterfaces")),
        ]
        with asking(self.machine, verbs):
            meanwhile()
        device = wait_for(self._sees_both, "the operating system sees both, once each", SETTLES_S)
        self._check_as_asked()
        check(self.machine, Writing(self.machine, device).stop(), device)
        assert _boots(self.tenant.cloud) == boots, "it was booted again"

    def unplug(self, meanwhile: Strike = nothing) -> None:
        """Take both from it again, while it runs."""
        boots = _boots(self.tenant.cloud)
        verbs = [
            Verb(REMOVEVOLUME, {"name": _DISK}, lambda: _DISK not in self._names("disks")),
            Verb(REMOVENIC, {"name": _NIC}, lambda: _NIC not in self._names("networkInterfaces")),
        ]
        with asking(self.machine, verbs):
            meanwhile()
        wait_for(lambda: self._devices() == [], "the operating system sees neither", SETTLES_S)
        self._check_as_asked()
        assert _boots(self.tenant.cloud) == boots, "it was booted again"

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

    def _check_as_asked(self) -> None:
        self.machine.wait_running(SETTLES_S)
        wait_for(lambda: self.machine.condition("Ready").get("status") == "True", "the machine is ready", SETTLES_S)

    def _power(self) -> Json:
        powers = self.tenant.kubectl.get("powerstates", f"--namespace={self.tenant.namespace}")["items"]
        (power,) = powers
        return dict(power)

    def _request_id(self) -> str | None:
        request: Json = self._power()["spec"]["forProvider"].get("request", {})
        return request.get("id")

    def _request_is_over(self) -> bool:
        """Whether it is written down that the last request is never to be carried out again, and how it ended."""
        power, asked = self._power(), self._request_id()
        known = power["status"]["atProvider"].get("request", {})
        finished = power["metadata"].get("annotations", {}).get(ANNOTATION_FINISHED_POWER_REQUEST)
        return asked == finished == known.get("id") and known["phase"] in ("Succeeded", "Failed")

    def _forget_power(self) -> None:
        """Lose what is known of the power, and return when it is known again: nothing must be done twice for that."""
        power = self._power()["metadata"]["name"]
        lost = ("--subresource=status", "--type=merge", '--patch={"status":{"atProvider":null}}')
        self.tenant.kubectl.run("patch", f"powerstate/{power}", f"--namespace={self.tenant.namespace}", *lost)
        wait_for(
            lambda: self._power()["status"].get("atProvider", {}).get("state") == "On", "its power is known", SETTLES_S
        )

    def _names(self, devices: str) -> set[str]:
        return {each["name"] for each in self.machine.get()["spec"][devices]}

    def _sees_both(self) -> str | None:
        """Path of the disk that is added, where there is one, and the interface."""
        match self._devices():
            case [disk, nic] if nic.endswith(_NIC):
                return f"/dev/{disk.split('/')[3]}"
            case _:
                return None

    def _devices(self) -> list[str] | None:
        """Paths of what the operating system has of that size and name; None where it cannot be asked for now."""
        look = f"grep -lx {_DISK_MIB << 11} /sys/block/vd*/size; ls -d /sys/class/net/{_NIC}; true"
        with suppress(subprocess.TimeoutExpired):
            done = self.tenant.run(*self.machine.ssh_command(look))
            return done.stdout.split() if done.returncode == 0 else None
        return None


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
        case "restart":
            _have_running(life)
            _under_writes(life, life.restart, aim)
        case "plug":
            _have_running(life)
            _under_writes(life, life.plug, aim, go_on=True)
        case "unplug":
            _have_running(life)
            before = inventory(life.tenant.cloud)
            life.plug()
            _under_writes(life, life.unplug, aim, go_on=True)
            _check_nothing_left(life.tenant.cloud, before)
        case "move":
            Move(life.tenant).go_through(aim(), let_go, revoke=fault.kind == "fenced")
        case "run":
            _run(life, fault, aim)


def _write_once(life: Life) -> int:
    """Have a machine that runs and has written; how many records."""
    _have_running(life)
    return life.write().stop()


def _have_running(life: Life) -> None:
    life.create()
    life.start()


def _under_writes(life: Life, step: Callable[[Strike], None], aim: Aim, *, go_on: bool = False) -> None:
    """Have a machine write all the time meanwhile; ``go_on``: nothing is to interrupt it."""
    writing = life.write()
    try:
        step(aim())
        boots = _boots(life.tenant.cloud)
        if go_on:
            writing.wait_goes_on(SETTLES_S)
    finally:
        records = writing.stop()
    check(life.machine, records)
    assert _boots(life.tenant.cloud) == boots, "it was booted again, later"


def _check_nothing_left(cloud: Cloud, before: Counter[str]) -> None:
    """Fails unless there is nothing more than before. A disk that is written to takes more of the pool."""

    def left() -> list[str]:
        return [line for line in inventory(cloud) - before if not line.endswith("free clusters")]

    with suppress(pytest.fail.Exception):
        wait_for(lambda: not left(), "nothing is left over", SETTLES_S)
    assert not (lines := left()), "\n".join(["left over:", *lines])


def _run(life: Life, fault: Fault, aim: Aim) -> None:
    """A machine that writes all the time goes on, and keeps its volume; only a cut of its own power interrupts it."""
    _have_running(life)
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
