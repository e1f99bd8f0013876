"""The examples of docs/bmctl.md, carried out as they are written, by a shell, on a machine that they can be about.

No controller runs, so a verb that would wait is given ``--no-wait``: whether what it waits for comes is told elsewhere.
"""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest

from bmctl import verbs
from provider.api.resettype import RequestedReset
from provider.api.resources import BAREMETALMACHINE, MACHINEIMAGE, NETWORK, SERVER
from sandbox import pki
from tests.integration.apiserver.installed import InstalledApi
from tests.integration.apiserver.lightrack import LightRack
from tests.integration.manifests import MACHINE_SPEC, manifest

Json = dict[str, Any]

NAMESPACE = "tenant-a"
NEEDS_AN_AGENT = frozenset({"ssh", "orphans"})
"""Verbs of a machine that answers, and of what agents report: their stories are beside this one and end to end."""

NEVER_ENDS = (" --watch", " -f\n", "bmctl top\n", "bmctl top -n tenant-a |", "--for=delete")
NEEDS_SPANS = (" --from ",)
FOLLOWED = frozenset(
    {"create", "start", "stop", "restart", "reset", "addvolume", "removevolume", "expand", "addnic", "removenic"}
)
ON_A_SERVER = frozenset({"console", "logs", "power"})
"""Verbs of a machine that holds a server."""

ABSENT = {"addvolume": ("disks", "data"), "addnic": ("networkInterfaces", "eth1")}
"""What a verb adds, the machine has not got before."""


def examples() -> list[tuple[str, str]]:
    """Verb and line of each example that ends by itself and needs no server."""
    found = [(name, line) for name in verbs.names() for line in _lines(name)]
    left_out = (*NEVER_ENDS, *NEEDS_SPANS)
    return [(name, line) for name, line in found if not any(part in f"{line}\n" for part in left_out)]


def _lines(name: str) -> tuple[str, ...]:
    verb = verbs.find(name)
    assert verb is not None
    return () if name in NEEDS_AN_AGENT else tuple(verb.load().EXAMPLES)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where somebody sits who tries the examples: a home, a directory, a kubeconfig of his namespace."""

    api: InstalledApi
    home: Path

    def run(self, line: str) -> "subprocess.CompletedProcess[str]":
        """What the line does in bash."""
        environment = {
            "HOME": str(self.home),
            "KUBECONFIG": str(self.home / "kubeconfig"),
            "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}",
        }
        argv = ["bash", "-o", "pipefail", "-c", line]
        return subprocess.run(
            argv, capture_output=True, text=True, check=False, timeout=60, cwd=self.home, env=environment, input=""
        )


@pytest.fixture(scope="module")
def desk(api: InstalledApi, rack: LightRack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """With what the examples name."""
    home = tmp_path_factory.mktemp("home")
    for directory in (".ssh", ".zfunc", ".config/fish/completions", "bin"):
        (home / directory).mkdir(parents=True)
    pki.ssh_key(home / ".ssh/id_ed25519", "me@example")
    (home / "cloud-config.yaml").write_text("#cloud-config\n{}\n")
    source = Path(__file__).resolve().parents[3]
    program = f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(source))} exec {shlex.quote(sys.executable)} -m bmctl "$@"\n'
    (home / "bin/bmctl").write_text(program)
    (home / "bin/bmctl").chmod(0o755)
    kubectl = api.apiserver.kubectl
    config = json.loads(kubectl.run("config", "view", "--raw", "--output=json"))
    config["contexts"][0]["context"]["namespace"] = NAMESPACE
    (home / "kubeconfig").write_text(json.dumps(config))
    server = {"bmc": rack.bmc(), "dpu": {"name": "dpu7"}, "capacity": {"cpus": 1, "memory": "1Gi"}}
    kubectl.apply(
        [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
            manifest(MACHINEIMAGE, "debian-12", None, {"sha256": "0" * 64, "sizeBytes": 1 << 20}),
            manifest(NETWORK, "storage", None, {"vlan": 7, "subnet": "10.30.0.0/24", "allowedNamespaces": ["*"]}),
            manifest(SERVER, "server-07", None, server, labels={"rack": "r7"}),
        ]
    )
    yield Desk(api, home)
    kubectl.run("delete", "server.metalplane.io/server-07", "machineimage/debian-12", "network/storage")


@pytest.fixture
def machine(desk: Desk, rack: LightRack, verb: str) -> Iterator[None]:
    """bm-01, on and answering, unless the example makes it."""
    kubectl = desk.api.apiserver.kubectl
    if verb != "create":
        made = desk.api.machine(NAMESPACE, name="bm-01", **_without(verb))
        ready = {"type": "Ready", "status": "True", "reason": "Available", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        conditions = [ready, {**ready, "type": "Progressing", "status": "False", "reason": "Provisioned"}]
        timeline = [{"step": "ServerBound", "at": "2036-01-01T00:00:00Z"}]
        status = {
            "printableStatus": "Running",
            "addresses": ["10.20.0.11/24"],
            "conditions": conditions,
            "timeline": timeline,
        }
        desk.api.rest.patch(BAREMETALMACHINE, made, {"status": status}, subresource="status")
        if verb in ON_A_SERVER:
            rack.give("server-07", made)
    yield
    kinds = "baremetalmachines,serverclaims,powerstates,virtualdisks,virtualnics"
    kubectl.run("delete", kinds, "--all", f"--namespace={NAMESPACE}")


def _without(verb: str) -> Json:
    """The spec's list without what the verb is to add to it."""
    if verb not in ABSENT:
        return {}
    field, name = ABSENT[verb]
    return {field: [item for item in MACHINE_SPEC[field] if item["name"] != name]}


def _is_followed(verb: str, line: str) -> bool:
    """Whether it waits for what a controller does."""
    switches = verb == "power" and any(action in line for action in get_args(RequestedReset))
    return (verb in FOLLOWED or switches) and "--no-wait" not in line and "--dry-run" not in line


@pytest.mark.parametrize(("verb", "line"), examples())
def test_an_example_does_what_it_shows(desk: Desk, machine: None, verb: str, line: str) -> None:
    done = desk.run(f"{line} --no-wait" if _is_followed(verb, line) else line)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr
