"""Following objects until they are what was asked for: a list, then a watch, and anew when the watch ends.

An API server that does not answer for a while is waited for like anything else: what was asked for goes on without us.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bmctl.errors import BmctlError, NotFoundError, TimedOutError, UnreachableError
from bmctl.progress import Progress, State
from provider.api.names import LABEL_COMPOSITE
from provider.api.resources import BAREMETALMACHINE, ResourceType

if TYPE_CHECKING:
    from bmctl.cluster import Cluster, Query
    from bmctl.connection import Lines

Json = dict[str, Any]
Change = tuple[ResourceType, Json | None]

_TICK_S = 0.1
_ANEW_AFTER_S = 1.0


@dataclass(slots=True)
class Seen:
    """A machine and those of its children that are followed, as last seen."""

    machine: Json | None = None
    children: dict[str, Json] = field(default_factory=dict)
    listed: set[str] = field(default_factory=set)

    def put(self, resource: ResourceType, objects: list[Json]) -> None:
        """All objects of a kind that there are; ``listed`` are the kinds of children that were looked at."""
        if resource is BAREMETALMACHINE:
            self.machine = objects[0] if objects else None
            return
        self.listed.add(resource.kind)
        kept = {uid: obj for uid, obj in self.children.items() if obj["kind"] != resource.kind}
        self.children = kept | {obj["metadata"]["uid"]: obj for obj in objects}

    def owned(self) -> Iterator[Json]:
        """Children that this machine controls; a namesake of an earlier time may have left some."""
        uid = self.machine["metadata"]["uid"] if self.machine else None
        for child in self.children.values():
            owners = child["metadata"].get("ownerReferences", ())
            if any(owner.get("controller") and owner["uid"] == uid for owner in owners):
                yield child


@dataclass(frozen=True, slots=True)
class Goal:
    """What is waited for. ``state`` tells how far it is; ``failed`` why it will never be, if that is certain."""

    what: str
    reached: Callable[[Seen], bool]
    state: Callable[[Seen], State]
    kinds: tuple[ResourceType, ...] = ()
    failed: Callable[[Seen], str] = lambda _: ""
    gone_is_reached: bool = False


def wait(cluster: "Cluster", name: str, goal: Goal, timeout_s: float | None, progress: Progress) -> Seen:
    """Follow the machine until the goal. Raises ``TimedOutError``, ``NotFoundError`` where it was deleted meanwhile."""
    attempt = f"Waiting until {cluster.namespace}/{name} {goal.what}"
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    seen, known = Seen(), False
    with progress:
        for resource, objects in Feed(cluster, _queries(goal, name)).states(deadline, progress.tick):
            seen.put(resource, objects)
            if resource is BAREMETALMACHINE:
                known = known or seen.machine is not None
                if seen.machine is None and goal.gone_is_reached:
                    return seen
                if seen.machine is None:
                    raise NotFoundError(attempt, _absence(known), "`bmctl get -A` lists the machines that there are.")
            if seen.machine is None or not seen.listed.issuperset(kind.kind for kind in goal.kinds):
                continue
            if cause := goal.failed(seen):
                raise BmctlError(attempt, cause, f"`bmctl describe {name} -n {cluster.namespace}` has the whole story.")
            progress.show(goal.state(seen))
            if goal.reached(seen):
                return seen
    raise TimedOutError(
        attempt,
        f"not within {timeout_s:g} s; it is {progress.last or 'not seen yet'}",
        f"It goes on. `bmctl wait {name} -n {cluster.namespace}` waits longer, `bmctl describe {name}` tells more.",
    )


def _absence(known: bool) -> str:
    return "it was deleted meanwhile" if known else "there is no such machine"


def _queries(goal: Goal, name: str) -> "dict[ResourceType, Query]":
    queries: dict[ResourceType, Query] = {BAREMETALMACHINE: (("fieldSelector", f"metadata.name={name}"),)}
    return queries | dict.fromkeys(goal.kinds, (("labelSelector", f"{LABEL_COMPOSITE}={name}"),))


class Feed:
    """Objects of some kinds as they are now and whenever they change, each time all of a kind."""

    def __init__(self, cluster: "Cluster", queries: "dict[ResourceType, Query]", namespace: str | None = "") -> None:
        self._cluster = cluster
        self._queries = queries
        self._namespace = cluster.namespace if namespace == "" else namespace
        self._events: queue.Queue[Change] = queue.Queue()
        self._streams: dict[ResourceType, Lines] = {}
        self._objects: dict[ResourceType, dict[str, Json]] = {}

    def states(self, deadline: float | None, tick: Callable[[], None]) -> Iterator[tuple[ResourceType, list[Json]]]:
        """Ends at ``deadline`` (monotonic). ``tick`` is called ten times a second, for a screen that tells the time."""
        try:
            for resource in self._queries:
                yield resource, self._begin(resource)
            while deadline is None or time.monotonic() < deadline:
                tick()
                try:
                    resource, event = self._events.get(timeout=_TICK_S)
                except queue.Empty:
                    continue
                if event is None:
                    if (objects := self._anew(resource)) is not None:
                        yield resource, objects
                elif self._take(resource, event):
                    yield resource, list(self._objects[resource].values())
        finally:
            for stream in self._streams.values():
                stream.end()

    def _begin(self, resource: ResourceType) -> list[Json]:
        query = self._queries[resource]
        where = self._namespace if resource.namespaced else None
        objects, version = self._cluster.selected(resource, where, query)
        stream = self._cluster.watch(resource, where, [*query, ("resourceVersion", version)])
        self._streams[resource] = stream
        self._objects[resource] = {obj["metadata"]["uid"]: obj for obj in objects}
        threading.Thread(target=self._follow, args=(resource, stream), daemon=True).start()
        return objects

    def _follow(self, resource: ResourceType, stream: "Lines") -> None:
        import json

        for line in stream:
            with suppress(ValueError):
                self._events.put((resource, json.loads(line)))
        self._events.put((resource, None))

    def _anew(self, resource: ResourceType) -> list[Json] | None:
        """After a watch ended; None while the API server is away."""
        self._streams[resource].end()
        try:
            return self._begin(resource)
        except UnreachableError:
            timer = threading.Timer(_ANEW_AFTER_S, self._events.put, [(resource, None)])
            timer.daemon = True
            timer.start()
            return None

    def _take(self, resource: ResourceType, event: Json) -> bool:
        if event.get("type") == "ERROR":
            # Such as 410: the version that it was to begin from is gone. The stream ends, and all is listed anew.
            self._streams[resource].end()
            return False
        obj = {"apiVersion": resource.api_version, "kind": resource.kind, **event["object"]}
        objects = self._objects[resource]
        if event["type"] == "DELETED":
            objects.pop(obj["metadata"]["uid"], None)
        else:
            objects[obj["metadata"]["uid"]] = obj
        return True
