"""A Kubernetes API in memory, with the client's face: what controllers are tried on without a server."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from provider.api.resources import ResourceType
from provider.runtime.cache import Cache
from provider.runtime.client import KubeClient
from provider.runtime.context import Runtime
from provider.runtime.controller import Json
from provider.runtime.errors import AlreadyExists, Conflict, KubeError, NotFound
from provider.runtime.events import EventRecorder
from provider.runtime.lease import Unopposed
from provider.runtime.tracing import Tracer

Place = tuple[ResourceType, str | None, str]


class ModelCluster(KubeClient):
    """Writes go into its cache at once, as they do in a process of ours. ``writes`` lists those that changed something.

    ``fail`` is raised, once, by the next write.
    """

    def __init__(self, *kinds: ResourceType) -> None:
        self.cache = Cache()
        for kind in kinds:
            self.cache.track(kind)
        self.writes: list[tuple[str, str, str, Json]] = []
        self.fail: KubeError | None = None
        self._objects: dict[Place, Json] = {}
        self._version = 100

    def runtime(self) -> Runtime:
        """What a controller is given."""
        return Runtime(self, self.cache, Tracer("test"), RecordedEvents(), Unopposed())

    def fail_next(self, failure: KubeError) -> None:
        """The next write fails so, once."""
        self.fail = failure

    def have(self, rt: ResourceType, obj: Json, *, unseen: bool = False) -> Json:
        """Somebody else writes an object; ``unseen``: the watch stream has not told us."""
        return self._store(rt, deepcopy(obj), unseen=unseen)

    def now(self, rt: ResourceType, name: str, namespace: str | None = None) -> Json | None:
        """An object as it is."""
        return self._objects.get((rt, namespace, name))

    def every(self, rt: ResourceType) -> list[Json]:
        """All objects of a kind as they are."""
        return [obj for (kind, _, _), obj in self._objects.items() if kind is rt]

    def tell_all(self) -> None:
        """Show everything to the cache, as a process does that starts."""
        for (rt, _, _), obj in self._objects.items():
            self.cache.observe(rt, obj)

    @property
    def version(self) -> int:
        """Rises with every change."""
        return self._version

    async def get(self, rt: ResourceType, name: str, namespace: str | None = None) -> Json:
        found = self.now(rt, name, namespace)
        if found is None:
            raise NotFound(f"read {rt.kind}", subject=name, status=404)
        return found

    async def list(
        self,
        rt: ResourceType,
        namespace: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        fields: str | None = None,
    ) -> Any:
        wanted = (labels or {}).items()
        return [
            obj
            for (kind, where, _), obj in self._objects.items()
            if kind is rt and namespace in (None, where) and wanted <= obj["metadata"].get("labels", {}).items()
        ]

    async def create(self, rt: ResourceType, obj: Json, *, field_manager: str) -> Json:
        self._about_to_write()
        if self._at(rt, obj) is not None:
            raise AlreadyExists(f"create {rt.kind}", subject=obj["metadata"]["name"], status=409)
        return self._note("create", rt, obj, obj)

    async def replace(
        self, rt: ResourceType, obj: Json, *, subresource: str | None = None, field_manager: str | None = None
    ) -> Json:
        self._about_to_write()
        self._check_version(rt, self._at(rt, obj), obj["metadata"]["resourceVersion"])
        return self._note("replace", rt, obj, obj)

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
        assert not dry_run, "nothing that runs on this model asks for one"
        known = self._at(rt, obj)
        if known is not None and _applied(known, obj) == known:
            return known
        self._about_to_write()
        if (known is None and subresource) or obj["metadata"].get("uid", _uid(known)) != _uid(known):
            raise Conflict(f"apply {rt.kind}", subject=obj["metadata"]["name"], status=409)
        return self._note(f"apply {subresource}" if subresource else "apply", rt, obj, _applied(known or {}, obj))

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
        assert not dry_run, "nothing that runs on this model asks for one"
        self._about_to_write()
        known = await self.get(rt, name, namespace)
        if resource_version is not None:
            self._check_version(rt, known, resource_version)
        return self._note("patch", rt, body, merged(known, body))

    async def delete(
        self,
        rt: ResourceType,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        propagation: str = "Background",
    ) -> None:
        self._about_to_write()
        known = self.now(rt, name, namespace)
        if known is not None and uid in (None, _uid(known)):
            gone = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
            self._note("delete", rt, {}, merged(known, gone))

    def _about_to_write(self) -> None:
        failure, self.fail = self.fail, None
        if failure is not None:
            raise failure

    def _check_version(self, rt: ResourceType, known: Json | None, version: str) -> None:
        if known is None or known["metadata"]["resourceVersion"] != version:
            raise Conflict(f"write {rt.kind}", subject=str(version), status=409)

    def _at(self, rt: ResourceType, obj: Json) -> Json | None:
        return self.now(rt, obj["metadata"]["name"], obj["metadata"].get("namespace"))

    def _note(self, verb: str, rt: ResourceType, body: Json, result: Json) -> Json:
        self.writes.append((verb, rt.kind, result["metadata"]["name"], body))
        return self._store(rt, deepcopy(result))

    def _store(self, rt: ResourceType, obj: Json, *, unseen: bool = False) -> Json:
        self._version += 1
        known, metadata = self._at(rt, obj), obj["metadata"]
        metadata.setdefault("uid", f"uid-{self._version}")
        metadata["resourceVersion"] = str(self._version)
        changed = known is not None and known.get("spec") != obj.get("spec")
        metadata["generation"] = (known or obj)["metadata"].get("generation", 1) + changed
        stored: Json = {"apiVersion": rt.api_version, "kind": rt.kind, **obj}
        place = (rt, metadata.get("namespace"), metadata["name"])
        self._objects[place] = stored
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            del self._objects[place]
        if not unseen:
            self.cache.observe(rt, stored)
        return stored


class RecordedEvents(EventRecorder):
    """Keeps what was said as (reason, note)."""

    def __init__(self) -> None:
        super().__init__(None, controller="test", instance="test")
        self.said: list[tuple[str, str]] = []

    def record(self, regarding: Json, type_: Any, reason: str, note: str, *, action: str = "", topic: str = "") -> None:
        self.said.append((reason, note))


def merged(current: Json, patch: Json) -> Json:
    """JSON merge patch (RFC 7396)."""
    result = dict(current)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = merged(result.get(key) or {}, value)
        else:
            result[key] = value
    return result


def _applied(known: Json, intent: Json) -> Json:
    """What a server-side apply would make of it; finalizers are a set, and a status is one author's."""
    result = merged(known, intent)
    if "status" in intent:
        result["status"] = intent["status"]
    for source in (known, intent):
        for name in source.get("metadata", {}).get("finalizers", ()):
            present = result["metadata"].get("finalizers", [])
            result["metadata"]["finalizers"] = present if name in present else [*present, name]
    return result


def _uid(obj: Json | None) -> str | None:
    return None if obj is None else obj["metadata"]["uid"]
