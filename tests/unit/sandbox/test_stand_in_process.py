"""The SPDK stand-in where it cannot serve: one line, and the target that is there keeps its socket."""

import socket
import subprocess
import sys
from pathlib import Path


def run(path: Path, directory: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "sandbox", "spdk", "--socket", str(path), "--dir", str(directory)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_socket_of_a_target_that_lives_is_not_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "spdk.sock"
    with socket.socket(socket.AF_UNIX) as target:
        target.bind(str(path))
        target.listen()
        done = run(path, tmp_path)
    assert done.returncode == 1
    assert "another target listens on that socket" in done.stderr
    assert path.is_socket()


def test_a_place_where_nothing_can_be_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, directory in ((tmp_path / ("s" * 120), tmp_path), (tmp_path / "s", tmp_path / "file/x")):
        done = run(path, directory)
        assert done.returncode == 1
        assert done.stderr.startswith("spdk: cannot serve")
        assert len(done.stderr.splitlines()) == 1
