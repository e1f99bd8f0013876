"""The Kubernetes API: one asynchronous client per process, for every kind of the registry.

It decides nothing. A write asks ``guard`` first (are we still the leader?), stands as a client span in the trace of
whoever asked for it, and hands the answer to ``on_write`` (the cache), so that nobody has to wait for the watch stream
to see his own work. Reads, applies and deletes are repeated when the API server is busy or away; other writes are not,
because their outcome is unknown then: the caller observes again.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from provider.api.resources import ResourceType
from provider.runtime import apply as server_side_apply
from provider.runtime.controller import Json
from provider.runtime.errors import KubeError, NotFound
from provider.runtime.kubeconfig import ClusterAccess
from provider.runtime.tracing import Tracer
from provider.runtime.transport import CONTENT_APPLY, CONTENT_JSON, CONTENT_MERGE, Request, Transport

Objects = list[Json]
_PAGE = 500


@dataclass(frozen=True)
class Page:
    """A full list of one kind, consistent at ``resource_version``."""

    items: Objects
    resource_version: str


class KubeClient:
    """An asynchronous context manager; every method raises ``KubeError`` (see ``provider.runtime.errors``)."""

    def __init__(
        self,
        access: ClusterAccess,
        *,
        tracer: Tracer | None = None,
        guard: Callable[[], None] | None = None,
        on_write: Callable[[ResourceType, Json], None] | None = None,
        timeout_s: float = 30.0,
        user_agent: str = "metalplane",
    ) -> None:
        self._transport = Transport(access, timeout_s=timeout_s, user_agent=user_agent)
        self._tracer = tracer
        self._guard = guard
        self._on_write = on_write

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.close()

    @property
    def access(self) -> ClusterAccess:
        """Which API server this is, and how we log in there."""
        return self._transport.access

    async def get(self, rt: ResourceType, name: str, namespace: str | None = None) -> Json:
        """One object. Raises ``NotFound``."""
        return await self._read(f"read {rt.kind}", _subject(name, namespace), rt.path(namespace, name))

    async def list(
        self,
        rt: ResourceType,
        namespace: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        fields: str | None = None,
    ) -> Objects:
        """All objects of a kind: of one namespace, with all of ``labels``, matching a field selector, where given."""
        return (await self.list_page(rt, namespace, labels=labels, fields=fields)).items

    async def list_page(
        self,
        rt: ResourceType,
        namespace: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        fields: str | None = None,
    ) -> Page:
        """As ``list``, with the resource version of the whole. Items carry ``apiVersion`` and ``kind``."""
        query = {"limit": str(_PAGE)}
        if labels:
            query["labelSelector"] = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
        if fields:
            query["fieldSelector"] = fields
        items: Objects = []
        while True:
            answer = await self._read(f"list {rt.plural}", namespace or "", rt.path(namespace), query)
            items += [{"apiVersion": rt.api_version, "kind": rt.kind, **item} for item in answer["items"]]
            metadata = answer["metadata"]
            if not metadata.get("continue"):
                return Page(items, metadata["resourceVersion"])
            query["continue"] = metadata["continue"]

    async def until_changed(
        self, rt: ResourceType, name: str, namespace: str | None = None, *, since: str, within_s: float
    ) -> None:
        """Return once the object has changed since that resource version, or ``within_s`` later, or earlier.

        What it is by then has to be read: a watch that was cut tells nothing.
        """
        query = {
            "watch": "true",
            "fieldSelector": f"metadata.name={name}",
            "resourceVersion": since,
            "timeoutSeconds": f"{within_s:.0f}",
        }
        subject = _subject(name, namespace)
        watch = Request("GET", rt.path(namespace), f"watch {rt.kind}", subject, query, watched_s=within_s)
        await self._transport.send(watch, repeat=False)

    async def serves(self, rt: ResourceType) -> bool:
        """Whether the API server knows this kind."""
        path = f"/apis/{rt.api_version}" if rt.group else f"/api/{rt.version}"
        try:
            answer = await self._read("discover", rt.api_version, path)
        except NotFound:
            return False
        return any(entry["name"] == rt.plural for entry in answer["resources"])

    async def create(self, rt: ResourceType, obj: Json, *, field_manager: str) -> Json:
        """Make a new object. Raises ``AlreadyExists``."""
        path = rt.path(obj["metadata"].get("namespace"))
        return await self._write(rt, "create", "POST", path, obj, query={"fieldManager": field_manager})

    async def review(self, rt: ResourceType, spec: Json, *, subject: str) -> Json:
        """Ask something of the API server that leaves no object: a TokenReview, a SubjectAccessReview."""
        body = {"apiVersion": rt.api_version, "kind": rt.kind, "spec": spec}
        return await self._transport.send(Request("POST", rt.path(), "review", subject, body=body), repeat=True)

    async def replace(
        self, rt: ResourceType, obj: Json, *, subresource: str | None = None, field_manager: str | None = None
    ) -> Json:
        """Put ``obj`` in place of the version that its ``metadata.resourceVersion`` names. Raises ``Conflict``."""
        query = {"fieldManager": field_manager} if field_manager else {}
        return await self._write(rt, "replace", "PUT", _object_path(rt, obj, subresource), obj, query=query)

    async def apply(
        self,
        rt: ResourceType,
        obj: Json,
        *,
        field_manager: str,
        force: bool = True,
        subresource: str | None = None,
        current: Json | None = None,
        dry_run: bool = False,
    ) -> Json:
        """Server-side apply. With ``current``, nothing is sent (and ``current`` returned) where it would not change.

        ``dry_run``: the API server says what would come of it, and keeps nothing.
        """
        if current is not None and server_side_apply.holds(
            current, obj, field_manager=field_manager, subresource=subresource
        ):
            return current
        query = {"fieldManager": field_manager, "force": "true" if force else "false", **_dry(dry_run)}
        path = _object_path(rt, obj, subresource)
        return await self._write(rt, "apply", "PATCH", path, obj, query=query, content=CONTENT_APPLY, repeat=True)

    async def patch(
        self,
        rt: ResourceType,
        name: str,
        namespace: str | None,
        body: Json,
        *,
        subresource: str | None = None,
        resource_version: str | None = None,
        field_manager: str | None = None,
        dry_run: bool = False,
    ) -> Json:
        """JSON merge patch (RFC 7396); with ``resource_version`` a compare-and-swap that raises ``Conflict``."""
        metadata = {**body.get("metadata", {}), "name": name}
        if namespace is not None:
            metadata["namespace"] = namespace
        if resource_version is not None:
            metadata["resourceVersion"] = resource_version
        query = ({"fieldManager": field_manager} if field_manager else {}) | _dry(dry_run)
        path = rt.path(namespace, name, subresource)
        return await self._write(
            rt, "patch", "PATCH", path, {**body, "metadata": metadata}, query=query, content=CONTENT_MERGE
        )

    async def delete(
        self,
        rt: ResourceType,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        propagation: str = "Background",
    ) -> None:
        """Ask for an object to go; gone already is success. With ``uid`` only that one: a namesake stays (success)."""
        options: Json = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        subject = _subject(name, namespace)
        try:
            await self._send_write(rt, "delete", "DELETE", rt.path(namespace, name), subject, options, repeat=True)
        except NotFound:
            return
        except KubeError as error:
            if uid is None or error.status != 409 or await self._uid(rt, name, namespace) == uid:
                raise

    async def _uid(self, rt: ResourceType, name: str, namespace: str | None) -> str | None:
        try:
            uid: str = (await self.get(rt, name, namespace))["metadata"]["uid"]
        except NotFound:
            return None
        return uid

    async def _read(self, attempt: str, subject: str, path: str, query: Mapping[str, str] | None = None) -> Json:
        return await self._transport.send(Request("GET", path, attempt, subject, query or {}), repeat=True)

    async def _write(
        self,
        rt: ResourceType,
        verb: str,
        method: str,
        path: str,
        obj: Json,
        *,
        query: Mapping[str, str],
        content: str = CONTENT_JSON,
        repeat: bool = False,
    ) -> Json:
        subject = _subject(
            obj["metadata"].get("name") or obj["metadata"]["generateName"], obj["metadata"].get("namespace")
        )
        body = {"apiVersion": rt.api_version, "kind": rt.kind, **obj}
        return await self._send_write(
            rt, verb, method, path, subject, body, query=query, content=content, repeat=repeat
        )

    async def _send_write(
        self,
        rt: ResourceType,
        verb: str,
        method: str,
        path: str,
        subject: str,
        body: Json,
        *,
        query: Mapping[str, str] | None = None,
        content: str = CONTENT_JSON,
        repeat: bool = False,
    ) -> Json:
        request = Request(method, path, f"{verb} {rt.kind}", subject, query or {}, body, content, self._guard)
        with self._span(rt, verb, subject, method):
            answer = await self._transport.send(request, repeat=repeat)
        if self._on_write is not None and answer.get("kind") == rt.kind:
            self._on_write(rt, answer)
        return answer

    def _span(self, rt: ResourceType, verb: str, subject: str, method: str) -> AbstractContextManager[object]:
        # A write outside any provisioning (a Lease, an inventory object) belongs to no trace.
        if self._tracer is None or self._tracer.current() is None:
            return nullcontext()
        attributes = {"http.request.method": method, "k8s.resource": rt.plural, "k8s.object": subject}
        return self._tracer.span(f"kube {verb} {rt.kind}/{subject}", kind="client", attributes=attributes)


def _dry(run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if run else {}


def _object_path(rt: ResourceType, obj: Json, subresource: str | None) -> str:
    return rt.path(obj["metadata"].get("namespace"), obj["metadata"]["name"], subresource)


def _subject(name: str, namespace: str | None) -> str:
    return name if namespace is None else f"{namespace}/{name}"
