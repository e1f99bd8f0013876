"""Who is connected to a socket of a process, wherever the other end lives."""

import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from sandbox.spdk.sockets import peers_of_unix_listeners

CLONE_NEWNET = 0x40000000
"""Linux, <sched.h>."""


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        yield listening


def peers(listener: socket.socket) -> int:
    return peers_of_unix_listeners(os.getpid())[listener.getsockname()]


def connect_from_another_network(path: str) -> socket.socket:
    """As a server does, which is in the network namespace of its DPU."""

    def connect() -> socket.socket:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(path)
        return peer

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(connect).result()


def test_accepted_connections_are_counted_until_they_are_let_go(listener: socket.socket) -> None:
    assert peers(listener) == 0
    with ExitStack() as connections:
        near = connections.enter_context(socket.socket(socket.AF_UNIX))
        near.connect(listener.getsockname())
        connections.enter_context(listener.accept()[0])
        connections.enter_context(connect_from_another_network(listener.getsockname()))
        connections.enter_context(listener.accept()[0])
        assert peers(listener) == 2
    assert peers(listener) == 0


def test_a_process_that_is_gone_has_no_peers() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert not peers_of_unix_listeners(ended.pid)
