"""An Open vSwitch of a test's own: ovsdb-server and ovs-vswitchd, userspace, in a directory and a network namespace."""

import os
import signal
import socket
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.network import ensure_namespace, run
from sandbox.ovs import BRIDGE, OpenVSwitch
from sandbox.process import ProcessSpec
from tests.waiting import wait_for

TAPS = ("vm0", "vm1", "vm2", "vm3")


class Daemon:
    """One of the two, as a process that can be killed, frozen and started again."""

    def __init__(self, spec: ProcessSpec, log: Path) -> None:
        self._spec = spec
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Have it running."""
        if self._process is not None and self._process.poll() is None:
            return
        with self._log.open("ab") as log:
            environment = {**os.environ, **self._spec.environment}
            self._process = subprocess.Popen(self._spec.command, env=environment, stdout=log, stderr=log)
        ready = Path(self._spec.ready[0].target)
        wait_for(lambda: _accepts(ready), f"{self._spec.name} accepts ({self._log})")

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The process takes in what it is sent, and does nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


class Switch:
    """Both daemons, the bridge, and taps that may become its ports."""

    def __init__(self, directory: Path) -> None:
        self._namespace = f"mpo-{uuid.uuid4().hex[:8]}"
        self._ovs = OpenVSwitch("dpu0", directory / "files", directory / "run", self._namespace)
        self._ovs.prepare()
        server, switch = self._ovs.processes()
        self.server = Daemon(server, directory / "ovsdb-server.log")
        self.switch = Daemon(switch, directory / "ovs-vswitchd.log")

    @property
    def socket(self) -> Path:
        return self._ovs.database_socket

    def start(self) -> None:
        ensure_namespace(self._namespace)
        for tap in TAPS:
            run("ip", "-netns", self._namespace, "tuntap", "add", "dev", tap, "mode", "tap")
        self.server.start()
        self.switch.start()
        self._ovs.ensure_bridge(BRIDGE)

    def stop(self) -> None:
        self.switch.kill()
        self.server.kill()
        run("ip", "netns", "delete", self._namespace)

    def by_hand(self, *arguments: str) -> str:
        """What an administrator types; waits until the daemon has it."""
        return run("ovs-vsctl", f"--db=unix:{self.socket}", "--timeout=20", *arguments)

    def add_port(self, port: str, *settings: str) -> None:
        self.by_hand("--may-exist", "add-port", BRIDGE, port, *settings)

    def delete_port(self, port: str) -> None:
        self.by_hand("--if-exists", "del-port", BRIDGE, port)

    def ports(self) -> list[str]:
        return self.by_hand("list-ports", BRIDGE).split()


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
