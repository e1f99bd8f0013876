"""What clients are told is served: discovery and OpenAPI say the same as the table of routes."""

from collections.abc import Iterator
from typing import Any

from provider.api.subresources import API_VERSION, GROUP
from provider.apiserver import discovery, openapi
from provider.apiserver.routes import ROUTES

Json = dict[str, Any]


def test_both_forms_of_discovery_name_every_route_with_its_verbs() -> None:
    wanted = {(route.resource, route.subresource) for route in ROUTES}
    legacy = {tuple(entry["name"].split("/")): entry["verbs"] for entry in discovery.resources()["resources"]}
    (group,) = discovery.aggregated()["items"]
    (version,) = group["versions"]
    aggregated = {
        (parent["resource"], each["subresource"]): each["verbs"]
        for parent in version["resources"]
        for each in parent["subresources"]
    }
    assert legacy.keys() == aggregated.keys() == wanted
    assert legacy == aggregated
    for route in ROUTES:
        assert set(route.verbs) <= set(legacy[route.resource, route.subresource])


def test_what_is_posted_is_create_and_nothing_else() -> None:
    assert {route.verbs for route in ROUTES if route.method == "POST"} == {("create",)}


def test_the_aggregated_form_is_served_to_who_asks_for_it_first() -> None:
    kube_aggregator = (
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
    )
    assert discovery.wants_aggregated(kube_aggregator)
    assert not discovery.wants_aggregated("application/json")
    assert not discovery.wants_aggregated("application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList")


def test_both_openapi_documents_describe_every_route() -> None:
    for document in (openapi.v2(), openapi.v3()):
        for route in ROUTES:
            operation = document["paths"][route.path][route.method.lower()]
            assert operation["x-kubernetes-group-version-kind"]["group"] == GROUP
            assert operation["description"] == route.about
        ids = [
            operation["operationId"]
            for path in document["paths"].values()
            for verb, operation in path.items()
            if verb != "parameters"
        ]
        assert len(ids) == len(set(ids))


def test_every_reference_leads_somewhere() -> None:
    for document, root in ((openapi.v2(), "definitions"), (openapi.v3(), "schemas")):
        known = document["definitions"] if root == "definitions" else document["components"]["schemas"]
        references = list(_references(document))
        assert references
        assert {reference.rsplit("/", 1)[1] for reference in references} <= known.keys()


def test_a_kind_is_found_by_its_group_version_and_kind() -> None:
    kinds = {
        (entry["group"], entry["version"], entry["kind"])
        for schema in openapi.v3()["components"]["schemas"].values()
        for entry in schema["x-kubernetes-group-version-kind"]
    }
    assert (*API_VERSION.split("/"), "RestartOptions") in kinds


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)
