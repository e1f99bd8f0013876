"""What an installed chart gives of bm-api: rights on the sub-resources, and an API that the real API server finds.

No Pods run on the API server here: bm-api is started as a process, with the arguments, the certificate and the
ServiceAccount that the chart gives it, and its Service names this machine.
"""

import base64
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from provider.api import subresources
from provider.api.resources import (
    BAREMETALMACHINE,
    CONFIGMAP,
    EMULATEDDISK,
    LEASE,
    POWERSTATE,
    SECRET,
    SERVER,
    SUBJECTACCESSREVIEW,
    TOKENREVIEW,
    ResourceType,
)
from sandbox.apiserver import ApiServer
from tests.conformance.spdk.targets import free_port
from tests.integration.deploy.helm import NAMESPACE as HOME
from tests.integration.deploy.helm import Helm
from tests.integration.deploy.test_installed import allowed, kubeconfig_of
from tests.integration.rest import MERGE_PATCH, Rest
from tests.waiting import wait_for

Json = dict[str, Any]

API = f"system:serviceaccount:{HOME}:metalplane-api"
APISERVICE = ResourceType("apiregistration.k8s.io", "v1", "apiservices", "APIService", False)
DEPLOYMENT = ResourceType("apps", "v1", "deployments", "Deployment", True)
SERVICE = ResourceType("", "v1", "services", "Service", True)
MACHINE, POWERED = subresources.MACHINE, subresources.POWERED_SERVER


@pytest.fixture(scope="module")
def tenants(release: Helm, cluster: ApiServer, cluster_rest: Rest) -> None:
    """``viewer`` views the namespace default, ``editor`` edits it, ``operator`` looks after servers."""
    for user, role in (("viewer", "view"), ("editor", "edit")):
        binding = ("create", "rolebinding", user, f"--clusterrole={role}", f"--user={user}", "--namespace=default")
        cluster.kubectl.run(*binding)
    cluster.kubectl.run(
        *("create", "clusterrolebinding", "operator", "--clusterrole=metalplane:operator", "--user=operator")
    )

    def aggregated() -> bool:
        viewing = allowed(cluster_rest, "viewer", "get", MACHINE, "default", "seriallog")
        return viewing and allowed(cluster_rest, "editor", "create", MACHINE, "default", "start")

    wait_for(aggregated, "kube-controller-manager aggregates the roles")


@pytest.mark.usefixtures("tenants")
def test_who_edits_a_namespace_has_the_verbs_of_its_machines_and_of_no_other(cluster_rest: Rest) -> None:
    def may(user: str, verb: str, subresource: str, namespace: str = "default") -> bool:
        return allowed(cluster_rest, user, verb, MACHINE, namespace, subresource)

    for each in subresources.MACHINE_CHANGES:
        assert may("editor", "create", each)
        assert not may("editor", "create", each, HOME)
        assert not may("viewer", "create", each)
    for verb in ("get", "create"):
        assert may("editor", verb, "console")
        assert not may("viewer", verb, "console")
    for each in subresources.MACHINE_READS:
        assert may("viewer", "get", each)
        assert not may("viewer", "get", each, HOME)
    assert allowed(cluster_rest, "editor", "create", BAREMETALMACHINE, "default")
    assert not allowed(cluster_rest, "editor", "create", EMULATEDDISK, "default")
    assert not allowed(cluster_rest, "editor", "patch", POWERSTATE, "default")


@pytest.mark.usefixtures("tenants")
def test_servers_are_the_operators(cluster_rest: Rest) -> None:
    for subresource in ("power", "console"):
        for verb in ("get", "create"):
            assert allowed(cluster_rest, "operator", verb, POWERED, subresource=subresource)
            assert not allowed(cluster_rest, "editor", verb, POWERED, subresource=subresource)
    assert not allowed(cluster_rest, "operator", "patch", SERVER)
    assert not allowed(cluster_rest, "operator", "get", MACHINE, "default", "console")


