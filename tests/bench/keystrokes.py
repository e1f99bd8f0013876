"""From a key to its echo on a machine's serial console, through ``bmctl console`` and by ``ipmitool sol activate``.

Both run on a terminal of their own and meet the same login prompt of the same machine, whose ``getty`` echoes each key.
A BMC has one serial session, which bm-api keeps: so its replicas are stopped for a turn of ipmitool's.
"""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sandbox import inventory, state
from sandbox.cloud import Cloud
from sandbox.processes import bmc_password_file
from tests.bench.progress import say
from tests.bench.provisioning import NAME, NAMESPACE
from tests.bench.waiting import BenchFailed, wait_for

_KEY, _ERASE, _ERASED = b"x", b"\x7f", b"\b \b"
_REPLICAS = ("api0", "api1")
_TURNS = 4
_ECHO_S = 10.0
_FIRST_ECHO_S = 1.0
OPEN_S = 60.0
_PAUSE_S = 0.05
"""Between keys, so that each is one by itself, as a typist's."""


@dataclass(slots=True)
class Found:
    """Milliseconds of each key."""

    bmctl_ms: list[float] = field(default_factory=list)
    ipmitool_ms: list[float] = field(default_factory=list)


def measure(cloud: Cloud, keys: int) -> Found:
    """Keys through each, in turns; the machine runs. bm-api serves again at the end."""
    found = Found()
    for turn in range(1, _TURNS + 1):
        share = keys * turn // _TURNS - keys * (turn - 1) // _TURNS
        found.bmctl_ms += typed(_bmctl(cloud), share)
        try:
            cloud.supervisor.stop(_REPLICAS)
            subprocess.run(_ipmitool(cloud, "deactivate"), capture_output=True, timeout=OPEN_S, check=False)
            found.ipmitool_ms += typed(_ipmitool(cloud, "activate"), share)
        finally:
            cloud.up()
        say(f"{turn}/{_TURNS}  key to echo: {found.bmctl_ms[-1]:.1f} ms, by ipmitool {found.ipmitool_ms[-1]:.1f} ms")
    return found


def _bmctl(cloud: Cloud) -> list[str]:
    program = str(Path(sys.executable).with_name("bmctl"))
    return [program, f"--kubeconfig={cloud.layout.kubeconfig}", f"--namespace={NAMESPACE}", "console", NAME]


def _ipmitool(cloud: Cloud, verb: str) -> list[str]:
    chosen = state.read(cloud.layout.state)
    assert chosen is not None, "the cloud is up"
    whom = ["-H", "127.0.0.1", "-p", str(chosen.ports.bmc[0]), "-U", inventory.BMC_USER]
    password = ["-f", str(bmc_password_file(cloud.layout, 0))]
    return ["ipmitool", "-I", "lanplus", "-C", "3", *whom, *password, "sol", verb]


def typed(argv: Sequence[str], keys: int) -> list[float]:
    """Milliseconds of each key, once the console is open: what is refused a client is asked again for a while."""
    opened = wait_for(f"an echo through {' '.join(argv)}", lambda: _opened(argv), OPEN_S)
    try:
        return [opened.key_ms() for _ in range(keys)]
    finally:
        opened.close()


def _opened(argv: Sequence[str]) -> "_Terminal | None":
    terminal = _Terminal(argv)
    if terminal.echoes():
        return terminal
    terminal.close()
    return None


class _Terminal:
    """A client of a console on a terminal of its own."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._name = Path(argv[0]).name
        self._keyboard, theirs = pty.openpty()
        _silence(theirs)
        self._client = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)

    def close(self) -> None:
        """Hang up, as a terminal does that is closed."""
        if self._client.poll() is None:
            os.killpg(self._client.pid, signal.SIGHUP)
        os.close(self._keyboard)
        try:
            self._client.wait(_ECHO_S)
        except subprocess.TimeoutExpired:
            self._client.kill()
            self._client.wait()

    def echoes(self) -> bool:
        """Whether keys reach the machine and come back, once the client has said what it says at first."""
        deadline = time.monotonic() + _ECHO_S
        while self._client.poll() is None and time.monotonic() < deadline:
            while self._said(_FIRST_ECHO_S):
                pass
            os.write(self._keyboard, _KEY)
            if self._reads(_KEY, _FIRST_ECHO_S):
                os.write(self._keyboard, _ERASE)
                return self._reads(_ERASED, _FIRST_ECHO_S)
        return False

    def key_ms(self) -> float:
        """From one key to its echo; it is erased again, and the erasing is waited for."""
        time.sleep(_PAUSE_S)
        began = time.monotonic()
        os.write(self._keyboard, _KEY)
        self._must_read(_KEY)
        took_s = time.monotonic() - began
        os.write(self._keyboard, _ERASE)
        self._must_read(_ERASED)
        return took_s * 1000

    def _must_read(self, wanted: bytes) -> None:
        if not self._reads(wanted, _ECHO_S):
            raise BenchFailed(f"Typing through {self._name}", cause=f"no {wanted!r} within {_ECHO_S:g} s")

    def _reads(self, wanted: bytes, within_s: float) -> bool:
        deadline = time.monotonic() + within_s
        said = b""
        while wanted not in said:
            said += (more := self._said(deadline - time.monotonic()))
            if not more:
                return False
        return True

    def _said(self, within_s: float) -> bytes:
        ready, _, _ = select.select([self._keyboard], [], [], max(0.0, within_s))
        try:
            return os.read(self._keyboard, 1 << 16) if ready else b""
        except OSError:  # the client has closed its side (pty(7): EIO)
            return b""


def _silence(terminal: int) -> None:
    """Have no echo of the terminal's own, also before the client makes it raw: it would be taken for the machine's."""
    attributes = termios.tcgetattr(terminal)
    attributes[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)
