"""The supervisor's client against a peer that answers by a script: what it says when the answer breaks off."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import client as module
from sandbox import paths
from sandbox.client import SupervisorClient
from sandbox.errors import ProcessNotReady, SupervisorUnavailable
from sandbox.paths import Layout
from sandbox.process import ProcessSpec

SPEC = ProcessSpec("etcd", ("etcd",), ready_timeout_s=0.2)
STARTING = b'{"process": {"name": "etcd", "state": "starting", "restarts": 0, "lastExit": ""}}\n'
READY = b'{"process": {"name": "etcd", "state": "ready", "restarts": 0, "lastExit": ""}}\n'


class Peer:
    """Sends ``answer`` to whoever connects, and then hangs up or holds the line."""

    def __init__(self, path: Path) -> None:
        self.answer = b""
        self.hangs_up = False
        self._held: list[socket.socket] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for connection in (self._socket, *self._held):
            connection.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._held.append(connection)
            connection.recv(1 << 16)
            connection.sendall(self.answer)
            if self.hangs_up:
                connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.setattr(paths, "RUN_ROOT", tmp_path)
    layout = Layout.of(tmp_path)
    layout.run.mkdir()
    return layout


@pytest.fixture
def client(layout: Layout) -> SupervisorClient:
    return SupervisorClient(layout)


@pytest.fixture
def peer(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> Iterator[Peer]:
    monkeypatch.setattr(module, "ANSWER_S", 0.2)
    peer = Peer(layout.supervisor_socket)
    yield peer
    peer.close()


@pytest.mark.parametrize("answer", [b"", STARTING, READY], ids=["at-once", "while-starting", "before-it-is-done"])
def test_a_supervisor_that_hangs_up_has_started_nothing(peer: Peer, client: SupervisorClient, answer: bytes) -> None:
    peer.answer, peer.hangs_up = answer, True
    with pytest.raises(SupervisorUnavailable, match="it hung up"):
        client.start([SPEC])


def test_a_supervisor_that_hangs_up_has_stopped_nothing(peer: Peer, client: SupervisorClient) -> None:
    peer.hangs_up = True
    with pytest.raises(SupervisorUnavailable, match="it hung up"):
        client.stop(["etcd"])


def test_a_process_that_stays_behind_is_named(peer: Peer, client: SupervisorClient) -> None:
    peer.answer = STARTING
    with pytest.raises(ProcessNotReady, match="Waiting for etcd"):
        client.start([SPEC])


def test_a_start_of_which_nothing_is_heard_is_the_supervisors_failure(peer: Peer, client: SupervisorClient) -> None:
    with pytest.raises(SupervisorUnavailable, match="no answer within"):
        client.start([SPEC])


def test_a_supervisor_that_does_not_answer_is_unavailable(peer: Peer, client: SupervisorClient) -> None:
    assert not client.is_running()
    with pytest.raises(SupervisorUnavailable, match="no answer within"):
        client.status()
