"""The function's process where it cannot serve: one line that says so, and never beside somebody else."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "provider.function", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        timeout=60,
    )


def test_a_port_that_somebody_serves_on_is_not_shared() -> None:
    with socket.socket() as taken:
        # As gRPC itself listens: whoever sets this too would get a part of the calls.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run("--insecure", "--address", address)
    assert done.returncode == 1
    assert f"function: cannot serve on {address}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("address", ["nonsense", ":9443", "127.0.0.1:", "127.0.0.1:99999"])
def test_what_is_no_address_is_wrong_usage(address: str) -> None:
    done = run("--insecure", "--address", address)
    assert done.returncode == 2
    assert "is not HOST:PORT" in done.stderr


def test_certificates_that_are_not_there_are_named(tmp_path: Path) -> None:
    done = run("--address", "127.0.0.1:0", TLS_SERVER_CERTS_DIR=str(tmp_path))
    assert done.returncode == 1
    assert str(tmp_path / "tls.key") in done.stderr
    assert "Traceback" not in done.stderr
