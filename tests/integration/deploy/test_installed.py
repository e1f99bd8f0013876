"""What an installed chart gives: rights to those who need them, and providers of which one leads.

No Pods run on the API server here: providers are started as processes, with the arguments and as the ServiceAccount
that the chart gives them.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from provider.api.resources import EMULATEDDISK, LEASE, SECRET, ResourceType
from sandbox.apiserver import ApiServer
from tests.conformance.spdk.targets import free_port
from tests.integration.deploy.helm import NAMESPACE as HOME
from tests.integration.deploy.helm import Helm
from tests.integration.rest import Rest
from tests.waiting import wait_for

Json = dict[str, Any]

DEPLOYMENT = ResourceType("apps", "v1", "deployments", "Deployment", True)
REVIEW = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


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
            self._process = subprocess.Popen([sys.executable, "-m", "provider", *options], stdout=log, stderr=log)

    def readiness(self) -> str:
        """What it tells the kubelet; empty while it is not ready."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=10) as answer:
                said: str = answer.read().decode().strip()
                return said
        except (HTTPError, OSError):
            return ""

    def figures(self) -> str:
        """What it tells Prometheus."""
        with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            said: str = answer.read().decode()
            return said

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
    deployment = cluster_rest.get(DEPLOYMENT, "metalplane-provider", HOME)
    args: list[str] = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    first = Replica("provider-a", args, kubeconfig, tmp_path)
    with running(first):
        wait_for(lambda: first.readiness() == "reconciling", f"the first leads ({first.log})", 60)
        second = Replica("provider-b", args, kubeconfig, tmp_path)
        with running(second):
            wait_for(lambda: second.readiness() == "standing by", f"the second is ready ({second.log})", 60)
            lease = cluster_rest.get(LEASE, "metalplane-provider", HOME)
            assert lease["spec"]["holderIdentity"] == "provider-a"
            assert 'metalplane_state{state="reconciling"} 1.0\n' in first.figures()
            assert 'metalplane_state{state="reconciling"} 0.0\n' in second.figures()
            assert first.stop() == 0
            wait_for(lambda: second.readiness() == "reconciling", f"the second follows ({second.log})", 60)
            lease = cluster_rest.get(LEASE, "metalplane-provider", HOME)
            assert lease["spec"]["holderIdentity"] == "provider-b"
            assert second.stop() == 0
    for replica in (first, second):
        assert "orbidden" not in replica.log.read_text(), "a right is missing"
