"""The agent's controllers on a model of the DPU, with an API server that only writes down what it is told."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from provider.api.names import FINALIZER_EMULATION
from provider.api.resources import EMULATEDDISK, EMULATEDNIC, ResourceType
from provider.runtime.cache import Cache
from provider.runtime.client import KubeClient
from provider.runtime.context import Runtime
from provider.runtime.controller import Controller, Json, Key, Outcome
from provider.runtime.errors import NotFound
from provider.runtime.tracing import Tracer
from tests.unit.dpu_handler.model_dpu import ModelDpu

NAMESPACE = "dpu0"
NOW = datetime(2026, 11, 24, tzinfo=UTC)
MACHINE = {"namespace": "tenant", "name": "one", "uid": "machine-uid"}


class Events:
    """Type, reason and note of each Event, by the object's name."""

    def __init__(self) -> None:
        self.recorded: list[tuple[str, str, str, str]] = []

    def record(self, regarding: Json, type_: str, reason: str, note: str) -> None:
        assert regarding["metadata"]["namespace"] == NAMESPACE, "the agent may write in its own namespace only"
        self.recorded.append((regarding["metadata"]["name"], type_, reason, note))


class ApiServer:
    """Keeps objects and Secrets; a status that is applied is in the cache at once."""

    def __init__(self) -> None:
        self.cache = Cache()
        self.secrets: dict[str, Mapping[str, bytes]] = {}
        self.written: list[Json] = []
        self.events = Events()
        self._version = 0
        for kind in (EMULATEDDISK, EMULATEDNIC):
            self.cache.track(kind)

    def put(self, kind: ResourceType, obj: Json) -> Key:
        self._version += 1
        obj["metadata"]["resourceVersion"] = str(self._version)
        self.cache.observe(kind, obj)
        return Key.of(obj)

    async def apply(self, kind: ResourceType, obj: Json, *, current: Json, subresource: str, **_: Any) -> Json:
        assert subresource == "status", "who asked for a device, and why, is the provider's affair"
        self.written.append(obj["status"])
        changed = {**current, "metadata": dict(current["metadata"]), "status": obj["status"]}
        self.put(kind, changed)
        return changed

    async def get(self, kind: ResourceType, name: str, namespace: str) -> Json:
        if name not in self.secrets:
            raise NotFound("read", subject=f"Secret {namespace}/{name}", cause="it does not exist")
        data = {key: base64.b64encode(value).decode() for key, value in self.secrets[name].items()}
        return {"data": data}

    def runtime(self) -> Runtime:
        client, nobody = cast(KubeClient, self), cast(Any, SimpleNamespace())
        return Runtime(client, self.cache, Tracer("agent"), cast(Any, self.events), nobody, clock=lambda: NOW)


class Bench:
    """One controller at work on one object."""

    def __init__(self, kind: ResourceType, controller: Controller, api: ApiServer, model: ModelDpu) -> None:
        self._kind = kind
        self.controller = controller
        self.api = api
        self.model = model

    async def reconcile(self, key: Key) -> Outcome:
        return await self.controller.reconcile(key)

    def delete(self, key: Key) -> None:
        obj = self.api.cache.get(self._kind, key)
        assert obj is not None
        metadata = {**obj["metadata"], "deletionTimestamp": NOW.isoformat()}
        self.api.put(self._kind, {**obj, "metadata": metadata})

    def lose(self, key: Key) -> None:
        """The object is gone at once, as with its finalizers taken off by hand."""
        obj = self.api.cache.get(self._kind, key)
        assert obj is not None
        self.api.cache.forget(self._kind, obj)

    def force(self, key: Key) -> None:
        """The provider says that the removal waits for no operating system."""
        obj = self.api.cache.get(self._kind, key)
        assert obj is not None
        self.api.put(
            self._kind, {**obj, "metadata": dict(obj["metadata"]), "spec": obj["spec"] | {"forceUnplug": True}}
        )

    def conditions(self, key: Key) -> dict[str, tuple[str, str]]:
        """Status and message of each condition, by its type."""
        return {each["type"]: (each["status"], each.get("message", "")) for each in self.status(key)["conditions"]}

    def status(self, key: Key) -> Json:
        obj = self.api.cache.get(self._kind, key)
        assert obj is not None
        status: Json = obj["status"]
        return status


def device(kind: ResourceType, name: str, spec: Json) -> Json:
    """An object of the DPU's namespace as the provider made it."""
    metadata = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": f"uid-{name}",
        "generation": 1,
        "finalizers": [FINALIZER_EMULATION],
    }
    about = {"machineRef": MACHINE, "claimUID": "claim-uid"}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": about | spec}
