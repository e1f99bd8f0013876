"""A release from its first install to its end, on a real API server that knew nothing of metalplane before.

No Pods run there: the Deployments' programs are started here, as the ServiceAccount that the chart gives them.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import yaml

from provider.api.registry import (
    BAREMETALMACHINE,
    CLUSTERPROVIDERCONFIG,
    CUSTOMRESOURCEDEFINITION,
    EMULATEDDISK,
    LEASE,
    NAMESPACE,
    SECRET,
    ResourceType,
)
from sandbox.apiserver import ApiServer
from tests.conformance.spdk.targets import free_port
from tests.integration.deploy.helm import CHART, IMAGES, RELEASE, Helm
from tests.integration.deploy.helm import NAMESPACE as HOME
from tests.integration.manifests import MACHINE_SPEC, manifest
from tests.integration.rest import Rest
from tests.waiting import wait_for

Json = dict[str, Any]

DEPLOYMENT = ResourceType("apps", "v1", "deployments", "Deployment", True)
DAEMONSET = ResourceType("apps", "v1", "daemonsets", "DaemonSet", True)
CLUSTERROLE = ResourceType("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", False)
ROLE = ResourceType("rbac.authorization.k8s.io", "v1", "roles", "Role", True)
REVIEW = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
MACHINES = f"{BAREMETALMACHINE.plural}.{BAREMETALMACHINE.group}"
VALUES: Json = {**IMAGES, "dpus": [{"name": "dpu0"}], "lvol": {"enabled": True, "traddr": "192.0.2.10"}}


@pytest.fixture
def release(operator: Helm, cluster: ApiServer) -> Iterator[Helm]:
    """The chart, installed; gone at the test's end but for what it keeps."""
    operator.install(VALUES)
    yield operator
    if RELEASE in operator.done("list", f"--namespace={HOME}", "--short"):
        operator.done("uninstall", RELEASE, f"--namespace={HOME}", "--wait")


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """The chart as an earlier version might have been: the machines' kind lacks a column."""
    copy = tmp_path / "metalplane"
    shutil.copytree(CHART, copy)
    path = copy / "templates" / "crds" / f"{MACHINES}.yaml"
    first, *body, last = path.read_text().splitlines()
    definition = yaml.safe_load("\n".join(body))
    definition["spec"]["versions"][0]["additionalPrinterColumns"].pop()
    path.write_text("\n".join([first, yaml.safe_dump(definition), last]) + "\n")
    return copy


def there(rest: Rest, resource: ResourceType, name: str, namespace: str | None = None) -> bool:
    return not rest.ask("GET", resource.path(namespace, name)).refusal


def columns(rest: Rest) -> int:
    definition = rest.get(CUSTOMRESOURCEDEFINITION, MACHINES)
    return len(definition["spec"]["versions"][0]["additionalPrinterColumns"])


def arguments(rest: Rest, name: str = "metalplane-provider") -> list[str]:
    (container,) = rest.get(DEPLOYMENT, name, HOME)["spec"]["template"]["spec"]["containers"]
    given: list[str] = container["args"]
    return given


def keys(rest: Rest) -> dict[str, Json]:
    """What is secret in the certificates."""
    names = [f"metalplane-{seam}-{side}-tls" for seam in ("function", "csi") for side in ("server", "client")]
    return {name: rest.get(SECRET, name, HOME)["data"] for name in names}


def test_installed_upgraded_rolled_back_and_removed(operator: Helm, cluster_rest: Rest, older: Path) -> None:
    rest = cluster_rest
    assert "metalplane 0.1.0 is installed in metalplane-system" in operator.install(VALUES, older)
    assert rest.get(CLUSTERPROVIDERCONFIG, "default")["spec"]["storageClassName"] == "lvol"
    before, made = columns(rest), keys(rest)

    operator.install({**VALUES, "logLevel": "debug", "dpus": [{"name": "dpu0"}, {"name": "dpu1"}]})
    assert columns(rest) == before + 1, "an upgrade brings what is new in a kind"
    assert "--log-level=debug" in arguments(rest)
    assert there(rest, ROLE, "agent", "metalplane-dpu-dpu1")
    assert keys(rest) == made, "certificates are made once"

    operator.done("rollback", RELEASE, "1", f"--namespace={HOME}")
    assert columns(rest) == before
    assert "--log-level=info" in arguments(rest)
    assert not there(rest, ROLE, "agent", "metalplane-dpu-dpu1"), "the agent of a DPU that is not named has no rights"
    assert there(rest, NAMESPACE, "metalplane-dpu-dpu1"), "and its server keeps its devices"
    assert keys(rest) == made
    assert there(rest, CLUSTERPROVIDERCONFIG, "default")

    tenant = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "tenant"}}
    rest.create(NAMESPACE, tenant)
    rest.create(BAREMETALMACHINE, manifest(BAREMETALMACHINE, "bm", "tenant", MACHINE_SPEC))
    operator.done("uninstall", RELEASE, f"--namespace={HOME}")
    assert there(rest, BAREMETALMACHINE, "bm", "tenant"), "no machine goes with the release"
    assert there(rest, NAMESPACE, "metalplane-dpu-dpu0")
    assert not there(rest, DEPLOYMENT, "metalplane-provider", HOME)
    assert not there(rest, DAEMONSET, "metalplane-agent", HOME)
    assert not there(rest, CLUSTERROLE, "metalplane-provider")

    operator.install(VALUES)
    assert columns(rest) == before + 1, "what was kept is taken up again"
    operator.done("uninstall", RELEASE, f"--namespace={HOME}")


