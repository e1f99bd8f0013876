"""bmctl against a real API server: what it makes, reads, follows and refuses, beside kubectl where it does the same."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bmctl import cluster as bmctl_cluster
from bmctl.cluster import Cluster, ClusterOptions
from provider.api.resources import BAREMETALMACHINE, SERVER
from provider.api.subresources import API_SERVICE
from provider.runtime.kubeconfig import Overrides
from sandbox.apiserver import ApiServer
from tests.integration.manifests import MACHINE_SPEC, manifest

Json = dict[str, Any]
_TIMEOUT_S = 120.0
_NEW = ["--instance-type", "small", "--image", "tiny", "--size", "1Gi"]


class Bmctl:
    """bmctl of the administrator, in one namespace."""

    def __init__(self, apiserver: ApiServer, namespace: str) -> None:
        self.apiserver = apiserver
        self.namespace = namespace

    def argv(self, *arguments: str) -> list[str]:
        where = ["--kubeconfig", str(self.apiserver.layout.kubeconfig), "-n", self.namespace]
        return [sys.executable, "-m", "bmctl", *where, *arguments]

    def ran(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.argv(*arguments), capture_output=True, text=True, check=False, timeout=_TIMEOUT_S, input=""
        )

    def __call__(self, *arguments: str) -> str:
        done = self.ran(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.apiserver.kubectl.run(*arguments, f"--namespace={self.namespace}", stdin=stdin)

    def says(self, name: str, word: str, **status: Any) -> None:
        """The machine's status, as the function would write it."""
        patch = json.dumps({"status": {"printableStatus": word, **status}})
        self.kubectl("patch", "bmm", name, "--subresource=status", "--type=merge", f"--patch={patch}")


@pytest.fixture
def bmctl(apiserver: ApiServer, namespace: str) -> Bmctl:
    return Bmctl(apiserver, namespace)


def test_what_is_printed_for_kubectl_is_what_is_made(bmctl: Bmctl) -> None:
    options = [*_NEW, "--disk", "name=data,size=2Gi,keep=false", "--nic", "network=blue,address=10.20.0.11/24"]
    printed = bmctl("create", "bm-01", *options, "--label", "team=blue", "--dry-run=client")
    bmctl.kubectl("apply", "--filename=-", stdin=printed)
    bmctl("create", "bm-02", *options, "--label", "team=blue", "--no-wait")
    by_hand, made = (json.loads(bmctl("get", name, "-o", "json")) for name in ("bm-01", "bm-02"))
    assert by_hand["spec"] == made["spec"]
    assert by_hand["metadata"]["labels"] == made["metadata"]["labels"] == {"team": "blue"}


def test_what_only_the_api_server_can_refuse_is_refused_by_it(bmctl: Bmctl) -> None:
    checked = bmctl("create", "bm-01", *_NEW, "--dry-run=server", "--no-wait")
    assert checked == "baremetalmachine.metalplane.io/bm-01 created (server dry run)\n"
    assert bmctl.ran("get", "bm-01").returncode == 3
    bmctl("create", "bm-01", *_NEW, "--no-wait")
    again = bmctl.ran("create", "bm-01", *_NEW, "--no-wait")
    assert again.returncode == 7
    assert "already exists" in again.stderr
    assert bmctl.ran("get", "--as", "nobody").returncode == 4
    assert bmctl.ran("get", "--token", "not one").returncode == 4


@pytest.mark.parametrize(
    "form",
    [
        "name",
        "jsonpath={.items[*].metadata.name}",
        "jsonpath={.items[0].spec.disks[?(@.boot==true)].image}",
        'jsonpath={range .items[*]}{.metadata.name}{"\\t"}{.spec.disks[-1].size}{"\\n"}{end}',
        "jsonpath={.items[0].metadata.labels.example\\.com/team}",
        "jsonpath={.items[0].spec.disks[0:2].name}",
        "jsonpath={..image}",
        "jsonpath={.items[0].nothing}",
    ],
)
def test_forms_of_output_print_what_kubectl_prints(bmctl: Bmctl, form: str) -> None:
    labels = {"example.com/team": "blue"}
    for name in ("bm-01", "bm-02"):
        machine = manifest(BAREMETALMACHINE, name, bmctl.namespace, MACHINE_SPEC, labels=labels)
        bmctl.kubectl("create", "--filename=-", stdin=json.dumps(machine))
    selected = ["-l", "example.com/team=blue", "-o", form]
    assert bmctl("get", *selected) == bmctl.kubectl("get", "baremetalmachines", *selected)


def test_waiting_follows_the_real_thing(bmctl: Bmctl) -> None:
    bmctl("create", "bm-01", *_NEW, "--nic", "network=blue", "--no-wait")
    waiting = subprocess.Popen(bmctl.argv("wait", "bm-01", "--for=Running"), stderr=subprocess.PIPE, text=True)
    assert waiting.stderr is not None
    assert "Pending" in waiting.stderr.readline()
    condition = {"type": "Progressing", "status": "True", "reason": "Creating", "message": "Volume volume-root: waits"}
    told = condition | {"lastTransitionTime": "2026-11-23T10:00:00Z"}
    bmctl.says("bm-01", "Provisioning", conditions=[told])
    assert waiting.stderr.readline().endswith("Provisioning: Volume volume-root: waits\n")
    bmctl.says("bm-01", "Running", conditions=[])
    assert waiting.wait(_TIMEOUT_S) == 0
    waiting.stderr.close()
    assert "Running" in bmctl("get")
    assert "1 machines: 1 Running" in bmctl("top", "--once")


