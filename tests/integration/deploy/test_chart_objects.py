"""What the chart renders is what a real API server serves, and grants what the code needs and no more."""

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from provider.api import rights, subresources
from sandbox import inventory
from sandbox.apiserver import ApiServer
from tests.integration.deploy.helm import IMAGES, NAMESPACE, Helm, example, named
from tests.integration.deploy.openapi import LOCATION, write_schemas
from tests.integration.rest import Rest

Json = dict[str, Any]

PROMETHEUS = ("ServiceMonitor", "PrometheusRule")
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
    # The Prometheus operator's kinds have no schema here; tests of their own look at them.
    skipped = ("-skip", ",".join(PROMETHEUS))
    argv = [str(kubeconform), "-strict", "-summary", *skipped, "-schema-location", str(schemas / LOCATION), "-"]
    text = yaml.safe_dump_all(objects)
    return subprocess.run(argv, input=text, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)


@pytest.mark.parametrize("values", ["full", "crossplane"])
def test_kubeconform_finds_every_object_valid(helm: Helm, kubeconform: Path, schemas: Path, values: str) -> None:
    objects = helm.template(example(values))
    ended = checked(kubeconform, schemas, objects)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{len(objects)} resources found" in ended.stdout
    skipped = [obj for obj in objects if obj["kind"] in PROMETHEUS]
    assert f"Skipped: {len(skipped)}" in ended.stdout


def test_kubeconform_would_see_a_slip(helm: Helm, kubeconform: Path, schemas: Path) -> None:
    objects = helm.template(example("full"))
    named(objects, "DaemonSet", "metalplane-agent")["spec"]["template"]["spec"]["hostNetwrok"] = True
    named(objects, "ClusterProviderConfig", "default")["spec"]["powerPollIntervalSeconds"] = "often"
    ended = checked(kubeconform, schemas, objects)
    assert ended.returncode != 0
    assert "'hostNetwrok' not allowed" in ended.stdout
    assert "powerPollIntervalSeconds" in ended.stdout


