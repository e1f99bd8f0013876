"""How far something is, shown while it is waited for: a live line on a terminal, plain lines in a pipe.

All of it goes to standard error, so that standard output has the result alone.
"""

import os
import sys
import time
from dataclasses import dataclass
from typing import TextIO

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_CLEAR_LINE = "\r\x1b[K"
_TURNS_PER_S = 8
_PLAIN_COLUMNS = 80


@dataclass(frozen=True, slots=True)
class State:
    """The step that is under way, and what it waits for."""

    step: str
    waits_for: str = ""

    def __str__(self) -> str:
        return f"{self.step}: {self.waits_for}" if self.waits_for else self.step


class Progress:
    """Shows states of one thing, called ``name``. A context: it leaves the terminal as it was."""

    def __init__(self, name: str, *, out: TextIO | None = None) -> None:
        self._name = name
        self._out = out or sys.stderr
        self._live = self._out.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._began = self._step_began = time.monotonic()
        self._state: State | None = None

    @property
    def last(self) -> str:
        """What was shown last, in words."""
        return "" if self._state is None else str(self._state)

    def show(self, state: State) -> None:
        """It is in this state now."""
        if state == self._state:
            return
        now = time.monotonic()
        before, self._state = self._state, state
        if not self._live:
            self._out.write(f"{self._name}: +{now - self._began:.1f} s {state}\n")
            self._out.flush()
            return
        if before is not None and before.step != state.step:
            self._write(f"{_CLEAR_LINE}  ✓ {before.step:<16} {now - self._step_began:.1f} s\n")
            self._step_began = now
        self.tick()

    def tick(self) -> None:
        """Time went on."""
        if not self._live or self._state is None:
            return
        now = time.monotonic()
        turn = _SPINNER[int((now - self._began) * _TURNS_PER_S) % len(_SPINNER)]
        line = f"  {turn} {self._state.step:<16} {now - self._step_began:.1f} s  {self._state.waits_for}".rstrip()
        self._write(_CLEAR_LINE + _cut(line, columns(self._out)))

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._live and self._state is not None:
            mark = "✓" if kind is None else "✗"
            took = time.monotonic() - self._step_began
            self._write(f"{_CLEAR_LINE}  {mark} {self._state.step:<16} {took:.1f} s\n")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def columns(out: TextIO) -> int:
    """Width of the terminal behind ``out``."""
    try:
        return os.get_terminal_size(out.fileno()).columns or _PLAIN_COLUMNS
    except OSError:
        return _PLAIN_COLUMNS


def _cut(line: str, width: int) -> str:
    """A line that is longer than the terminal would scroll it at each tick."""
    return line if len(line) < width else line[: width - 2] + "…"
