"""docs/tutorial.md, line by line: each command is run as it stands there, and prints what the page says."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.paths import SOURCE
from tests.e2e.console import Shell, entries, keeps

PAGE = SOURCE / "docs" / "tutorial.md"
COMMAND_S = 300.0


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A reader's shell; whatever cloud it brings up is taken down."""
    kept = ("HOME", "PATH", "LANG", "USER", "XDG_CACHE_HOME", "METALPLANE_BOOT_LEDGER", "SPDK_TGT", "SPDK_STORAGE_TGT")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    shell = Shell(SOURCE, environment | {"TMPDIR": str(tmp_path)})
    try:
        yield shell
    finally:
        shell.close()
        for cloud in tmp_path.iterdir():
            subprocess.run([sys.executable, "-m", "sandbox", "--dir", str(cloud), "down"], cwd=SOURCE, check=True)


def test_the_tutorial_does_what_it_says(shell: Shell) -> None:
    for entry in entries(PAGE.read_text()):
        printed, status = shell.run(entry.command, COMMAND_S)
        where = f"{PAGE.name}:{entry.line}: $ {entry.command}"
        assert status == 0, f"{where}\nended with {status}:\n{printed}"
        assert keeps(entry.promised, printed), f"{where}\nprinted:\n{printed}\ninstead of:\n" + "\n".join(
            entry.promised
        )
