"""The composition function as Crossplane starts it: it answers callers of its own authority, and nobody else."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from crossplane.function.proto.v1 import run_function_pb2_grpc as fnv1_grpc
from google.protobuf import json_format

from provider.api.resources import BAREMETALMACHINE
from sandbox.pki import Authority, Credential
from tests.integration.manifests import MACHINE_SPEC, manifest

NAME = "function-metalplane"
PATIENCE_S = 30.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("function"), "function-authority")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "function-authority")


@pytest.fixture(scope="module")
def address(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a function listens that was given certificates in the directory that Crossplane names."""
    directory = tmp_path_factory.mktemp("tls")
    credential = authority.server("server", names=(NAME, "127.0.0.1"))
    shutil.copy(credential.certificate, directory / "tls.crt")
    shutil.copy(credential.key, directory / "tls.key")
    shutil.copy(authority.certificate, directory / "ca.crt")
    with serving(environment={"TLS_SERVER_CERTS_DIR": str(directory)}) as listening:
        yield listening


@contextmanager
def serving(*arguments: str, environment: dict[str, str] | None = None) -> Iterator[str]:
    """``python -m provider.function``, until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    argv = [sys.executable, "-m", "provider.function", f"--address={address}", *arguments]
    with subprocess.Popen(argv, env=os.environ | (environment or {})) as process:
        try:
            yield address
        finally:
            process.send_signal(signal.SIGTERM)


def encrypted(address: str, authority: Authority, credential: Credential | None) -> grpc.Channel:
    """A channel to a server of ``authority``, with or without a certificate of one's own."""
    key = None if credential is None else credential.key.read_bytes()
    chain = None if credential is None else credential.certificate.read_bytes()
    return grpc.secure_channel(
        address,
        grpc.ssl_channel_credentials(authority.certificate.read_bytes(), private_key=key, certificate_chain=chain),
    )


def run_function(channel: grpc.Channel) -> fnv1.RunFunctionResponse:
    """One call, which waits until the server is there; a refused handshake ends it at the deadline."""
    request = fnv1.RunFunctionRequest()
    request.meta.tag = "a tag"
    machine = manifest(BAREMETALMACHINE, "bm", "tenant", MACHINE_SPEC, uid="0" * 36, generation=1)
    json_format.ParseDict(machine, request.observed.composite.resource)
    with channel:
        stub = fnv1_grpc.FunctionRunnerServiceStub(channel)  # type: ignore[no-untyped-call]
        answer: fnv1.RunFunctionResponse = stub.RunFunction(request, timeout=PATIENCE_S, wait_for_ready=True)
        return answer


def refused(channel: grpc.Channel) -> grpc.RpcError:
    """Why a call fails at once, of a server that is known to be there."""
    with channel:
        stub = fnv1_grpc.FunctionRunnerServiceStub(channel)  # type: ignore[no-untyped-call]
        with pytest.raises(grpc.RpcError) as caught:
            stub.RunFunction(fnv1.RunFunctionRequest(), timeout=PATIENCE_S)
    return caught.value


def assert_is_ours(answer: fnv1.RunFunctionResponse) -> None:
    assert answer.meta.tag == "a tag"
    asked = {(asked.kind, asked.match_name) for asked in answer.requirements.resources.values()}
    assert asked == {("InstanceType", "small"), ("MachineImage", "tiny")}
    (condition,) = answer.conditions
    assert (condition.type, condition.reason) == ("Progressing", "InstanceTypeNotFound")


def test_a_caller_with_our_certificate_is_answered(authority: Authority, address: str) -> None:
    credential = authority.client("engine", common_name="engine")
    assert_is_ours(run_function(encrypted(address, authority, credential)))


def test_a_caller_without_a_certificate_is_refused(authority: Authority, address: str) -> None:
    wait_until_served(authority, address)
    assert refused(encrypted(address, authority, None)).code() is grpc.StatusCode.UNAVAILABLE


def test_a_caller_of_another_authority_is_refused(authority: Authority, stranger: Authority, address: str) -> None:
    wait_until_served(authority, address)
    credential = stranger.client("engine", common_name="engine")
    assert refused(encrypted(address, authority, credential)).code() is grpc.StatusCode.UNAVAILABLE


def test_a_caller_refuses_a_server_of_another_authority(
    authority: Authority, stranger: Authority, address: str
) -> None:
    wait_until_served(authority, address)
    credential = authority.client("engine", common_name="engine")
    assert refused(encrypted(address, stranger, credential)).code() is grpc.StatusCode.UNAVAILABLE


def test_a_caller_in_plain_text_is_refused(authority: Authority, address: str) -> None:
    wait_until_served(authority, address)
    assert refused(grpc.insecure_channel(address)).code() is grpc.StatusCode.UNAVAILABLE


def test_plain_text_is_served_where_it_was_asked_for() -> None:
    with serving("--insecure") as address:
        assert_is_ours(run_function(grpc.insecure_channel(address)))


def test_without_certificates_it_does_not_start() -> None:
    argv = [sys.executable, "-m", "provider.function", "--address=127.0.0.1:0"]
    environment = {name: value for name, value in os.environ.items() if name != "TLS_SERVER_CERTS_DIR"}
    ended = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert ended.returncode == 1
    assert "set TLS_SERVER_CERTS_DIR to a directory with tls.crt, tls.key, ca.crt, or --insecure" in ended.stderr


def wait_until_served(authority: Authority, address: str) -> None:
    """A positive control: whoever is refused after this is not refused because nobody listens."""
    assert_is_ours(run_function(encrypted(address, authority, authority.client("engine", common_name="engine"))))
