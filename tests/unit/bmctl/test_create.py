"""A machine from options: what they mean, and what is nonsense before anybody is asked."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from bmctl import manifest
from bmctl.errors import UsageError
from provider.api.machine import BareMetalMachine
from tests.unit.bmctl import screens
from tests.unit.bmctl.api import MACHINES, Api, machine, refusal, run

SECRETS = "/api/v1/namespaces/tenant-a/secrets"
KEY = "ssh-ed25519 " + base64.b64encode(b"\0" * 51).decode() + " me@example"
MINIMAL = ["create", "bm-01", "--instance-type", "small", "--image", "debian-12", "--size", "20Gi"]


def test_all_options_make_a_machine_that_the_models_take(tmp_path: Path) -> None:
    (tmp_path / "id.pub").write_text(f"# mine\n{KEY}\n")
    (tmp_path / "user-data").write_text("#cloud-config\npackages: [htop]\n")
    done = run(
        tmp_path / "no kubeconfig is needed",
        *["create", "bm-01", "-n", "tenant-a", "--server-selector", "rack=r7,gpu=yes", "--image", "debian-12"],
        *["--size", "20Gi", "--storage-class", "fast", "--disk", "name=data,size=100Gi,keep=false"],
        *["--nic", "network=blue", "--nic", "name=st,network=storage,address=10.30.0.7/24,mac=02:00:00:00:00:0A"],
        *["--ssh-key", str(tmp_path / "id.pub"), "--user-data", str(tmp_path / "user-data")],
        *["--run-strategy", "Manual", "--label", "team=blue", "--dry-run=client"],
    )
    assert done.returncode == 0, done.stderr
    screens.compare("a machine from options", done.stdout.decode(), KEY)
    secret, made = yaml.safe_load_all(done.stdout)
    assert secret["stringData"] == {"userData": "#cloud-config\npackages: [htop]\n"}
    assert BareMetalMachine.model_validate(made).spec.disks[1].kept is False


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--server-selector", "rack=r7"], "either --instance-type or --server-selector"),
        (["--disk", "size=1Gi"], "has no name"),
        (["--disk", "name=data"], "has no size"),
        (["--disk", "name=data,size=lots"], "'lots' is not a quantity"),
        (["--disk", "name=data,size=0"], "is nothing"),
        (["--disk", "name=root,size=1Gi"], "two are called root"),
        (["--disk", "name=data,size=1Gi,colour=red"], "there is no colour"),
        (["--disk", "name=data,size=1Gi,keep=maybe"], "keep is neither true nor false"),
        (["--disk", "data"], "'data' is no key=value"),
        (["--nic", "name=eth0"], "has no network"),
        (["--nic", "network=blue,address=10.20.0.11"], "is no address of a host"),
        (["--nic", "network=blue,address=10.20.0.0/24"], "is no address of a host"),
        (["--nic", "network=blue,address=10.20.0.300/24"], "is no IPv4 address"),
        (["--nic", "network=blue,mac=01:00:00:00:00:01"], "is no MAC address of one station"),
        (["--nic", "network=Blue_Net,name=Eth0"], "'Eth0' cannot be a name"),
        (["--size", "-5Gi"], "expected one argument"),
        (["--image", "Debian 12"], "cannot be a name"),
        (["--run-strategy", "Sometimes"], "invalid choice"),
        (["--timeout", "soon"], "is no length of time"),
    ],
)
def test_nonsense_is_wrong_usage_and_asks_nobody(
    api: Api, kubeconfig: Path, options: list[str], complaint: str
) -> None:
    done = run(kubeconfig, *MINIMAL, *options)
    assert done.returncode == 2
    assert complaint in done.stderr.decode()
    assert api.requests == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "is a private key"),
        ("", "has no public key"),
        (f"{KEY}\nhello", "key 2 is no public SSH key"),
    ],
)
def test_what_is_no_public_key_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        manifest.ssh_keys("id", text)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"packages: [htop]", "does not begin as user data does"),
        (b"\xff\xfe", "is no text"),
        (b"#cloud-config\n" + b"#" * 600_000, "has 600014 bytes"),
    ],
)
def test_user_data_that_would_be_passed_over_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        manifest.user_data("file", data)


def created(api: Api, status: str = "Running") -> None:
    api.answers["POST", MACHINES] = (201, machine(status))
    api.answers["POST", SECRETS] = (201, {})
    api.shows(MACHINES, machine(status))


def test_user_data_becomes_a_secret_that_goes_with_the_machine(api: Api, kubeconfig: Path, tmp_path: Path) -> None:
    created(api)
    (tmp_path / "ud").write_text("#!/bin/sh\n")
    assert run(kubeconfig, *MINIMAL, "--user-data", str(tmp_path / "ud")).returncode == 0
    asked, made, owned = [(path, body) for method, path, body in api.requests if method == "POST"]
    assert asked[0] == f"{SECRETS}?fieldManager=bmctl&dryRun=All"
    assert made[1]["spec"]["cloudInit"] == {"userDataSecretRef": {"name": "bm-01-user-data"}}
    assert owned[0] == f"{SECRETS}?fieldManager=bmctl"
    (owner,) = owned[1]["metadata"]["ownerReferences"]
    assert owner["uid"] == machine()["metadata"]["uid"]


def test_a_secret_that_is_there_already_is_found_out_before_anything_is_made(
    api: Api, kubeconfig: Path, tmp_path: Path
) -> None:
    api.answers["POST", SECRETS] = refusal(409, "AlreadyExists", 'secrets "bm-01-user-data" already exists')
    (tmp_path / "ud").write_text("#cloud-config\n")
    done = run(kubeconfig, *MINIMAL, "--user-data", str(tmp_path / "ud"))
    assert done.returncode == 7
    assert b"--user-data-secret bm-01-user-data" in done.stderr
    assert len(api.requests) == 1


def test_a_halted_machine_is_waited_for_until_it_is_stopped(api: Api, kubeconfig: Path) -> None:
    created(api, "Stopped")
    done = run(kubeconfig, *MINIMAL, "--run-strategy", "Halted", "-o", "json")
    assert done.returncode == 0
    made: dict[str, Any] = json.loads(done.stdout)
    assert made["metadata"]["name"] == "bm-01"
    assert done.stderr.decode().endswith("bm-01: is Stopped\n")
