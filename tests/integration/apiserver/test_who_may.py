"""Who may do what: users by verbs by namespaces, through the real API server."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from provider.api.subresources import GROUP, MACHINE, POWERED_SERVER
from provider.apiserver.routes import ROUTES, SERVERS, Route
from sandbox.apiserver import ApiServer
from tests.integration.apiserver.installed import InstalledApi
from tests.integration.rest import Rest

Json = dict[str, Any]

OURS, THEIRS = "tenant-red", "tenant-blue"
_RBAC = "rbac.authorization.k8s.io"

OPTIONS: dict[str, Json] = {
    "addvolume": {"name": "scratch", "size": "1Gi"},
    "removevolume": {"name": "data"},
    "addnic": {"name": "eth9", "network": "blue"},
    "removenic": {"name": "eth1"},
    "expand": {"name": "data", "size": "3Gi"},
}

ROLES: dict[str, tuple[str, str | None]] = {
    "red:viewer": ("view", OURS),
    "red:editor": ("edit", OURS),
    "red:admin": ("admin", OURS),
    "blue:editor": ("edit", THEIRS),
    "rack:operator": ("metalplane:operator", None),
}
"""Users by the role that each has, and where: the cluster's own roles, which ours are aggregated to."""

VERBS = [route for route in ROUTES if not route.websocket]


@dataclass(frozen=True, slots=True)
class Estate:
    """A machine of each tenant, and everybody who may or may not touch it."""

    api: InstalledApi
    machines: dict[str, Json]
    users: dict[str, Rest]


@pytest.fixture(scope="module")
def estate(apiserver: ApiServer, api: InstalledApi) -> Iterator[Estate]:
    """Two tenants with a machine each."""
    objects: list[Json] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}} for namespace in (OURS, THEIRS)
    ]
    for user, (role, namespace) in ROLES.items():
        kind = "RoleBinding" if namespace else "ClusterRoleBinding"
        place = {"namespace": namespace} if namespace else {}
        objects.append(
            {
                "apiVersion": f"{_RBAC}/v1",
                "kind": kind,
                "metadata": {"name": user.replace(":", "-"), **place},
                "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
                "subjects": [{"kind": "User", "apiGroup": _RBAC, "name": user}],
            }
        )
    apiserver.kubectl.apply(objects)
    machines = {namespace: api.machine(namespace) for namespace in (OURS, THEIRS)}
    users = {user: Rest.of_user(apiserver, user) for user in [*ROLES, "nobody"]}
    yield Estate(api, machines, users)
    apiserver.kubectl.run("delete", "namespace", OURS, THEIRS, "--wait=false")


def may(user: str, route: Route, namespace: str) -> bool:
    """What docs/security.md says."""
    if route.resource == SERVERS:
        return user == "rack:operator"
    role, place = ROLES.get(user, ("", None))
    if place != namespace:
        return False
    return role in ("edit", "admin") or (role == "view" and route.method == "GET")


def served(route: Route) -> int:
    """What whoever may is answered: there is no such server, and a machine that holds none has no serial log."""
    if route.resource == SERVERS:
        return 404
    return 409 if route.subresource == "seriallog" else 200


@pytest.mark.parametrize("user", [*ROLES, "nobody"])
@pytest.mark.parametrize("namespace", [OURS, THEIRS])
def test_a_verb_is_for_whoever_has_a_role_in_its_namespace(estate: Estate, user: str, namespace: str) -> None:
    for route in VERBS:
        kind, name, place = MACHINE, estate.machines[namespace]["metadata"]["name"], namespace
        if route.resource == SERVERS:
            kind, name, place = POWERED_SERVER, "no-such-server", ""
        path = kind.path(place or None, name, route.subresource)
        body = {"action": "On"} if route.subresource == "power" else OPTIONS.get(route.subresource, {})
        dry = "?dryRun=All" if route.method == "POST" else ""
        answer = estate.users[user].ask(route.method, path + dry, body if route.method == "POST" else None)
        said = f"{user} {route.method} {path}: {answer.code} {answer.body}"
        if not may(user, route, namespace):
            assert (answer.code, answer.body["reason"]) == (403, "Forbidden"), said
            assert user in answer.body["message"], said
            assert GROUP in answer.body["message"], said
        else:
            assert answer.code == served(route), said


def test_a_dry_run_of_every_verb_changed_nothing(estate: Estate) -> None:
    for machine in estate.machines.values():
        assert estate.api.now(machine)["metadata"]["resourceVersion"] == machine["metadata"]["resourceVersion"]
        assert estate.api.request(machine) is None