@pytest.mark.parametrize(
    ("component", "figures"), [("provider", "metalplane-provider"), ("api", "metalplane-api-figures")]
)
def test_a_service_monitor_finds_the_figures_of_every_replica(helm: Helm, component: str, figures: str) -> None:
    objects = helm.template(example("full"))
    monitor = named(objects, "ServiceMonitor", f"metalplane-{component}")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    (endpoint,) = monitor["spec"]["endpoints"]
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    services = [obj for obj in objects if obj["kind"] == "Service" and wanted <= obj["metadata"]["labels"].items()]
    found = [(service, port) for service in services for port in service["spec"]["ports"]]
    ((service, port),) = [(service, port) for service, port in found if port["name"] == endpoint["port"]]
    assert (service["metadata"]["name"], endpoint["path"]) == (figures, "/metrics")
    pod = named(objects, "Deployment", f"metalplane-{component}")["spec"]["template"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert port["targetPort"] in [each["name"] for each in pod["spec"]["containers"][0]["ports"]]
    policy = named(objects, "NetworkPolicy", f"metalplane-{component}")
    assert {"ports": [{"port": 8080, "protocol": "TCP"}]} in policy["spec"]["ingress"]


def test_an_alert_names_the_apiservice_that_the_chart_makes(helm: Helm) -> None:
    objects = helm.template(example("full"))
    (service,) = [obj for obj in objects if obj["kind"] == "APIService"]
    rule = named(objects, "PrometheusRule", "metalplane-api")
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    ((alert,),) = [group["rules"] for group in rule["spec"]["groups"]]
    assert f'name="{service["metadata"]["name"]}"' in alert["expr"]
    assert alert["for"] == "2m"


def test_what_the_api_server_is_told_of_bm_api_is_what_the_sandbox_tells_it(helm: Helm) -> None:
    objects = helm.template(IMAGES)
    by_kind = {obj["kind"]: obj["spec"] for obj in inventory.aggregated_api(443, b"")}
    assert named(objects, "FlowSchema", "metalplane-console")["spec"] == by_kind["FlowSchema"]
    service = named(objects, "APIService", subresources.API_SERVICE)["spec"]
    assert {**service, "caBundle": ""} == by_kind["APIService"]
    (port,) = named(objects, "Service", service["service"]["name"], NAMESPACE)["spec"]["ports"]
    assert port["port"] == service["service"]["port"]


def test_bm_api_is_called_by_the_api_server_and_its_peers_and_calls_bmcs(helm: Helm) -> None:
    calls, bmcs = ["192.0.2.0/28"], ["198.51.100.0/24", "2001:db8::/64"]
    policy = named(helm.template(example("full")), "NetworkPolicy", "metalplane-api")["spec"]
    peers = {"podSelector": policy["podSelector"]}
    api_server = [{"ipBlock": {"cidr": cidr}} for cidr in calls]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    https = [{"port": 8443, "protocol": "TCP"}]
    assert {"ports": https, "from": [*api_server, peers]} in policy["ingress"]
    assert {"to": api_server, "ports": [{"protocol": "TCP"}]} in policy["egress"]
    assert {"to": [{"ipBlock": {"cidr": cidr}} for cidr in bmcs]} in policy["egress"]
    assert {"to": [peers], "ports": https} in policy["egress"]
    assert {"ports": [{"port": 4318, "protocol": "TCP"}]} in policy["egress"], "spans go to otlpEndpoint"
    anywhere = named(helm.template(IMAGES), "NetworkPolicy", "metalplane-api")["spec"]
    assert (anywhere["policyTypes"], anywhere["ingress"]) == (["Ingress"], [{"ports": https}])


def granted(objects: list[Json]) -> dict[tuple[str, str, str], set[tuple[str, str, str, str]]]:
    """Permissions by kind, namespace and name of each role."""
    return {
        (role["kind"], role["metadata"].get("namespace", ""), role["metadata"]["name"]): rights.permissions(
            role["rules"]
        )
        for role in objects
        if role["kind"] in ("Role", "ClusterRole")
    }


def test_the_chart_grants_what_the_sandbox_does(helm: Helm) -> None:
    chart = granted(helm.template({**example("full"), "dpus": [{"name": "dpu0"}]}))
    rights_of_all = (inventory.provider_rights(), inventory.api_rights(), inventory.tenant_roles())
    sandbox = granted([*(role for roles in rights_of_all for role in roles), *inventory.dpu_rights("dpu0")])
    assert chart == sandbox
    assert chart.keys() == {
        ("ClusterRole", "", "metalplane-provider"),
        ("ClusterRole", "", "metalplane-api"),
        ("ClusterRole", "", "metalplane:view"),
        ("ClusterRole", "", "metalplane:edit"),
        ("ClusterRole", "", "metalplane:admin"),
        ("ClusterRole", "", "metalplane:operator"),
        ("Role", NAMESPACE, "provider"),
        ("Role", NAMESPACE, "api"),
        ("Role", "metalplane-dpu-dpu0", "agent"),
        ("Role", "metalplane-dpu-dpu0", "provider"),
    }


def aggregated(objects: Iterable[Json]) -> dict[str, list[str]]:
    """The cluster's roles that each of ours becomes part of."""
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    return {
        role["metadata"]["name"]: [label.removeprefix(prefix) for label in labels]
        for role in objects
        if role["kind"] == "ClusterRole"
        and (labels := [label for label in role["metadata"].get("labels", {}) if label.startswith(prefix)])
    }


def test_the_clusters_roles_take_in_the_tenants_unless_the_operator_binds_these_himself(helm: Helm) -> None:
    into = {"metalplane:view": ["view"], "metalplane:edit": ["edit"], "metalplane:admin": ["admin"]}
    assert aggregated(helm.template(IMAGES)) == into
    assert aggregated(inventory.tenant_roles()) == into
    assert aggregated(helm.template({**IMAGES, "tenantRoles": False})) == {}


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
    api = (f"ServiceAccount {NAMESPACE}", "metalplane-api")
    by_user = subjects("user")
    assert by_user == {
        ("", "metalplane-provider"): provider,
        ("", "metalplane-api"): api,
        (NAMESPACE, "provider"): provider,
        (NAMESPACE, "api"): api,
        ("kube-system", "extension-apiserver-authentication-reader"): api,
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
    unknown = ("ClusterProviderConfig", *PROMETHEUS)
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
