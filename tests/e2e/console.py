"""A document's ``console`` blocks as commands with the output that they promise, and a shell to run them in.

$ command                  what the reader types; lines of it that begin with ``> `` go on
output                     what is printed, word for word but for runs of spaces
... in a line              any text;  ``...`` alone: any lines, or none
"""

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_FENCE = re.compile(r"^```(?P<language>\w*)\s*$")
_ANY = "..."
_ANY_TEXT = re.compile(r" ?\.\.\. ?")
_LOOP = """
while IFS= read -r -d '' command <&3; do eval "$command" </dev/null 2>&1; printf '\\0%d\\n' $?; done
"""
"""Commands come by a descriptor of their own: what a command reads is not the next command."""


@dataclass(slots=True)
class Entry:
    """A command, the line of the document on which it stands, and the lines that it promises."""

    line: int
    command: str
    promised: list[str] = field(default_factory=list)


def entries(document: str) -> Iterator[Entry]:
    """The commands of all console blocks, in order."""
    current: Entry | None = None
    language: str | None = None
    for number, text in enumerate(document.splitlines(), start=1):
        fence = _FENCE.match(text)
        if fence:
            language = fence["language"] if language is None else None
            if current is not None:
                yield current
                current = None
        elif language == "console":
            if text.startswith("$ "):
                if current is not None:
                    yield current
                current = Entry(number, text.removeprefix("$ "))
            elif current is None:
                raise ValueError(f"line {number} is the output of no command: {text}")
            elif text.startswith("> ") and not current.promised:
                current.command += "\n" + text.removeprefix("> ")
            else:
                current.promised.append(text)


def keeps(promised: list[str], printed: str) -> bool:
    """Whether what was printed is what was promised."""
    return re.fullmatch("".join(map(_pattern, promised)), _plain(printed)) is not None


def _pattern(line: str) -> str:
    if line.strip() == _ANY:
        return r"(?:[^\n]*\n)*"
    return "[^\\n]*".join(map(re.escape, _ANY_TEXT.split(_plain(line).rstrip("\n")))) + "\\n"


def _plain(text: str) -> str:
    """Columns are as wide as their contents, which vary: one space for many, none at an end."""
    lines = (re.sub(r"[ \t]+", " ", line).strip() for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines if line)


class Overdue(Exception):
    """A command did not end in time."""


class Shell:
    """One bash for all commands, so that what one of them sets the next one finds."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        reading, self._commands = os.pipe()
        self._bash = subprocess.Popen(
            ["bash", "--norc", "-c", f"exec 3<&{reading}; {_LOOP}"],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(reading,),
            start_new_session=True,
        )
        os.close(reading)

    def run(self, command: str, timeout_s: float) -> tuple[str, int]:
        """What the command printed, and its exit status."""
        os.write(self._commands, command.encode() + b"\0")
        overdue = threading.Timer(timeout_s, os.killpg, (self._bash.pid, signal.SIGKILL))
        overdue.start()
        try:
            printed, status = self._until(b"\0"), self._until(b"\n")
        finally:
            overdue.cancel()
        if not status:
            raise Overdue(f"no end within {timeout_s:g} s, or it ended the shell; printed so far: {printed.decode()}")
        return printed.decode(), int(status)

    def close(self) -> None:
        """End the shell."""
        os.close(self._commands)
        assert self._bash.stdout is not None
        self._bash.stdout.close()
        self._bash.wait()

    def _until(self, end: bytes) -> bytes:
        assert self._bash.stdout is not None
        read = bytearray()
        while (byte := self._bash.stdout.read(1)) not in (b"", end):
            read += byte
        return bytes(read)
