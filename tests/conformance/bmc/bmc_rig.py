"""A BMC in front of a chassis of the suite's own, and IPMI's reference client to speak to it."""

import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from provider.bmc.endpoint import Endpoint
from tests.conformance.emulation.rig import Backend, ChassisProcess, disk
from tests.waiting import wait_for

USER, PASSWORD = "admin", "right-password"
CIPHER_SUITE = "3"
"""SHA-1 and AES; what every IPMI 2.0 BMC has (table 22-20). ipmi_sim has no 17."""


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Ipmitool:
    """``ipmitool -I lanplus`` as one user."""

    endpoint: Endpoint

    def run(self, *words: str, cipher_suite: str = CIPHER_SUITE) -> subprocess.CompletedProcess[str]:
        whom = ["-H", self.endpoint.address, "-p", str(self.endpoint.port), "-U", self.endpoint.username]
        patience = ["-N", "2", "-R", "2"]
        return subprocess.run(
            ["ipmitool", "-I", "lanplus", "-C", cipher_suite, *whom, "-E", *patience, *words],
            env={**os.environ, "IPMI_PASSWORD": self.endpoint.password},
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def __call__(self, *words: str) -> str:
        """What a command that must succeed prints."""
        done = self.run(*words)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def powered(self) -> bool:
        return self("chassis", "power", "status") == "Chassis Power is on"

    def as_user(self, **other: str) -> "Ipmitool":
        return Ipmitool(replace(self.endpoint, **other))  # type: ignore[arg-type]


class BmcProcess:
    """The sandbox's BMC as a process that can be stopped, killed and started again on its port."""

    def __init__(self, directory: Path, chassis: ChassisProcess) -> None:
        self.endpoint = Endpoint("127.0.0.1", free_udp_port(), USER, PASSWORD)
        self._directory = directory
        self._chassis = chassis
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        password_file = self._directory / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(f"{PASSWORD}\n")
        command = [
            *(sys.executable, "-m", "sandbox.bmc", "--port", str(self.endpoint.port), "--username", USER),
            *("--password-file", str(password_file), "--control-socket", str(self._chassis.control.path)),
            *("--console-socket", str(self._chassis.console_path), "--state-dir", str(self._directory / "bmc")),
        ]
        self._process = subprocess.Popen(command, start_new_session=True)
        wait_for(self._answers, "the BMC answers")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def pause(self, *, paused: bool) -> None:
        """A BMC that hangs: packets arrive, and nobody answers."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP if paused else signal.SIGCONT)

    def command_lines(self) -> str:
        """Of the BMC's processes, all of them."""
        assert self._process is not None
        shown = ["ps", "-o", "args=", "--sid", str(self._process.pid)]
        return subprocess.run(shown, check=True, capture_output=True, text=True).stdout

    def files_with_password(self) -> list[Path]:
        files = [path for path in (self._directory / "bmc").rglob("*") if path.is_file()]
        return [path for path in files if PASSWORD.encode() in path.read_bytes()]

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the BMC ended by itself"
        return Ipmitool(self.endpoint).run("mc", "info").returncode == 0


class HeldServer:
    """A server whose disk nobody serves: power comes and goes, and it never boots."""

    def __init__(self, chassis: ChassisProcess, directory: Path) -> None:
        backend = Backend(directory / "vda")
        chassis.emulation("emulation_plug", **disk(1, backend.path, boot_index=1))
        backend.close()
        self.chassis = chassis

    def power(self) -> str:
        return str(self.chassis.control("power_get")["power"])

    def boots(self) -> int:
        return int(self.chassis.control("boots"))
