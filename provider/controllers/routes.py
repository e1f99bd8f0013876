"""From a changed object to the keys that it may concern. Level-triggered: too many is harmless, too few is a defect."""

from collections.abc import Sequence

from provider.api.resources import BAREMETALMACHINE, SERVERCLAIM, ResourceType
from provider.runtime.attribution import machine_uid_of
from provider.runtime.cache import Cache
from provider.runtime.controller import Json, Key, Watch


class Routes:
    """The ways from other kinds to the objects of ``resource``, by the machine that both belong to."""

    def __init__(self, cache: Cache, resource: ResourceType) -> None:
        self._cache = cache
        self._resource = resource

    def by_machine(self, *sources: ResourceType) -> Sequence[Watch]:
        """Siblings, and what is labelled with the machine's UID: concerns all of our kind of that machine."""
        return [Watch(source, self.siblings) for source in sources]

    def siblings(self, obj: Json) -> list[Key]:
        """Objects of our kind under the machine that ``obj`` belongs to."""
        uid = obj.get("spec", {}).get("machineRef", {}).get("uid") or machine_uid_of(obj)
        return [] if uid is None else self._of_machine(uid)

    def by_server(self, server: Json) -> list[Key]:
        """Objects of our kind under the machine that holds the server."""
        reference = server["spec"].get("claimRef")
        if not reference:
            return []
        claim = self._cache.get(SERVERCLAIM, Key(reference.get("namespace"), reference["name"]))
        return [] if claim is None else self.siblings(claim)

    def by_leaving_machine(self) -> Watch:
        """A machine concerns its children once it goes away; its other changes are its author's matter."""

        def leaving(machine: Json) -> list[Key]:
            return self.siblings(machine) if machine["metadata"].get("deletionTimestamp") else []

        return Watch(BAREMETALMACHINE, leaving)

    def all(self, _: Json) -> list[Key]:
        """Every object of our kind."""
        return [Key.of(obj) for obj in self._cache.list(self._resource)]

    def _of_machine(self, uid: str) -> list[Key]:
        return [Key.of(obj) for obj in self._cache.by_owner(self._resource, uid)]


def nobody(_: Json) -> list[Key]:
    """The kind is kept in the cache, and its changes concern nobody at once."""
    return []
