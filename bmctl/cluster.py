"""The one door to the Kubernetes API, our aggregated API among it: plain reads, writes and watches, as one user.

Every answer is the API server's JSON; failures are errors of ``bmctl.errors``, which say what was attempted.
"""

import os
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bmctl import refusals
from bmctl.connection import Connection, ConnectionFailed, Lines, Response, Told
from bmctl.errors import BmctlError, UsageError
from provider.api import subresources
from provider.api.resources import ResourceType
from provider.runtime.errors import ConfigurationError
from provider.runtime.kubeconfig import ClusterAccess, Overrides, find

Json = dict[str, Any]
Objects = list[Json]
Query = tuple[tuple[str, str], ...]

DRY_RUN: Query = (("dryRun", "All"),)

_ANSWER_TIMEOUT_S = 30.0
_ITEMS_AT_ONCE = 500
_FIELD_MANAGER = "bmctl"


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """What the user said about which cluster to speak to, and how; None is kubectl's default."""

    kubeconfig: str | None = None
    overrides: Overrides = field(default_factory=Overrides)
    request_timeout_s: float | None = _ANSWER_TIMEOUT_S
    told: Told | None = None


class Cluster:
    """A connection to one API server, as one user."""

    def __init__(self, options: ClusterOptions, *, agent: str = "bmctl") -> None:
        try:
            self.access: ClusterAccess = find(options.kubeconfig, os.environ, options.overrides)
            self.connection = Connection(
                self.access, timeout_s=options.request_timeout_s, agent=agent, told=options.told
            )
            # Asked for now, so that it is told here, whatever is asked of the cluster first.
            self.connection.headers()
        except ConfigurationError as error:
            raise unreadable(error) from error
        except (ssl.SSLError, ValueError) as error:
            raise BmctlError(
                "Using the certificates and the server of the kubeconfig",
                " ".join(str(error).split()),
                "Check the kubeconfig's cluster and user; `kubectl config view` shows them.",
            ) from error
        self.namespace = self.access.namespace or "default"

    @property
    def server(self) -> str:
        """URL of the API server."""
        return self.access.server

    def get(self, resource: ResourceType, name: str, namespace: str | None = None) -> Json:
        """One object. Raises ``NotFoundError``, ``UsageError``."""
        return self.read(path(resource, namespace, name), f"Getting {resource.kind} {named(namespace, name)}")

    def list(
        self, resource: ResourceType, namespace: str | None = None, *, labels: Mapping[str, str] | str = ""
    ) -> list[Json]:
        """Objects of a namespace, or of all namespaces where ``namespace`` is None; ``labels`` is a selector."""
        return self.selected(resource, namespace, selector(labels))[0]

    def selected(self, resource: ResourceType, namespace: str | None, query: Query) -> tuple[Objects, str]:
        """Objects that a query selects, and the resource version to watch from."""
        where = f" in namespace {namespace}" if namespace else " in all namespaces"
        attempt = f"Listing {resource.plural}{where if resource.namespaced else ''}"
        query = (*query, ("limit", str(_ITEMS_AT_ONCE)))
        items: Objects = []
        more: Query = ()
        while True:
            page = self.read(path(resource, namespace), attempt, (*query, *more))
            # A list's items carry neither apiVersion nor kind.
            items += ({"apiVersion": resource.api_version, "kind": resource.kind, **item} for item in page["items"])
            if not page["metadata"].get("continue"):
                return items, page["metadata"].get("resourceVersion", "")
            more = (("continue", page["metadata"]["continue"]),)

    def create(self, resource: ResourceType, obj: Json, *, dry_run: bool = False) -> Json:
        """Make an object; with ``dry_run`` the API server only says what it would have made."""
        metadata = obj["metadata"]
        attempt = f"Creating {resource.kind} {named(metadata.get('namespace'), metadata['name'])}"
        query = (("fieldManager", _FIELD_MANAGER), *(DRY_RUN if dry_run else ()))
        return self._asked("POST", path(resource, metadata.get("namespace")), attempt, query, obj)

    def patch(self, resource: ResourceType, name: str, body: Json, attempt: str, namespace: str | None = None) -> Json:
        """Change some fields of an object (RFC 7386, JSON Merge Patch). Raises ``ConflictError``."""
        query = (("fieldManager", _FIELD_MANAGER),)
        form = "application/merge-patch+json"
        return self._asked("PATCH", path(resource, namespace, name), attempt, query, body, form)

    def act(
        self,
        verb: str,
        name: str,
        options: Json,
        attempt: str,
        *,
        resource: ResourceType = subresources.MACHINE,
        dry_run: bool = False,
    ) -> Json:
        """Ask bm-api for a verb of a machine, or of another ``resource``: its ActionResult."""
        where = path(resource, self.namespace, name, verb)
        body = {"apiVersion": subresources.API_VERSION, **options}
        return self._asked("POST", where, attempt, DRY_RUN if dry_run else (), body)

    def read(self, where: str, attempt: str, query: Query = ()) -> Json:
        """JSON at a path. ``attempt`` says in the user's words what this is for."""
        return self._asked("GET", where, attempt, query)

    def read_bytes(self, where: str, attempt: str, query: Query = ()) -> bytes:
        """What is at a path, as it is."""
        return self._answer("GET", where, attempt, query, accept="*/*").body

    def watch(self, resource: ResourceType, namespace: str | None, query: Iterable[tuple[str, str]]) -> Lines:
        """A watch's stream of events. One that is refused is an error."""
        attempt = f"Watching {resource.plural}"
        try:
            stream = self.connection.lines(path(resource, namespace), [("watch", "true"), *query])
        except ConnectionFailed as error:
            raise refusals.silent(attempt, self.server, error, changing=False) from error
        if stream.status != 200:
            body = stream.read()
            stream.end()
            raise refusals.refused(attempt, stream.status, body)
        return stream

    def _asked(
        self,
        method: str,
        where: str,
        attempt: str,
        query: Query,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json:
        answer = self._answer(method, where, attempt, query, body, content_type)
        try:
            document = answer.json()
        except ValueError as error:
            raise BmctlError(
                attempt, f"{self.server} answered with something that is no JSON", "Is it an API server at all?"
            ) from error
        if not isinstance(document, dict):
            raise BmctlError(attempt, f"{self.server} answered with no object", "Is it an API server at all?")
        return document

    def _answer(
        self,
        method: str,
        where: str,
        attempt: str,
        query: Query,
        body: Json | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Response:
        try:
            answer = self.connection.request(
                method, where, query=query, body=body, content_type=content_type, accept=accept
            )
        except ConnectionFailed as error:
            changing = method != "GET" and error.sent
            raise refusals.silent(attempt, self.server, error, changing=changing) from error
        if answer.status >= 300:
            raise refusals.refused(attempt, answer.status, answer.body)
        return answer


def path(resource: ResourceType, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
    """URL path of a resource. Raises ``UsageError`` for what no object can be called."""
    try:
        return resource.path(namespace, name, subresource)
    except ValueError as error:
        raise UsageError("Reading the arguments", str(error)) from error


def named(namespace: str | None, name: str) -> str:
    """An object as messages name it."""
    return f"{namespace}/{name}" if namespace else name


def selector(labels: Mapping[str, str] | str) -> Query:
    """The query that selects by labels."""
    text = labels if isinstance(labels, str) else ",".join(f"{key}={value}" for key, value in labels.items())
    return (("labelSelector", text),) if text else ()


def unreadable(error: ConfigurationError) -> BmctlError:
    """An error of kubeconfig or credentials, in bmctl's words."""
    attempt = {"find": "Finding", "read": "Reading", "get credentials from": "Getting credentials from"}
    return BmctlError(
        f"{attempt.get(error.attempt, error.attempt)} {error.subject}",
        error.cause,
        "Name a kubeconfig with --kubeconfig or KUBECONFIG, and a context in it with --context.",
    )
