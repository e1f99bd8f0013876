"""kubectl as the sandbox runs it: each way in which a command can end badly is an error that names the command."""

from pathlib import Path

import pytest

from sandbox.errors import CommandFailed, CommandOverdue
from sandbox.kubectl import Kubectl


def kubectl(directory: Path, script: str) -> Kubectl:
    program = directory / "kubectl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Kubectl(program, directory / "kubeconfig")


def test_a_command_without_an_end_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandOverdue, match=r"^kubectl get bmm failed: it did not end within 0\.2 s"):
        kubectl(tmp_path, "exec sleep 60").run("get", "bmm", timeout_s=0.2)


def test_a_command_that_fails_is_named_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"^kubectl get bmm failed: exit status 3: no such kind"):
        kubectl(tmp_path, "echo no such kind >&2; exit 3").run("get", "bmm")