@pytest.mark.usefixtures("release")
def test_bm_api_asks_who_calls_and_edits_machines_and_reads_no_tenants_secrets(cluster_rest: Rest) -> None:
    rest = cluster_rest
    assert allowed(rest, API, "create", SUBJECTACCESSREVIEW)
    assert allowed(rest, API, "create", TOKENREVIEW)
    assert allowed(rest, API, "patch", BAREMETALMACHINE, "default")
    assert not allowed(rest, API, "patch", POWERSTATE, "default", "status")
    assert not allowed(rest, API, "delete", BAREMETALMACHINE, "default")
    assert allowed(rest, API, "get", SECRET, HOME)
    assert allowed(rest, API, "update", LEASE, HOME)
    for namespace in ("default", "metalplane-dpu-dpu0", "kube-system"):
        assert not allowed(rest, API, "get", SECRET, namespace)
    assert not allowed(rest, API, "list", CONFIGMAP, "kube-system"), "one config map, by its name"


@contextmanager
def bm_api(cluster: ApiServer, rest: Rest, directory: Path) -> Iterator[tuple[int, Path]]:
    """One replica as the chart starts it; its port, and its log."""
    args: list[str] = rest.get(DEPLOYMENT, "metalplane-api", HOME)["spec"]["template"]["spec"]["containers"][0]["args"]
    for name, content in rest.get(SECRET, "metalplane-api-server-tls", HOME)["data"].items():
        (directory / name).write_bytes(base64.b64decode(content))
    port, log_path = free_port(), directory / "api.log"
    here = {
        "--address": "127.0.0.1",
        "--port": str(port),
        "--advertise": f"127.0.0.1:{port}",
        "--health-port": str(free_port()),
        "--tls-dir": str(directory),
        "--identity": "api-a",
        "--kubeconfig": str(kubeconfig_of(cluster, "metalplane-api", directory / "kubeconfig")),
    }
    options = [argument for argument in args if argument.split("=")[0] not in here]
    options += [f"{option}={value}" for option, value in here.items()]
    with log_path.open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "provider.apiserver", *options], stdout=log, stderr=log)
    try:
        yield port, log_path
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()


def patch(rest: Rest, path: str, body: Json) -> None:
    answer = rest.ask("PATCH", path, body, content=MERGE_PATCH)
    assert not answer.refusal, answer.refusal


def unavailable(cluster: ApiServer) -> str:
    """What the alert's figure says of our APIService."""
    figures = cluster.kubectl.run("get", "--raw", "/metrics").splitlines()
    name = f'aggregator_unavailable_apiservice{{name="{subresources.API_SERVICE}"}} '
    return next((line.removeprefix(name) for line in figures if line.startswith(name)), "")


def why_not_available(rest: Rest) -> str:
    conditions = rest.get(APISERVICE, subresources.API_SERVICE).get("status", {}).get("conditions", [])
    found = next((each for each in conditions if each["type"] == "Available"), {"status": "", "reason": "not looked"})
    return "" if found["status"] == "True" else found["reason"]


@pytest.mark.usefixtures("tenants")
def test_the_api_server_finds_bm_api_and_it_knows_who_calls(
    cluster: ApiServer, cluster_rest: Rest, tmp_path: Path
) -> None:
    rest = cluster_rest
    assert why_not_available(rest)
    wait_for(lambda: unavailable(cluster) == "1", "the figure that raises the alert")
    with bm_api(cluster, rest, tmp_path) as (port, log):
        # There is no kube-proxy here, so no address of a Service leads anywhere.
        this_machine = {"type": "ExternalName", "externalName": "127.0.0.1", "clusterIP": None, "clusterIPs": None}
        patch(rest, SERVICE.path(HOME, "metalplane-api"), {"spec": this_machine})
        patch(rest, APISERVICE.path(name=subresources.API_SERVICE), {"spec": {"service": {"port": port}}})
        wait_for(lambda: not why_not_available(rest), f"the certificate is trusted and discovery answers ({log})")
        wait_for(lambda: unavailable(cluster) == "0", "the alert ends")
        viewer = Rest.of_user(cluster, "viewer")
        answer = viewer.ask("GET", MACHINE.path("default", "bm", "trace"))
        assert (answer.code, answer.body["reason"]) == (404, "NotFound"), answer.body
        start = MACHINE.path("default", "bm", "start")
        assert viewer.ask("POST", start, {}).code == 403
        assert Rest.of_user(cluster, "editor").ask("POST", start, {}).code == 404
    assert f"system:serviceaccount:{HOME}" not in log.read_text(), "a right is missing"
