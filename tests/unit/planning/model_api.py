"""The smallest API server that a plan's actions can be carried out on, and the loop that carries them out."""

from collections.abc import Callable
from copy import deepcopy
from typing import TypeVar

from provider.api.resources import ResourceType
from provider.api.schema import ApiModel
from provider.planning.action import Action, ApplyObject, CreateObject, DeleteObject, PatchObject
from provider.planning.verdict import Plan
from tests.unit.planning.builders import DELETED, Json

Seen = TypeVar("Seen", bound=ApiModel)
Place = tuple[str, str | None, str]

_ROUNDS = 8


class ModelApi:
    """Objects with resource versions, generations, finalizers and UIDs, as Kubernetes keeps them."""

    def __init__(self) -> None:
        self._objects: dict[Place, Json] = {}
        self._version = 100

    def get(self, resource: ResourceType, name: str, namespace: str | None = None) -> Json | None:
        return self._objects.get((resource.kind, namespace, name))

    def put(self, resource: ResourceType, obj: Json) -> Json:
        """Make an object, or change it, as anybody else would."""
        metadata = obj["metadata"]
        place = (resource.kind, metadata.get("namespace"), metadata["name"])
        known = self._objects.get(place)
        self._version += 1
        fresh = {"uid": f"uid-{self._version}", "generation": 1}
        stored = deepcopy(obj)
        stored["metadata"] = fresh | stored["metadata"] | {"resourceVersion": str(self._version)}
        if known is not None and known.get("spec") != stored.get("spec"):
            stored["metadata"]["generation"] = known["metadata"]["generation"] + 1
        self._objects[place] = stored
        if stored["metadata"].get("deletionTimestamp") and not stored["metadata"].get("finalizers"):
            del self._objects[place]
        return stored

    def carry_out(self, action: Action) -> None:
        match action:
            case CreateObject(resource, body):
                assert self._at(resource, body["metadata"]) is None, "created twice"
                self.put(resource, body)
            case ApplyObject(resource, body):
                self._apply(resource, body)
            case PatchObject(resource, namespace, name, version, body):
                known = self._objects[resource.kind, namespace, name]
                assert known["metadata"]["resourceVersion"] == version, "patched what was not looked at"
                self.put(resource, merged(known, body))
            case DeleteObject(resource, namespace, name, uid):
                known = self._objects[resource.kind, namespace, name]
                assert known["metadata"]["uid"] == uid
                self.put(resource, merged(known, {"metadata": DELETED}))
            case _:
                raise AssertionError(f"{action} is not for an API server")

    def _apply(self, resource: ResourceType, body: Json) -> None:
        known = self._at(resource, body["metadata"])
        assert known is not None or "uid" not in body["metadata"], "what was deleted meanwhile is not made anew"
        self.put(resource, body if known is None else merged(known, body) | {"spec": body.get("spec")})

    def _at(self, resource: ResourceType, metadata: Json) -> Json | None:
        return self.get(resource, metadata["name"], metadata.get("namespace"))


def merged(current: Json, patch: Json) -> Json:
    """JSON merge patch (RFC 7396)."""
    result = dict(current)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


def at_rest(api: ModelApi, decide: Callable[[], Plan[Seen]]) -> Plan[Seen]:
    """Carry plans out until one asks for nothing; that one. Fails if that never comes."""
    for _ in range(_ROUNDS):
        plan = decide()
        if not plan.actions:
            return plan
        for action in plan.actions:
            api.carry_out(action)
    raise AssertionError(f"planning does not come to rest: {plan.actions}")
