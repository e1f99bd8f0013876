"""CSI by network: who has no certificate of the driver's authority can ask for nothing."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from provider.runtime.csi import csi_pb2, csi_pb2_grpc
from provider.runtime.mutual_tls import client_credentials
from sandbox.pki import Authority, Credential
from tests.conformance.spdk.targets import free_port

PATIENCE_S = 30.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("csi"), "csi-authority")


@pytest.fixture(scope="module")
def address(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A driver whose target is away: who it is, it tells all the same."""
    directory = tmp_path_factory.mktemp("driver")
    address = f"127.0.0.1:{free_port()}"
    tls = written(authority, authority.server("driver", names=("127.0.0.1",)), directory / "tls")
    with subprocess.Popen([*command(directory, address), f"--tls-dir={tls}"]) as process:
        try:
            yield address
        finally:
            process.terminate()


def command(directory: Path, endpoint: str) -> list[str]:
    return [
        *(sys.executable, "-m", "dpu_handler.lvol", f"--endpoint={endpoint}", f"--spdk-socket={directory / 'none'}"),
        *(f"--image-dir={directory}", f"--pool-file={directory / 'pool.img'}", "--pool-size-bytes=1073741824"),
        *("--traddr=127.0.0.1", "--trsvcid=4420"),
    ]


def written(authority: Authority, credential: Credential, directory: Path) -> Path:
    directory.mkdir()
    for name, source in (("tls.crt", credential.certificate), ("tls.key", credential.key)):
        shutil.copy(source, directory / name)
    shutil.copy(authority.certificate, directory / "ca.crt")
    return directory


def plugin_name(channel: grpc.Channel, *, wait: bool = True) -> str:
    with channel:
        stub = csi_pb2_grpc.IdentityStub(channel)
        answer = stub.GetPluginInfo(csi_pb2.GetPluginInfoRequest(), timeout=PATIENCE_S, wait_for_ready=wait)
        name: str = answer.name
        return name


def test_a_caller_of_the_authority_is_answered_and_no_other_is(
    authority: Authority, address: str, tmp_path: Path
) -> None:
    ours = written(authority, authority.client("provider", common_name="provider"), tmp_path / "ours")
    assert plugin_name(grpc.secure_channel(address, client_credentials(ours))) == "lvol.csi.metalplane.io"
    other = Authority(tmp_path / "stranger", "csi-authority")
    theirs = written(authority, other.client("provider", common_name="provider"), tmp_path / "theirs")
    for channel in (grpc.insecure_channel(address), grpc.secure_channel(address, client_credentials(theirs))):
        with pytest.raises(grpc.RpcError) as caught:
            plugin_name(channel, wait=False)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_the_network_is_not_served_without_certificates(tmp_path: Path) -> None:
    argv = command(tmp_path, "127.0.0.1:0")
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert ended.returncode == 1
    assert "whoever reaches 127.0.0.1:0 could take any volume: give --tls-dir" in ended.stderr
