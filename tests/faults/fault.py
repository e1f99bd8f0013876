"""What is done to a cloud in the middle of its work: a process is killed, hangs for a time, or is away for a time."""

import os
import re
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, get_args

import psutil

from sandbox import binaries, state
from sandbox.cloud import Cloud
from sandbox.errors import SandboxError
from sandbox.kubernetes import ControlPlane
from tests.e2e.tenant import pids
from tests.waiting import wait_for

Kind = Literal["killed", "hangs", "away", "fenced"]
KINDS: tuple[Kind, ...] = get_args(Kind)

API_SERVER = "kube-apiserver"
CONTROLLER_MANAGER = "kube-controller-manager"
BM_API = "bm-api"
"""All its replicas: which of them is asked is the kernel's to choose."""

SERVER = "server0"
"""The server itself: killing its QEMU is what a cut of its power does."""

DPU = "dpu0"
"""All of that server's DPU that has to do with disks: its agent, and its target with the data path."""

DISKS = "/disks"
"""Behind the name of a stand-in target: the storage daemon that is its data path."""

_REPLICA = re.compile(r"api\d+")
_OF_THE_DPU = (f"agent-{DPU}", f"spdk-{DPU}", f"spdk-{DPU}{DISKS}")


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """``killed``: SIGKILL, and the sandbox's supervisor starts the next one at once. ``hangs``: stopped for so long,
    with its connections open and silent. ``away``: killed, and started again only after so long. ``fenced``: stopped,
    and its volumes taken from it meanwhile; it goes on once they were written to elsewhere."""

    kind: Kind
    victim: str
    for_s: float = 0.0

    def __str__(self) -> str:
        return f"{self.victim} {self.kind}{f' for {self.for_s:g} s' if self.for_s else ''}"


class Aimed:
    """A fault whose victim is known by its pid already, so that it strikes without delay."""

    def __init__(self, cloud: Cloud, fault: Fault) -> None:
        self.struck_at_ns: int | None = None
        self._cloud = cloud
        self._fault = fault
        self._pids = _pids(cloud, fault.victim)

    def strike(self) -> None:
        """Have it happen, and return when it is over and the API server answers: those who look on do not retry.

        A ``fenced`` victim is stopped until it is let go.
        """
        self.struck_at_ns = time.time_ns()
        match self._fault.kind:
            case "killed":
                self._signal(signal.SIGKILL)
            case "hangs":
                self._hang()
            case "away":
                self._keep_away()
            case "fenced":
                self._signal(signal.SIGSTOP)
        wait_for(lambda: answers(self._cloud), "the API server answers")

    def let_go(self) -> None:
        """Have a victim that was stopped go on; harmless for others."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _hang(self) -> None:
        self._signal(signal.SIGSTOP)
        try:
            time.sleep(self._fault.for_s)
        finally:
            self.let_go()

    def _keep_away(self) -> None:
        """Only the API server: others have command lines that are not known here."""
        assert self._fault.victim == API_SERVER
        self._signal(signal.SIGKILL)
        self._cloud.supervisor.stop([API_SERVER])
        try:
            time.sleep(self._fault.for_s)
        finally:
            self._cloud.supervisor.start(_control_plane(self._cloud).serving())


def answers(cloud: Cloud) -> bool:
    """Whether the API server can be asked."""
    try:
        cloud.kubectl.run("get", "--raw=/readyz", "--request-timeout=5s")
    except SandboxError:
        return False
    return True


def common_name(process: str) -> str:
    """What a process of the sandbox is called here: replicas of bm-api are one."""
    return BM_API if _REPLICA.fullmatch(process) else process


def _pids(cloud: Cloud, victim: str) -> list[int]:
    return [_pid(cloud, each) for each in _members(cloud, victim)]


def _members(cloud: Cloud, victim: str) -> Sequence[str]:
    if victim == DPU:
        return _OF_THE_DPU
    if victim == BM_API:
        return [each["name"] for each in cloud.supervisor.status() if _REPLICA.fullmatch(each["name"])]
    return (victim,)


def _pid(cloud: Cloud, victim: str) -> int:
    if victim == SERVER:
        return int((cloud.layout.server(0) / "qemu.pid").read_text())
    name = victim.removesuffix(DISKS)
    pid = pids(cloud, name)[name]
    if name == victim:
        return pid
    (daemon,) = (child for child in psutil.Process(pid).children() if "storage-daemon" in " ".join(child.cmdline()))
    return daemon.pid


def _control_plane(cloud: Cloud) -> ControlPlane:
    chosen = state.read(cloud.layout.state)
    assert chosen is not None
    return ControlPlane(cloud.layout, chosen.ports, binaries.find())
