"""The user's side: standard input and output, in raw mode where they are a terminal."""

import os
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

_CHUNK_BYTES = 1 << 16


class Terminal:
    """What is typed and shown. ``raw`` while keys are taken one by one; then our own words need a line's start."""

    def __init__(self) -> None:
        self.input = sys.stdin.fileno()
        self.output = sys.stdout.fileno()
        self.is_terminal = os.isatty(self.input)
        self.is_read = True
        self._raw = False

    @contextmanager
    def raw(self) -> Iterator[None]:
        """Keys one by one, none of them ours but the escape. The terminal is put back whatever happens."""
        if not self.is_terminal:
            yield
            return
        before = termios.tcgetattr(self.input)
        signals = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGHUP)}
        try:
            tty.setraw(self.input)
            self._raw = True
            yield
        finally:
            self._raw = False
            termios.tcsetattr(self.input, termios.TCSADRAIN, before)
            for number, handler in signals.items():
                signal.signal(number, handler)

    def read(self) -> bytes:
        """What was typed, or came through the pipe; empty at its end."""
        return os.read(self.input, _CHUNK_BYTES)

    def show(self, data: bytes) -> None:
        """What the machine says, as it is."""
        view = memoryview(data)
        while view:
            view = view[os.write(self.output, view) :]

    def say(self, text: str) -> None:
        """What we say, on standard error and on a line of its own."""
        ends = ("\r\n", "\r\n") if self._raw else ("", "\n")
        sys.stderr.write(f"{ends[0]}[{text}]{ends[1]}")
        sys.stderr.flush()


class Output(Terminal):
    """Standard output alone: nothing is typed, and the terminal stays as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.is_terminal = False
        self.is_read = False


def _end(number: int, _: Any) -> NoReturn:
    sys.exit(128 + number)
