"""The one door to the Kubernetes API: kubeconfig, context and namespace as kubectl reads them, and plain reads.

Every read answers the API server's JSON; failures are errors of ``bmctl.errors``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bmctl.errors import BmctlError, ForbiddenError, NotFoundError, UnreachableError, UsageError

if TYPE_CHECKING:
    from provider.api.resources import ResourceType

Json = dict[str, Any]

_REQUEST_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """What the user said about which cluster to speak to; None is kubectl's default."""

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None


class Cluster:
    """A connection to one API server, as one user."""

    def __init__(self, options: ClusterOptions) -> None:
        # Imported here: the Kubernetes client costs more start-up time than all of bmctl.
        from kubernetes import config

        try:
            self._api = config.new_client_from_config(config_file=options.kubeconfig, context=options.context)
            _, active = config.list_kube_config_contexts(config_file=options.kubeconfig)
        except Exception as error:
            # The client takes a file for what it should be: one that is no YAML, or another document, a directory or
            # an address that is none fails wherever it happens to stumble.
            cause = " ".join(str(error).split()) or type(error).__name__
            if isinstance(error, (TypeError, AttributeError)):
                cause = f"it holds something else ({cause})"
            raise BmctlError(
                "Reading the kubeconfig",
                cause,
                "Name a kubeconfig with --kubeconfig or KUBECONFIG, and a context in it with --context.",
            ) from error
        context = active if options.context is None else self._context(options)
        self.namespace = options.namespace or context.get("context", {}).get("namespace") or "default"

    @staticmethod
    def _context(options: ClusterOptions) -> Json:
        from kubernetes import config

        contexts, _ = config.list_kube_config_contexts(config_file=options.kubeconfig)
        return next(context for context in contexts if context["name"] == options.context)

    @property
    def server(self) -> str:
        """URL of the API server."""
        return str(self._api.configuration.host)

    def get(self, resource: "ResourceType", name: str, namespace: str | None = None) -> Json:
        """One object. Raises ``NotFoundError``, ``UsageError``."""
        return self.read(_path(resource, namespace, name), f"Getting {resource.kind} {_named(namespace, name)}")

    def list(
        self, resource: "ResourceType", namespace: str | None = None, *, labels: Mapping[str, str] | None = None
    ) -> list[Json]:
        """Objects of a namespace, or of all namespaces where ``namespace`` is None."""
        where = f"in namespace {namespace}" if namespace else "in all namespaces"
        query = {"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items())} if labels else {}
        answer = self.read(_path(resource, namespace), f"Listing {resource.plural} {where}", query)
        # A list's items carry neither apiVersion nor kind.
        return [{"apiVersion": resource.api_version, "kind": resource.kind, **item} for item in answer["items"]]

    def read(self, path: str, attempt: str, query: Mapping[str, str] | None = None) -> Json:
        """JSON at ``path``. ``attempt`` says in the user's words what this is for."""
        from urllib3.exceptions import HTTPError

        method, url, headers, body, _ = self._api.param_serialize(
            "GET",
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        try:
            response = self._api.call_api(method, url, headers, body, _request_timeout=_REQUEST_TIMEOUT_S)
            data = response.read()
        except HTTPError as error:
            cause = str(getattr(error, "reason", None) or error)
            raise UnreachableError(
                attempt,
                f"the API server {self.server} did not answer: {cause}",
                "Check that the cluster is up and that the kubeconfig names it.",
            ) from error
        if response.status != 200:
            raise _refused(attempt, response.status, data)
        document: Json = json.loads(data)
        return document


def _path(resource: "ResourceType", namespace: str | None, name: str | None = None) -> str:
    try:
        return resource.path(namespace, name)
    except ValueError as error:
        raise UsageError("Reading the arguments", str(error)) from error


def _named(namespace: str | None, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name


def _refused(attempt: str, status: int, body: bytes) -> BmctlError:
    try:
        message = str(json.loads(body or "{}").get("message") or f"HTTP {status}")
    except ValueError:
        message = f"HTTP {status}"
    if status == 404:
        return NotFoundError(attempt, message, "Check the name and the namespace (-n); `bmctl get -A` lists them all.")
    if status == 401:
        return ForbiddenError(attempt, message, "Renew the credentials in the kubeconfig, or name another --context.")
    if status == 403:
        return ForbiddenError(attempt, message, "Ask an administrator for the right, or name another --context.")
    return BmctlError(attempt, message, "Try again; if it stays, look at the API server's log.")
