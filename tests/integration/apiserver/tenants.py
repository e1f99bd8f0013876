"""Users with rights in a test's namespace."""

import ssl
from typing import Any

from provider.api.subresources import CONSOLE, GROUP, MACHINE
from tests.integration.apiserver.installed import InstalledApi
from tests.integration.apiserver.websockets import Door
from tests.integration.rest import Rest
from tests.integration.waiting import eventually

Json = dict[str, Any]

_RBAC = "rbac.authorization.k8s.io"
_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


def user(api: InstalledApi, name: str, role: str, namespace: str) -> Rest:
    """Whoever has that ClusterRole there, under a name of this namespace's own."""
    subject = {"kind": "User", "apiGroup": _RBAC, "name": f"{name}:{namespace}"}
    bind(api, name, {"kind": "ClusterRole", "name": role}, subject, namespace)
    return Rest.of_user(api.apiserver, subject["name"])


def token(api: InstalledApi, namespace: str) -> str:
    """Of an account that may edit what is there."""
    kubectl = api.apiserver.kubectl
    kubectl.run("create", "serviceaccount", "typist", f"--namespace={namespace}")
    account = {"kind": "ServiceAccount", "name": "typist", "namespace": namespace}
    bind(api, "typist", {"kind": "ClusterRole", "name": "edit"}, account, namespace)
    return kubectl.run("create", "token", "typist", f"--namespace={namespace}").strip()


def straight(api: InstalledApi, replica: str, namespace: str) -> Door:
    """Past the API server, to one replica, with the token of an account that may."""
    tls = ssl.create_default_context(cafile=str(api.apiserver.layout.pki / "api" / "ca.crt"))
    port = api.ports.api_peers[int(replica.removeprefix("api"))]
    return Door(("127.0.0.1", port), tls, {"Authorization": f"Bearer {token(api, namespace)}"})


def bind(api: InstalledApi, name: str, role: Json, subject: Json, namespace: str) -> None:
    """Bind a role, and wait until the API server knows it."""
    binding = {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": _RBAC, **role},
        "subjects": [subject],
    }
    api.apiserver.kubectl.apply([binding])
    who = subject["name"] if subject["kind"] == "User" else f"system:serviceaccount:{namespace}:{subject['name']}"
    # Every role that is bound here reads something of the group.
    eventually(lambda: any(_may(api, who, each, namespace) for each in ("seriallog", CONSOLE)), bool)


def _may(api: InstalledApi, who: str, subresource: str, namespace: str) -> bool:
    attributes = {
        "verb": "get",
        "group": GROUP,
        "resource": MACHINE.plural,
        "subresource": subresource,
        "namespace": namespace,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": who, "resourceAttributes": attributes},
    }
    return bool(api.rest.ask("POST", _REVIEWS, review).body["status"]["allowed"])
