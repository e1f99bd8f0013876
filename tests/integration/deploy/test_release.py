"""A release from its first install to its end, on a real API server that knew nothing of metalplane before."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from provider.api import subresources
from provider.api.resources import (
    BAREMETALMACHINE,
    CLUSTERPROVIDERCONFIG,
    CUSTOMRESOURCEDEFINITION,
    NAMESPACE,
    SECRET,
    ResourceType,
)
from tests.integration.deploy.helm import CHART, RELEASE, VALUES, Helm
from tests.integration.deploy.helm import NAMESPACE as HOME
from tests.integration.manifests import MACHINE_SPEC, manifest
from tests.integration.rest import Rest

Json = dict[str, Any]

DEPLOYMENT = ResourceType("apps", "v1", "deployments", "Deployment", True)
DAEMONSET = ResourceType("apps", "v1", "daemonsets", "DaemonSet", True)
CLUSTERROLE = ResourceType("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", False)
ROLE = ResourceType("rbac.authorization.k8s.io", "v1", "roles", "Role", True)
APISERVICE = ResourceType("apiregistration.k8s.io", "v1", "apiservices", "APIService", False)
FLOWSCHEMA = ResourceType("flowcontrol.apiserver.k8s.io", "v1", "flowschemas", "FlowSchema", False)
API_CERTIFICATE = "metalplane-api-server-tls"
MACHINES = f"{BAREMETALMACHINE.plural}.{BAREMETALMACHINE.group}"


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


def arguments(rest: Rest) -> list[str]:
    (container,) = rest.get(DEPLOYMENT, "metalplane-provider", HOME)["spec"]["template"]["spec"]["containers"]
    given: list[str] = container["args"]
    return given


def keys(rest: Rest) -> dict[str, Json]:
    """What is secret in the certificates."""
    names = [f"metalplane-{seam}-{side}-tls" for seam in ("function", "csi") for side in ("server", "client")]
    found = {name: rest.get(SECRET, name, HOME)["data"] for name in [*names, API_CERTIFICATE]}
    trusted = rest.get(APISERVICE, subresources.API_SERVICE)["spec"]["caBundle"]
    assert trusted == found[API_CERTIFICATE]["ca.crt"], "what bm-api shows is what the API server trusts"
    return found


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
    assert there(rest, FLOWSCHEMA, "metalplane-console")

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
    assert not there(rest, APISERVICE, subresources.API_SERVICE), "or every namespace deletion would wait for it"
    assert not there(rest, FLOWSCHEMA, "metalplane-console")

    operator.install(VALUES)
    assert columns(rest) == before + 1, "what was kept is taken up again"
    operator.done("uninstall", RELEASE, f"--namespace={HOME}")
