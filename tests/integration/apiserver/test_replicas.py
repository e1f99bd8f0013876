"""Two replicas: either may die, and both may, for a while."""

import os
import signal
import uuid
from typing import Any

from provider.api.subresources import API_SERVICE
from provider.apiserver.routes import PREFIX
from tests.integration.apiserver.installed import InstalledApi
from tests.integration.waiting import eventually

Json = dict[str, Any]


def served(api: InstalledApi) -> int:
    """What the API server answers for the group."""
    return api.rest.ask("GET", PREFIX).code


def pids(api: InstalledApi) -> dict[str, int]:
    """Of the replicas that are ready."""
    return {
        report["name"]: report["pid"]
        for report in api.apiserver.supervisor.status()
        if report["name"] in {spec.name for spec in api.replicas} and report["state"] == "ready"
    }


def available(api: InstalledApi) -> str:
    """What the APIService's condition says."""
    return api.apiserver.kubectl.run(
        "get", "apiservice", API_SERVICE, "--output=jsonpath={.status.conditions[?(@.type=='Available')].status}"
    )


def test_the_other_replica_serves_on_when_one_is_killed(api: InstalledApi) -> None:
    before = eventually(lambda: pids(api), lambda running: len(running) == 2)
    os.kill(before["api0"], signal.SIGKILL)
    # The connections that the API server kept to it break; the next request goes to the other.
    eventually(lambda: served(api), lambda code: code == 200)
    after = eventually(lambda: pids(api), lambda running: running.get("api0", before["api0"]) != before["api0"])
    assert after["api1"] == before["api1"]


def test_a_namespace_goes_once_bm_api_is_back(api: InstalledApi) -> None:
    kubectl = api.apiserver.kubectl
    api.apiserver.supervisor.stop([spec.name for spec in api.replicas])
    eventually(lambda: available(api), lambda status: status == "False", within_s=60)
    name = f"test-{uuid.uuid4().hex[:8]}"
    kubectl.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}])
    kubectl.run("delete", "namespace", name, "--wait=false")
    held_up = "--output=jsonpath={.status.conditions[?(@.type=='NamespaceDeletionDiscoveryFailure')].status}"
    eventually(lambda: kubectl.run("get", "namespace", name, held_up), lambda status: status == "True")
    api.apiserver.supervisor.start(api.replicas)
    # The API server looks again after a while that grew with the outage.
    eventually(lambda: served(api), lambda code: code == 200, within_s=60)
    kubectl.run("wait", "--for=delete", f"namespace/{name}", "--timeout=60s")
