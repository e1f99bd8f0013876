"""Finds what functions ask for, and remembers who asked, so that a machine is composed again when it appears."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from crossplane.function.proto.v1 import run_function_pb2 as fnv1

from provider.api.resources import INSTANCETYPE, MACHINEIMAGE, NETWORK, ResourceType
from provider.composition.errors import InvalidComposition
from provider.runtime.cache import Cache
from provider.runtime.controller import Key

Json = dict[str, Any]

WATCHED_KINDS = (INSTANCETYPE, MACHINEIMAGE, NETWORK)
"""Kinds that functions may ask for: those that the engine watches."""


class Requirements:
    """What each machine's functions asked for in their last run."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._asked: dict[Key, set[ResourceType]] = defaultdict(set)

    def begin(self, machine: Key) -> None:
        """A new run of the machine's pipeline."""
        self._asked.pop(machine, None)

    async def fetch(self, machine: Key, selector: fnv1.ResourceSelector) -> list[Json]:
        """Objects that the selector matches. Raises ``InvalidComposition`` for a kind that is not watched."""
        resource = _watched(selector)
        self._asked[machine].add(resource)
        if selector.HasField("match_name"):
            namespace = selector.namespace if resource.namespaced else None
            found = self._cache.get(resource, Key(namespace, selector.match_name))
            return [] if found is None else [found]
        return self._cache.list(resource, selector.namespace or None, dict(selector.match_labels.labels))

    def interested(self, resource: ResourceType) -> Iterable[Key]:
        """Machines whose functions asked for that kind."""
        return [machine for machine, asked in self._asked.items() if resource in asked]


def _watched(selector: fnv1.ResourceSelector) -> ResourceType:
    for resource in WATCHED_KINDS:
        if (selector.api_version, selector.kind) == (resource.api_version, resource.kind):
            return resource
    raise InvalidComposition(
        "fetch for a function",
        subject=f"{selector.kind} of {selector.api_version}",
        cause="the embedded engine serves only " + ", ".join(resource.kind for resource in WATCHED_KINDS),
    )