def test_a_machine_that_goes_is_waited_for(bmctl: Bmctl) -> None:
    bmctl("create", "bm-01", *_NEW, "--no-wait")
    waiting = subprocess.Popen(bmctl.argv("wait", "bm-01", "--for=delete"), stderr=subprocess.PIPE, text=True)
    assert waiting.stderr is not None
    assert "Pending" in waiting.stderr.readline()
    bmctl.kubectl("delete", "bmm", "bm-01")
    assert waiting.wait(_TIMEOUT_S) == 0
    waiting.stderr.close()


def test_user_data_goes_when_its_machine_goes(bmctl: Bmctl, tmp_path: Path) -> None:
    (tmp_path / "user-data").write_text("#cloud-config\n")
    bmctl("create", "bm-01", *_NEW, "--user-data", str(tmp_path / "user-data"), "--no-wait")
    secret = json.loads(bmctl.kubectl("get", "secret", "bm-01-user-data", "--output=json"))
    uid = bmctl("get", "bm-01", "-o", "jsonpath={.metadata.uid}")
    assert [owner["uid"] for owner in secret["metadata"]["ownerReferences"]] == [uid]


def test_a_server_is_cordoned_and_let_in_again(bmctl: Bmctl) -> None:
    name = f"cordoned-{bmctl.namespace}"
    spec = {
        "bmc": {"address": "10.99.7.7", "secretRef": {"name": "bmc"}},
        "dpu": {"name": "dpu0"},
        "capacity": {"cpus": 1, "memory": "1Gi"},
    }
    bmctl.apiserver.kubectl.apply([manifest(SERVER, name, None, spec)])
    try:
        assert bmctl("cordon", name) == f"server.metalplane.io/{name} cordoned\n"
        assert bmctl("cordon", name) == f"server.metalplane.io/{name} already cordoned\n"
        assert bmctl("servers", name).splitlines()[1].split()[1:3] == ["NoAgent", "no"]
        assert bmctl("uncordon", name) == f"server.metalplane.io/{name} uncordoned\n"
        assert bmctl("servers", name, "-o", "jsonpath={.spec.unschedulable}") == "false"
    finally:
        bmctl.apiserver.kubectl.run("delete", "server", name)


@pytest.mark.parametrize(
    ("words", "found"), [(["resta"], ["restart"]), (["get", "bm-"], ["bm-01"]), (["get", "vm-"], [])]
)
def test_kubectl_completes_its_words(bmctl: Bmctl, words: list[str], found: list[str]) -> None:
    bmctl("create", "bm-01", *_NEW, "--no-wait")
    environment = {
        "KUBECONFIG": str(bmctl.apiserver.layout.kubeconfig),
        "PATH": str(Path(sys.executable).parent),  # where kubectl looks for kubectl_complete-bm
    }
    # What kubectl's completion in a shell asks of kubectl.
    asked = [str(bmctl.apiserver.kubectl.program), "__complete", "bm", "-n", bmctl.namespace, *words]
    told = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True, timeout=_TIMEOUT_S)
    assert told.stdout.splitlines() == [*found, ":4"]


def test_all_pages_are_read(bmctl: Bmctl, monkeypatch: pytest.MonkeyPatch) -> None:
    machines = [manifest(BAREMETALMACHINE, f"bm-{number}", bmctl.namespace, MACHINE_SPEC) for number in range(5)]
    bmctl.apiserver.kubectl.apply(machines)
    monkeypatch.setattr(bmctl_cluster, "_ITEMS_AT_ONCE", 2)
    there = ClusterOptions(str(bmctl.apiserver.layout.kubeconfig), Overrides(namespace=bmctl.namespace))
    cluster = Cluster(there)
    found = cluster.list(BAREMETALMACHINE, bmctl.namespace)
    cluster.connection.close()
    assert [machine["metadata"]["name"] for machine in found] == [f"bm-{number}" for number in range(5)]


@pytest.fixture
def without_bm_api(apiserver: ApiServer) -> Iterator[None]:
    """A cluster that has none, whatever other tests of this session have registered."""
    kubectl = apiserver.kubectl
    registered = kubectl.run("get", "apiservice", API_SERVICE, "--ignore-not-found", "--output=json")
    kubectl.run("delete", "apiservice", API_SERVICE, "--ignore-not-found")
    yield
    if registered:
        known = json.loads(registered)
        metadata = {"name": known["metadata"]["name"]}
        kubectl.apply([{**{key: known[key] for key in ("apiVersion", "kind", "spec")}, "metadata": metadata}])


def test_without_bm_api_its_verbs_say_so(bmctl: Bmctl, without_bm_api: None) -> None:
    done = bmctl.ran("start", "bm-01")
    assert done.returncode == 3
    assert "this cluster does not serve it" in done.stderr
