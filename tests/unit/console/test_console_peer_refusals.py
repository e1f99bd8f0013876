"""What a caller is told when the replica that has a console cannot be reached: the system's words, and no more."""

import socket
from pathlib import Path

import pytest

from provider.apiserver.console.errors import ConsoleUnavailable
from provider.apiserver.console.peer import Peers, Wish
from provider.apiserver.console.session import Limits
from sandbox.pki import Authority


class _Secret:
    async def token(self) -> str:
        return "secret"


@pytest.fixture
def nobody() -> str:
    """An address at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


async def test_a_replica_that_is_gone_is_told_of_in_the_systems_words(tmp_path: Path, nobody: str) -> None:
    peers = Peers(_Secret(), Authority(tmp_path, "cluster").certificate, "peer", Limits())  # type: ignore[arg-type]
    try:
        with pytest.raises(ConsoleUnavailable) as caught:
            await peers.log(Wish("server0", None), nobody)
    finally:
        await peers.close()
    assert f"the replica at {nobody} does not answer (Connection refused)" in str(caught.value)
    assert "SSLContext" not in str(caught.value)
