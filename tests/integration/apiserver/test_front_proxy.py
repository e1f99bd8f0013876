"""Who is believed: the API server's front proxy, and tokens. Nobody's headers."""

import http.client
import json
import socket
import ssl
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from provider.api.subresources import MACHINE, service_host
from provider.apiserver.routes import PREFIX
from sandbox import pki
from tests.integration.apiserver.direct import Direct
from tests.integration.apiserver.installed import InstalledApi
from tests.integration.rest import Rest

Json = dict[str, Any]

FORGED = {"X-Remote-User": "admin", "X-Remote-Group": "system:masters"}


def issued(api: InstalledApi, tmp_path: Path, authority: str, name: str) -> pki.Credential:
    """A certificate of one of the cluster's authorities, in a directory of the test's own."""
    known = api.apiserver.layout.pki / authority
    for part in ("ca.crt", "ca.key"):
        (tmp_path / part).write_bytes((known / part).read_bytes())
    return pki.Authority(tmp_path, authority).client("client", common_name=name, organizations=("system:masters",))


def test_headers_without_a_certificate_are_nobodys(api: InstalledApi) -> None:
    answer = Direct(api).ask("GET", PREFIX, FORGED)
    assert (answer.code, answer.body["reason"]) == (401, "Unauthorized")


def test_a_client_certificate_of_the_cluster_is_no_front_proxys(api: InstalledApi, tmp_path: Path) -> None:
    admin = issued(api, tmp_path, "cluster", "front-proxy-client")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Direct(api, admin).ask("GET", PREFIX, FORGED)


def test_another_name_of_the_front_proxys_authority_is_refused(api: InstalledApi, tmp_path: Path) -> None:
    other = issued(api, tmp_path, "front-proxy", "somebody-else")
    answer = Direct(api, other).ask("GET", PREFIX, FORGED)
    assert (answer.code, answer.body["reason"]) == (401, "Unauthorized")
    assert "somebody-else" in answer.body["message"]


def test_the_front_proxy_is_believed_and_must_name_somebody(api: InstalledApi, tmp_path: Path) -> None:
    proxy = Direct(api, issued(api, tmp_path, "front-proxy", "front-proxy-client"))
    assert proxy.ask("GET", PREFIX, {"X-Remote-User": "alice"}).code == 200
    assert proxy.ask("GET", PREFIX).code == 401


def test_a_header_that_a_client_forges_is_overwritten_on_the_way(api: InstalledApi, namespace: str) -> None:
    machine = api.machine(namespace)
    rest = Rest.of_user(api.apiserver, "mallory")
    path = MACHINE.path(namespace, machine["metadata"]["name"], "stop")
    connection = http.client.HTTPSConnection(*rest.address, timeout=10, context=rest.tls)
    with closing(connection):
        connection.request("POST", path, "{}", {"Content-Type": "application/json", **FORGED})
        response = connection.getresponse()
        answer = json.loads(response.read())
    assert (response.status, answer["reason"]) == (403, "Forbidden")
    assert "mallory" in answer["message"]


def test_a_token_is_asked_about_and_its_user_authorised(api: InstalledApi, namespace: str) -> None:
    machine = api.machine(namespace)
    path = MACHINE.path(namespace, machine["metadata"]["name"], "trace")
    kubectl = api.apiserver.kubectl
    kubectl.run("create", "serviceaccount", "reader", f"--namespace={namespace}")
    token = kubectl.run("create", "token", "reader", f"--namespace={namespace}").strip()
    bearer = {"Authorization": f"Bearer {token}"}
    refused = Direct(api).ask("GET", path, bearer)
    assert (refused.code, refused.body["reason"]) == (403, "Forbidden")
    assert f"system:serviceaccount:{namespace}:reader" in refused.body["message"]
    account = f"--serviceaccount={namespace}:reader"
    kubectl.run("create", "rolebinding", "reader", "--clusterrole=view", account, f"--namespace={namespace}")
    other = kubectl.run("create", "token", "reader", f"--namespace={namespace}", "--duration=1h").strip()
    assert Direct(api).ask("GET", path, {"Authorization": f"Bearer {other}"}).code in (200, 403)
    assert Direct(api).ask("GET", path, {"Authorization": "Bearer nonsense"}).code == 401
    assert Direct(api).ask("GET", path, {**bearer, "Impersonate-User": "admin"}).code == 403


def test_the_certificate_names_the_service(api: InstalledApi) -> None:
    context = ssl.create_default_context(cafile=str(api.apiserver.layout.pki / "api" / "ca.crt"))
    with (
        socket.create_connection(("127.0.0.1", api.ports.api), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=service_host()) as secured,
    ):
        assert secured.version() == "TLSv1.3"
