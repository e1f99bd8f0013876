"""A program as a user at a terminal has it: what is typed goes in, what is drawn comes out."""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from tests.unit.bmctl.api import TIMEOUT_S

_ROWS, _COLUMNS = 24, 100


@contextmanager
def _interrupts_heeded() -> Iterator[None]:
    """Whoever is started in the background ignores interrupts, and so would all that it starts meanwhile."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Pseudoterminal:
    """A running program with a terminal of its own. A context."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], *, directory: Path | None = None) -> None:
        self._master, self._slave = os.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        self.before = termios.tcgetattr(self._slave)
        self.drawn = b""
        with _interrupts_heeded():
            self.process = subprocess.Popen(
                argv,
                stdin=self._slave,
                stdout=self._slave,
                stderr=self._slave,
                env={**environment, "TERM": "xterm"},
                cwd=directory,
                start_new_session=True,
            )

    @classmethod
    def of_bmctl(cls, kubeconfig: Path, *arguments: str) -> Self:
        """bmctl, as a user of that kubeconfig."""
        return cls([sys.executable, "-m", "bmctl", *arguments], {**os.environ, "KUBECONFIG": str(kubeconfig)})

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def until(self, text: bytes) -> bytes:
        """All that was drawn, once ``text`` was."""
        deadline = time.monotonic() + TIMEOUT_S
        while text not in self.drawn:
            ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{text!r} did not come: {self.drawn!r}"
            self.drawn += os.read(self._master, 1 << 16)
        return self.drawn

    def end(self) -> int:
        """Its exit code; ``drawn`` is complete then."""
        code = self.process.wait(TIMEOUT_S)
        while select.select([self._master], [], [], 0)[0]:
            self.drawn += os.read(self._master, 1 << 16)
        return code

    @property
    def modes(self) -> list[Any]:
        """The terminal's settings now."""
        return termios.tcgetattr(self._slave)

    def screen(self) -> str:
        """What is left to read: a line that was drawn over stands as it was drawn last."""
        text = self.drawn.decode().replace("\r\n", "\n")
        lines = [line.rpartition("\r")[2] for line in text.split("\n")]
        return "\n".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).rstrip() for line in lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)
        os.close(self._slave)
