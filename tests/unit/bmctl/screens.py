"""Golden screens: what a story shows on standard output and standard error, and how it ends, kept as text.

``METALPLANE_WRITE_SCREENS=1 pytest tests/unit/bmctl`` writes them anew. Times are the machine's mood and stand as T.
"""

import os
import re
import subprocess
from pathlib import Path

_DIRECTORY = Path(__file__).parent / "screens"
_TIMES = re.compile(r"\d+\.\d s\b|\b\d+ ms\b")
_AGES = re.compile(r"\b\d+[smhd]\b *")


def check(story: str, command: str, done: "subprocess.CompletedProcess[bytes]", *hidden: str) -> None:
    """The screen of a command in a pipe is the one that is kept under its story's name."""
    parts = [f"$ {command}", done.stdout.decode().rstrip("\n"), "--- standard error", done.stderr.decode().rstrip("\n")]
    compare(story, "\n".join([*parts, f"--- exit {done.returncode}"]) + "\n", *hidden)


def compare(story: str, screen: str, *hidden: str) -> None:
    """``hidden`` texts are of this run, such as a port, and stand as X."""
    for text in hidden:
        screen = screen.replace(text, "X")
    first, newline, _ = screen.partition("\n")
    # A command stands as it was given.
    command = first + newline if first.startswith("$ ") else ""
    told = _AGES.sub("AGE ", _TIMES.sub("T", screen.removeprefix(command)))
    screen = command + "".join(f"{line.rstrip()}\n" for line in told.splitlines())
    path = _DIRECTORY / f"{story.replace(' ', '-')}.txt"
    if os.environ.get("METALPLANE_WRITE_SCREENS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(screen)
    assert screen == path.read_text(), f"{path} tells another story"
