"""Every watched object as last seen, and the one place from which changes are announced.

Level-triggered: readers get what is, never what happened. Writers are the watch streams, full lists (which also find
what a stream missed), and our own writes, so that a reconcile sees what the one before it wrote. Which of two versions
is newer is decided by ``metadata.resourceVersion``, which Kubernetes 1.35 and later promise to be comparable integers
within one kind (KEP-5504).

Objects are shared: a reader must not change them.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from provider.api.resources import ResourceType
from provider.runtime.apply import compact
from provider.runtime.controller import Json, Key

Listener = Callable[[ResourceType, Json], None]
Same = Callable[[Json, Json], bool]
Objects = list[Json]
_GRAVES = 8192


@dataclass(frozen=True, slots=True)
class Index:
    """What objects of a kind are found by beside their keys: ``values`` of one object, none or many."""

    resource: ResourceType
    values: Callable[[Json], Iterable[str]]


class Cache:
    """Objects by kind and key. Only the kinds it was told to ``track`` are kept; the rest pass unnoticed."""

    def __init__(self) -> None:
        self._objects: dict[ResourceType, dict[Key, Json]] = {}
        self._same: dict[ResourceType, Same] = {}
        self._indexes: dict[ResourceType, dict[Index, defaultdict[str, set[Key]]]] = {}
        self._by_owner: dict[ResourceType, Index] = {}
        self._by_namespace: dict[ResourceType, Index] = {}
        self._by_label: dict[ResourceType, Index] = {}
        self._graves: OrderedDict[str, None] = OrderedDict()
        self._listeners: list[Listener] = []

    def track(self, rt: ResourceType, same: Same | None = None) -> None:
        """Keep objects of this kind from now on. A version that is the ``same`` as the known one is not announced."""
        if same is not None:
            self._same[rt] = same
        if rt in self._objects:
            return
        self._objects[rt] = {}
        self._by_owner[rt] = Index(rt, _owner_uids)
        self._by_namespace[rt] = Index(rt, _namespaces)
        self._by_label[rt] = Index(rt, _labels)
        built_in = (self._by_owner[rt], self._by_namespace[rt], self._by_label[rt])
        self._indexes[rt] = {index: defaultdict(set) for index in built_in}

    def tracks(self, rt: ResourceType) -> bool:
        """Whether objects of this kind are kept."""
        return rt in self._objects

    def subscribe(self, listener: Listener) -> None:
        """Call ``listener`` with each object that is new, changed or gone (then with its last known state)."""
        self._listeners.append(listener)

    def get(self, rt: ResourceType, key: Key) -> Json | None:
        """The object, or None if there is none as far as we know."""
        return self._kind(rt).get(key)

    def list(self, rt: ResourceType, namespace: str | None = None, labels: Mapping[str, str] | None = None) -> Objects:
        """All objects of a kind, in one namespace and with all of ``labels`` where given; in order of their keys."""
        objects = self._kind(rt)
        found = [self._entry(self._by_label[rt], _label(*label)) for label in (labels or {}).items()]
        if namespace is not None:
            found.append(self._entry(self._by_namespace[rt], namespace))
        keys = set.intersection(*sorted(found, key=len)) if found else objects
        return [objects[key] for key in sorted(keys, key=_order)]

    def by_owner(self, rt: ResourceType, owner_uid: str) -> Objects:
        """Objects of a kind that have an owner reference to that UID."""
        self._kind(rt)
        return self.by(self._by_owner[rt], owner_uid)

    def by(self, index: Index, value: str) -> Objects:
        """Objects of the index' kind that have that value, in order of their keys. The first call builds the index."""
        objects = self._kind(index.resource)
        if index not in self._indexes[index.resource]:
            built: defaultdict[str, set[Key]] = defaultdict(set)
            self._indexes[index.resource][index] = built
            for key, obj in objects.items():
                for each in index.values(obj):
                    built[each].add(key)
        return [objects[key] for key in sorted(self._entry(index, value), key=_order)]

    def observe(self, rt: ResourceType, obj: Json) -> None:
        """Take in an object as a stream, a list or a write returned it. Older than what is known: ignored."""
        if rt not in self._objects:
            return
        metadata = obj["metadata"]
        if metadata["uid"] in self._graves:
            return
        if "deletionTimestamp" in metadata and not _finalizers(obj):
            # The answer to lifting the last finalizer; the object is gone with it.
            self.forget(rt, obj)
            return
        key = Key.of(obj)
        known = self._objects[rt].get(key)
        if known is not None and _version(known) >= _version(obj):
            return
        same = self._same.get(rt)
        obj = compact(obj)
        self._put(rt, key, obj)
        if known is None or same is None or not same(known, obj):
            self._announce(rt, obj)

    def forget(self, rt: ResourceType, obj: Json) -> None:
        """Take in that an object is gone. A namesake with another UID stays."""
        if rt not in self._objects:
            return
        uid = obj["metadata"]["uid"]
        self._bury(uid)
        key = Key.of(obj)
        known = self._objects[rt].get(key)
        if known is None or known["metadata"]["uid"] != uid:
            return
        self._drop(rt, key)
        self._announce(rt, obj)

    def touch(self, rt: ResourceType, key: Key) -> None:
        """Announce an object that has not changed, because something that it depends on has (a DPU fell silent)."""
        known = self._kind(rt).get(key)
        if known is not None:
            self._announce(rt, known)

    def replace(self, rt: ResourceType, objects: Iterable[Json], resource_version: str, namespace: str | None) -> None:
        """Take in a full list of one kind (of one namespace, if given) that was consistent at ``resource_version``."""
        listed: set[Key] = set()
        for obj in objects:
            listed.add(Key.of(obj))
            self.observe(rt, obj)
        as_of = int(resource_version)
        for key, known in list(self._kind(rt).items()):
            in_scope = namespace is None or key.namespace == namespace
            if in_scope and key not in listed and _version(known) <= as_of:
                self.forget(rt, known)

    def _kind(self, rt: ResourceType) -> dict[Key, Json]:
        try:
            return self._objects[rt]
        except KeyError:
            raise LookupError(f"{rt.kind} is not watched: add it to a controller's watches") from None

    def _put(self, rt: ResourceType, key: Key, obj: Json) -> None:
        self._drop(rt, key)
        self._objects[rt][key] = obj
        for index, entries in self._indexes[rt].items():
            for value in index.values(obj):
                entries[value].add(key)

    def _drop(self, rt: ResourceType, key: Key) -> None:
        known = self._objects[rt].pop(key, None)
        if known is None:
            return
        for index, entries in self._indexes[rt].items():
            for value in index.values(known):
                entries[value].discard(key)
                if not entries[value]:
                    del entries[value]

    def _entry(self, index: Index, value: str) -> set[Key]:
        return self._indexes[index.resource][index].get(value, set())

    def _bury(self, uid: str) -> None:
        # A write's answer may arrive after the stream's word that the object is gone; it must not rise again.
        self._graves[uid] = None
        if len(self._graves) > _GRAVES:
            self._graves.popitem(last=False)

    def _announce(self, rt: ResourceType, obj: Json) -> None:
        for listener in self._listeners:
            listener(rt, obj)


def _finalizers(obj: Json) -> list[Any]:
    """What keeps an object that is deleted. A Namespace has finalizers in its spec as well (NamespaceSpec, core/v1)."""
    return [*obj["metadata"].get("finalizers", ()), *obj.get("spec", {}).get("finalizers", ())]


def _version(obj: Json) -> int:
    return int(obj["metadata"]["resourceVersion"])


def _order(key: Key) -> tuple[str, str]:
    return key.namespace or "", key.name


def _namespaces(obj: Json) -> set[str]:
    namespace = obj["metadata"].get("namespace")
    return set() if namespace is None else {namespace}


def _labels(obj: Json) -> set[str]:
    return {_label(name, value) for name, value in obj["metadata"].get("labels", {}).items()}


def _label(name: str, value: str) -> str:
    return f"{name}={value}"


def _owner_uids(obj: Mapping[str, Any]) -> set[str]:
    return {owner["uid"] for owner in obj["metadata"].get("ownerReferences", ())}
