"""Runs the programs that make the parts of a disk, and turns their failures into `ToolError`."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.images.errors import ToolError

# Debian keeps mke2fs, debugfs and depmod where an ordinary user's PATH does not look.
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def run(
    command: Sequence[str],
    *,
    package: str,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run command and return its standard output; package is the Debian package to name when it is not installed."""
    environment = {**os.environ, "PATH": _PATH, "LC_ALL": "C", **(env or {})}
    try:
        done = subprocess.run(
            command, input=stdin, env=environment, cwd=cwd, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        step = f"Install it: apt-get install {package}"
        raise ToolError("running", command[0], "the program is not installed", step) from error
    if done.returncode != 0:
        cause = (done.stderr or done.stdout).strip() or f"exit status {done.returncode}"
        raise ToolError("running", " ".join(command), cause, "Run the command by hand to see more")
    return done.stdout
