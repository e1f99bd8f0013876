"""The API server by plain HTTPS, as one user: for questions that kubectl would take a process each to ask."""

import http.client
import json
import ssl
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from provider.api.resources import ResourceType
from sandbox.apiserver import ApiServer

Json = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"
_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Status code and body of one response."""

    code: int
    body: Json

    @property
    def refusal(self) -> str:
        """What the API server said against the request; empty if it took it."""
        return "" if self.code < http.client.BAD_REQUEST else str(self.body["message"])


class Rest:
    """One request a connection; nothing to close."""

    def __init__(self, apiserver: ApiServer, credential: str = "admin") -> None:
        url = urlsplit(apiserver.control_plane.url)
        self.address = (url.hostname or "", url.port)
        directory = apiserver.layout.pki / "cluster"
        self.tls = ssl.create_default_context(cafile=str(directory / "ca.crt"))
        self.tls.load_cert_chain(directory / f"{credential}.crt", directory / f"{credential}.key")

    @classmethod
    def of_user(cls, apiserver: ApiServer, user: str, *, groups: tuple[str, ...] = ()) -> "Rest":
        """The API server as somebody else sees it."""
        credential = user.replace(":", "-")
        apiserver.control_plane.identity(apiserver.layout.files / f"{credential}.kubeconfig", user, groups=groups)
        return cls(apiserver, credential)

    def ask(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        content: str = "application/json",
        accept: str = "application/json",
    ) -> Answer:
        connection = http.client.HTTPSConnection(*self.address, timeout=_TIMEOUT_S, context=self.tls)
        with closing(connection):
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": content, "Accept": accept})
            response = connection.getresponse()
            answer = response.read()
            # An aggregated API that is down is told of in plain text.
            plain = response.headers.get_content_type() == "text/plain"
            return Answer(response.status, {"message": answer.decode()} if plain else json.loads(answer))

    def bytes_of(self, path: str) -> bytes:
        """What is read there, as it is."""
        connection = http.client.HTTPSConnection(*self.address, timeout=_TIMEOUT_S, context=self.tls)
        with closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            read = response.read()
            assert response.status == http.client.OK, read
            return read

    def dry_run_create(self, resource: ResourceType, obj: Json) -> Answer:
        """What creating the object would answer, unknown fields refused as kubectl has them refused."""
        path = resource.path(obj["metadata"].get("namespace"))
        return self.ask("POST", f"{path}?dryRun=All&fieldValidation=Strict", obj)

    def dry_run_replace(self, resource: ResourceType, obj: Json) -> Answer:
        path = resource.path(obj["metadata"].get("namespace"), obj["metadata"]["name"])
        return self.ask("PUT", f"{path}?dryRun=All&fieldValidation=Strict", obj)

    def create(self, resource: ResourceType, obj: Json) -> Json:
        return self._taken(self.ask("POST", resource.path(obj["metadata"].get("namespace")), obj))

    def get(self, resource: ResourceType, name: str, namespace: str | None = None) -> Json:
        return self._taken(self.ask("GET", resource.path(namespace, name)))

    def all_of(self, resource: ResourceType, namespace: str | None = None) -> list[Json]:
        items: list[Json] = self._taken(self.ask("GET", resource.path(namespace)))["items"]
        return items

    def patch(
        self, resource: ResourceType, obj: Json, body: Json, *, subresource: str | None = None, dry_run: bool = False
    ) -> Json:
        """Merge-patch the object."""
        metadata = obj["metadata"]
        path = resource.path(metadata.get("namespace"), metadata["name"], subresource)
        return self._taken(self.ask("PATCH", path + ("?dryRun=All" if dry_run else ""), body, content=MERGE_PATCH))

    def apply(self, resource: ResourceType, obj: Json, *, field_manager: str) -> Json:
        """Server-side apply: made where it is not there."""
        metadata = obj["metadata"]
        path = resource.path(metadata.get("namespace"), metadata["name"])
        query = f"?fieldManager={field_manager}&force=true"
        return self._taken(self.ask("PATCH", path + query, obj, content=APPLY_PATCH))

    def delete(self, resource: ResourceType, obj: Json) -> None:
        metadata = obj["metadata"]
        self._taken(self.ask("DELETE", resource.path(metadata.get("namespace"), metadata["name"])))

    def columns(self, resource: ResourceType) -> list[str]:
        """What ``kubectl get`` prints above a list, without ``-o wide``."""
        table = self._taken(self.ask("GET", resource.path(), accept=TABLE))
        return [column["name"] for column in table["columnDefinitions"] if column["priority"] == 0]

    @staticmethod
    def _taken(answer: Answer) -> Json:
        assert not answer.refusal, answer.refusal
        return answer.body
