"""What plain clients see of the group."""

import json
from typing import Any

from provider.api.subresources import API_VERSION, GROUP
from provider.apiserver.routes import PREFIX, ROUTES
from tests.integration.apiserver.installed import InstalledApi
from tests.integration.waiting import eventually

Json = dict[str, Any]


def test_kubectl_finds_every_verb_by_get_raw(api: InstalledApi) -> None:
    listed = json.loads(api.apiserver.kubectl.run("get", f"--raw={PREFIX}"))
    assert (listed["kind"], listed["groupVersion"]) == ("APIResourceList", API_VERSION)
    assert {entry["name"] for entry in listed["resources"]} == {
        f"{route.resource}/{route.subresource}" for route in ROUTES
    }


def test_the_group_is_in_the_clusters_aggregated_discovery(api: InstalledApi) -> None:
    def groups() -> dict[str, Json]:
        accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        answer = api.rest.ask("GET", "/apis", accept=accept)
        return {item["metadata"]["name"]: item for item in answer.body["items"]}

    found = eventually(groups, lambda known: GROUP in known)
    (version,) = found[GROUP]["versions"]
    assert version["freshness"] == "Current"
    verbs = {(each["resource"], sub["subresource"]) for each in version["resources"] for sub in each["subresources"]}
    assert verbs == {(route.resource, route.subresource) for route in ROUTES}


def test_the_clusters_openapi_has_every_path(api: InstalledApi) -> None:
    v3 = eventually(
        lambda: api.rest.ask("GET", f"/openapi/v3/apis/{API_VERSION}").body, lambda body: bool(body.get("paths"))
    )
    assert {route.path for route in ROUTES} <= v3["paths"].keys()
    v2 = eventually(lambda: api.rest.ask("GET", "/openapi/v2").body["paths"], lambda paths: ROUTES[0].path in paths)
    assert {route.path for route in ROUTES} <= v2.keys()


def test_kubectl_posts_a_verb_by_itself(api: InstalledApi, namespace: str) -> None:
    machine = api.machine(namespace)
    path = f"{PREFIX}/namespaces/{namespace}/baremetalmachines/{machine['metadata']['name']}/stop"
    answer = json.loads(api.apiserver.kubectl.run("create", f"--raw={path}", "--filename=-", stdin="{}"))
    assert answer["action"] == "stop"
    assert api.now(machine)["spec"]["runStrategy"] == "Halted"
