"""What the chart renders is what a real API server serves, and grants what the code needs and no more."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from provider.api import rights
from sandbox import inventory
from sandbox.apiserver import ApiServer
from tests.integration.deploy.helm import NAMESPACE, Helm, example, named
from tests.integration.deploy.openapi import LOCATION, write_schemas
from tests.integration.rest import Rest

Json = dict[str, Any]

_TIMEOUT_S = 60.0


@pytest.fixture(scope="module")
def schemas(rest: Rest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a control plane that has our kinds too."""
    directory = tmp_path_factory.mktemp("schemas")
    answer = rest.ask("GET", "/openapi/v2")
    assert not answer.refusal, answer.refusal
    assert write_schemas(answer.body, directory) > 100
    return directory


def checked(kubeconform: Path, schemas: Path, objects: list[Json]) -> subprocess.CompletedProcess[str]:
    # The Prometheus operator's kind has no schema here; a test of its own looks at it.
    skipped = ("-skip", "ServiceMonitor")
    argv = [str(kubeconform), "-strict", "-summary", *skipped, "-schema-location", str(schemas / LOCATION), "-"]
    text = yaml.safe_dump_all(objects)
    return subprocess.run(argv, input=text, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)


@pytest.mark.parametrize("values", ["full", "crossplane"])
def test_kubeconform_finds_every_object_valid(helm: Helm, kubeconform: Path, schemas: Path, values: str) -> None:
    objects = helm.template(example(values))
    ended = checked(kubeconform, schemas, objects)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{len(objects)} resources found" in ended.stdout
    monitors = [obj for obj in objects if obj["kind"] == "ServiceMonitor"]
    assert f"Skipped: {len(monitors)}" in ended.stdout


def test_kubeconform_would_see_a_slip(helm: Helm, kubeconform: Path, schemas: Path) -> None:
    objects = helm.template(example("full"))
    named(objects, "DaemonSet", "metalplane-agent")["spec"]["template"]["spec"]["hostNetwrok"] = True
    named(objects, "ClusterProviderConfig", "default")["spec"]["powerPollIntervalSeconds"] = "often"
    ended = checked(kubeconform, schemas, objects)
    assert ended.returncode != 0
    assert "'hostNetwrok' not allowed" in ended.stdout
    assert "powerPollIntervalSeconds" in ended.stdout


def test_a_service_monitor_finds_the_providers_figures(helm: Helm) -> None:
    objects = helm.template(example("full"))
    monitor = named(objects, "ServiceMonitor", "metalplane-provider")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    (endpoint,) = monitor["spec"]["endpoints"]
    service = named(objects, "Service", "metalplane-provider")
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    services = [obj for obj in objects if obj["kind"] == "Service"]
    assert [obj for obj in services if wanted <= obj["metadata"]["labels"].items()] == [service]
    (port,) = service["spec"]["ports"]
    assert (endpoint["port"], endpoint["path"]) == (port["name"], "/metrics")
    pod = named(objects, "Deployment", "metalplane-provider")["spec"]["template"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert port["targetPort"] in [each["name"] for each in pod["spec"]["containers"][0]["ports"]]
    policy = named(objects, "NetworkPolicy", "metalplane-provider")
    assert policy["spec"]["ingress"] == [{"ports": [{"port": 8080, "protocol": "TCP"}]}]


def granted(objects: list[Json]) -> dict[tuple[str, str, str], set[tuple[str, str, str, str]]]:
    """Permissions by kind, namespace and name of each role."""
    return {
        (role["kind"], role["metadata"].get("namespace", ""), role["metadata"]["name"]): rights.permissions(
            role["rules"]
        )
        for role in objects
        if role["kind"] in ("Role", "ClusterRole")
    }


def test_the_chart_grants_what_the_sandbox_does_and_nothing_beside_for_tenants(helm: Helm) -> None:
    chart = granted(helm.template({**example("full"), "dpus": [{"name": "dpu0"}], "tenantRoles": False}))
    sandbox = granted([*inventory.provider_rights(), *inventory.dpu_rights("dpu0")])
    assert chart == sandbox
    assert chart.keys() == {
        ("ClusterRole", "", "metalplane-provider"),
        ("Role", NAMESPACE, "provider"),
        ("Role", "metalplane-dpu-dpu0", "agent"),
        ("Role", "metalplane-dpu-dpu0", "provider"),
    }


def test_no_right_is_for_everything(helm: Helm) -> None:
    for permissions in granted(helm.template(example("full"))).values():
        assert not [permission for permission in permissions if "*" in permission]


def test_with_crossplane_the_provider_composes_nothing(helm: Helm) -> None:
    key = ("ClusterRole", "", "metalplane-provider")
    composing = granted(helm.template(example("full")))[key]
    beside = granted(helm.template(example("crossplane")))[key]
    assert composing - beside == rights.permissions(rights.engine())
    assert beside == rights.permissions(rights.provider())


def test_each_role_is_bound_to_one_identity(helm: Helm) -> None:
    def subjects(identity: str) -> dict[tuple[str, str], tuple[str, str]]:
        objects = helm.template({**example("full"), "dpuIdentity": identity})
        bindings = [obj for obj in objects if obj["kind"] in ("RoleBinding", "ClusterRoleBinding")]
        found = {}
        for binding in bindings:
            (subject,) = binding["subjects"]
            role = (binding["metadata"].get("namespace", ""), binding["roleRef"]["name"])
            found[role] = (f"{subject['kind']} {subject.get('namespace', '')}".strip(), subject["name"])
        return found

    provider = (f"ServiceAccount {NAMESPACE}", "metalplane-provider")
    by_user = subjects("user")
    assert by_user == {
        ("", "metalplane-provider"): provider,
        (NAMESPACE, "provider"): provider,
        ("metalplane-dpu-dpu0", "provider"): provider,
        ("metalplane-dpu-dpu1", "provider"): provider,
        ("metalplane-dpu-dpu0", "agent"): ("User", "metalplane:dpu:dpu0"),
        ("metalplane-dpu-dpu1", "agent"): ("User", "metalplane:dpu:dpu1"),
    }
    by_token = subjects("serviceAccount")
    changed = {role: subject for role, subject in by_token.items() if by_user[role] != subject}
    assert changed == {
        (namespace, "agent"): (f"ServiceAccount {namespace}", "agent")
        for namespace in ("metalplane-dpu-dpu0", "metalplane-dpu-dpu1")
    }


def test_a_dry_run_on_the_real_api_server_takes_every_object(helm: Helm, cluster: ApiServer) -> None:
    """Strictly: unknown and doubled fields are errors. Our own kinds are dry-run against their CRDs elsewhere."""
    unknown = ("ClusterProviderConfig", "ServiceMonitor")
    objects = [obj for obj in helm.template(example("full")) if obj["kind"] not in unknown]
    spaces = [obj for obj in objects if obj["kind"] == "Namespace"]
    home: Json = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    # A dry run makes nothing, so what is to lie in a namespace is tried in one that is there.
    moved = [
        {**obj, "metadata": {**obj["metadata"], "namespace": "default"}} if "namespace" in obj["metadata"] else obj
        for obj in objects
    ]
    told = cluster.kubectl.run(
        *("apply", "--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts", "--filename=-"),
        stdin=yaml.safe_dump_all([home, *moved]),
    )
    assert len(told.splitlines()) == len(moved) + 1
    assert len(spaces) == 2
