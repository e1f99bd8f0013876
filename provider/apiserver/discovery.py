"""What clients are told is served here, in both forms of Kubernetes' discovery. Derived from the table of routes.

Sources: ``metav1.APIGroup``, ``APIResourceList``; aggregated discovery ``apidiscovery.k8s.io/v2``, chosen by the Accept
header as kube-aggregator sends it (KEP-3352).
"""

from itertools import groupby
from typing import Any

from provider.api.subresources import API_VERSION, GROUP, VERSION
from provider.apiserver.routes import ROUTES, Route

Json = dict[str, Any]

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def wants_aggregated(accept: str) -> bool:
    """Whether an Accept header asks for the aggregated form before any other."""
    first = accept.split(",")[0].replace(" ", "")
    return {"g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"} <= set(first.split(";"))


def group() -> Json:
    """``/apis/GROUP``."""
    version = {"groupVersion": API_VERSION, "version": VERSION}
    return {"kind": "APIGroup", "apiVersion": "v1", "name": GROUP, "versions": [version], "preferredVersion": version}


def groups() -> Json:
    """``/apis``."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group()]}


def resources() -> Json:
    """``/apis/GROUP/VERSION``."""
    listed = [
        {
            "name": f"{resource}/{subresource}",
            "singularName": "",
            "namespaced": routes[0].namespaced,
            "kind": routes[0].kind,
            "verbs": _verbs(routes),
        }
        for (resource, subresource), routes in _by_subresource()
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": API_VERSION, "resources": listed}


def aggregated() -> Json:
    """``/apis`` in the aggregated form. The parents are served by another group, so they have no kind and no verbs."""
    parents = [
        {
            "resource": resource,
            "responseKind": {"group": "", "version": "", "kind": ""},
            "scope": "Namespaced" if subresources[0][1][0].namespaced else "Cluster",
            "singularResource": "",
            "verbs": [],
            "subresources": [_subresource(name, routes) for (_, name), routes in subresources],
        }
        for resource, subresources in _by_resource()
    ]
    version = {"version": VERSION, "resources": parents, "freshness": "Current"}
    item = {"metadata": {"name": GROUP}, "versions": [version]}
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [item],
    }


def _subresource(name: str, routes: list[Route]) -> Json:
    kind = {"group": GROUP, "version": VERSION, "kind": routes[0].kind}
    return {"subresource": name, "responseKind": kind, "verbs": _verbs(routes)}


def _verbs(routes: list[Route]) -> list[str]:
    return sorted({verb for route in routes for verb in route.verbs})


def _by_subresource() -> list[tuple[tuple[str, str], list[Route]]]:
    def place(route: Route) -> tuple[str, str]:
        return route.resource, route.subresource

    return [(key, list(routes)) for key, routes in groupby(sorted(ROUTES, key=place), place)]


def _by_resource() -> list[tuple[str, list[tuple[tuple[str, str], list[Route]]]]]:
    return [(key, list(each)) for key, each in groupby(_by_subresource(), lambda entry: entry[0][0])]
