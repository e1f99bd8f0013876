"""References between siblings: a selector is resolved once, and the name found is written beside it."""

from dataclasses import dataclass

from provider.api.managed import Selector
from provider.api.meta import ObjectMeta
from provider.api.resources import ResourceType
from provider.runtime.cache import Cache
from provider.runtime.controller import Json


@dataclass(frozen=True, slots=True)
class ReferenceField:
    """``forProvider.<field>Ref`` and ``forProvider.<field>Selector``, which refer to an object of ``target``."""

    field: str
    target: ResourceType

    @property
    def reference(self) -> str:
        """Name of the reference's field."""
        return f"{self.field}Ref"

    @property
    def selector(self) -> str:
        """Name of the selector's field."""
        return f"{self.field}Selector"


def resolve(cache: Cache, metadata: ObjectMeta, selector: Selector, target: ResourceType) -> str | None:
    """Name of the first object, in order of names, of the same namespace that the selector matches."""
    owner = metadata.controller_uid
    if selector.match_controller_ref and owner is None:
        return None
    labels = selector.match_labels or {}
    candidates = (
        cache.by_owner(target, owner)
        if selector.match_controller_ref and owner is not None
        else cache.list(target, metadata.namespace, labels)
    )
    names = [
        candidate["metadata"]["name"]
        for candidate in candidates
        if candidate["metadata"].get("namespace") == metadata.namespace
        and labels.items() <= candidate["metadata"].get("labels", {}).items()
    ]
    return min(names, default=None)


def resolved(cache: Cache, obj: Json, metadata: ObjectMeta, fields: tuple[ReferenceField, ...]) -> dict[str, Json]:
    """The references that are to stand in ``forProvider`` because a selector found them."""
    parameters = obj["spec"]["forProvider"]
    found: dict[str, Json] = {}
    for field in fields:
        if field.selector not in parameters:
            continue
        present = parameters.get(field.reference)
        name = present["name"] if present else _find(cache, metadata, parameters[field.selector], field.target)
        if name is not None:
            found[field.reference] = {"name": name}
    return found


def _find(cache: Cache, metadata: ObjectMeta, selector: Json, target: ResourceType) -> str | None:
    return resolve(cache, metadata, Selector.model_validate(selector), target)