def allowed(
    rest: Rest, user: str, verb: str, resource: ResourceType, namespace: str = "", subresource: str = ""
) -> bool:
    """What the API server's authorizer says."""
    attributes = {
        "verb": verb,
        "group": resource.group,
        "resource": resource.plural,
        "namespace": namespace,
        "subresource": subresource,
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": attributes},
    }
    answer = rest.ask("POST", REVIEW, body)
    assert not answer.refusal, answer.refusal
    return bool(answer.body["status"]["allowed"])


def test_identities_reach_what_is_theirs(release: Helm, cluster_rest: Rest) -> None:
    rest, dpu, own = cluster_rest, "metalplane:dpu:dpu0", "metalplane-dpu-dpu0"
    assert allowed(rest, dpu, "patch", EMULATEDDISK, own, "status")
    assert not allowed(rest, dpu, "patch", EMULATEDDISK, own)
    assert not allowed(rest, dpu, "list", EMULATEDDISK)
    assert not allowed(rest, "metalplane:dpu:dpu1", "list", EMULATEDDISK, own)
    provider = f"system:serviceaccount:{HOME}:metalplane-provider"
    assert allowed(rest, provider, "create", SECRET, own)
    assert not allowed(rest, provider, "create", SECRET, "default")
    assert not allowed(rest, provider, "list", SECRET, "default")
    for idle in ("agent", "function", "lvol"):
        account = f"system:serviceaccount:{HOME}:metalplane-{idle}"
        assert not allowed(rest, account, "list", EMULATEDDISK, own)
        assert not allowed(rest, account, "get", SECRET, HOME)


def test_who_may_edit_a_namespace_may_edit_its_machines(release: Helm, cluster: ApiServer, cluster_rest: Rest) -> None:
    cluster.kubectl.run(
        *("create", "rolebinding", "tenant", "--clusterrole=edit", "--user=someone", "--namespace=default")
    )

    def may(verb: str) -> bool:
        return allowed(cluster_rest, "someone", verb, BAREMETALMACHINE, "default")

    wait_for(lambda: may("create") and may("list"), "kube-controller-manager aggregates the roles")
    assert not allowed(cluster_rest, "someone", "create", EMULATEDDISK, "default")


class Replica:
    """One provider as the chart starts it, in a Pod that is only a process."""

    def __init__(self, name: str, args: list[str], kubeconfig: Path, directory: Path) -> None:
        self.name = name
        self.port = free_port()
        self.log = directory / f"{name}.log"
        ours = ("--health-port=", "--function-tls-dir=", "--csi", "--function=")
        options = [argument.replace("$(POD_NAME)", name) for argument in args if not argument.startswith(ours)]
        # Where the function and the driver would be is a matter of the cluster's DNS.
        options += [
            f"--health-port={self.port}",
            f"--kubeconfig={kubeconfig}",
            "--function=function-metalplane=[::1]:1",
        ]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "provider", *options], stdout=log, stderr=log, env=os.environ
            )

    def readiness(self) -> str:
        """What it tells the kubelet; empty while it is not ready."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=10) as answer:
                said: str = answer.read().decode().strip()
                return said
        except (HTTPError, OSError):
            return ""

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=30)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def running(*replicas: Replica) -> Iterator[None]:
    try:
        yield
    finally:
        for replica in replicas:
            replica.kill()


def kubeconfig_of(cluster: ApiServer, account: str, path: Path) -> Path:
    """What a Pod of that ServiceAccount would be given."""
    token = cluster.kubectl.run("create", "token", account, f"--namespace={HOME}").strip()
    config = json.loads(cluster.layout.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path.write_text(json.dumps(config))
    return path


def test_one_replica_leads_and_the_other_is_ready_to_follow(
    release: Helm, cluster: ApiServer, cluster_rest: Rest, tmp_path: Path
) -> None:
    kubeconfig = kubeconfig_of(cluster, "metalplane-provider", tmp_path / "kubeconfig")
    args = arguments(cluster_rest)
    first = Replica("provider-a", args, kubeconfig, tmp_path)
    with running(first):
        wait_for(lambda: first.readiness() == "reconciling", f"the first leads ({first.log})", 60)
        second = Replica("provider-b", args, kubeconfig, tmp_path)
        with running(second):
            wait_for(lambda: second.readiness() == "standing by", f"the second is ready ({second.log})", 60)
            lease = cluster_rest.get(LEASE, "metalplane-provider", HOME)
            assert lease["spec"]["holderIdentity"] == "provider-a"
            assert first.stop() == 0
            wait_for(lambda: second.readiness() == "reconciling", f"the second follows ({second.log})", 60)
            lease = cluster_rest.get(LEASE, "metalplane-provider", HOME)
            assert lease["spec"]["holderIdentity"] == "provider-b"
            assert second.stop() == 0
    for replica in (first, second):
        assert "orbidden" not in replica.log.read_text(), "a right is missing"
