"""The engine as a controller of machines.

Order, so that nothing leaks whenever it is killed: names first, then undesired children go, then the machine records
which children there will be, then each child is applied, then the status (as core 2.3, composition_functions.go).
"""

from collections.abc import Iterable, Sequence

from provider.api.conditions import Condition
from provider.api.names import ANNOTATION_PAUSED, FINALIZER_COMPOSITE, LABEL_COMPOSITE
from provider.api.resources import BAREMETALMACHINE, ResourceType
from provider.composition import children, composing, status
from provider.composition.children import CHILD_KINDS, MANAGER_COMPOSITE, Child
from provider.composition.composing import Composed
from provider.composition.errors import CompositionError, CompositionNotServed
from provider.composition.functions import FunctionRunner
from provider.composition.milestones import record_milestones
from provider.composition.pipeline import Pipeline
from provider.composition.requirements import WATCHED_KINDS, Requirements
from provider.composition.selection import check_selected
from provider.runtime.context import Runtime
from provider.runtime.controller import Json, Key, Lane, Outcome, RequeueAfter, Settled, Watch
from provider.runtime.errors import Forbidden, Invalid, NotFound

_REFUSED_RETRY_S = 30.0
_WORKERS = 4


class CompositionController:
    """Reconciles BareMetalMachines."""

    name = "composition"
    resource = BAREMETALMACHINE
    workers = _WORKERS

    def __init__(self, runtime: Runtime, pipeline: Pipeline, functions: FunctionRunner) -> None:
        self._runtime = runtime
        self._pipeline = pipeline
        self._functions = functions
        self._requirements = Requirements(runtime.cache)
        self.watches: Sequence[Watch] = (
            *(Watch(resource, _owning_machine) for resource in CHILD_KINDS),
            *(Watch(resource, self._interested(resource)) for resource in WATCHED_KINDS),
        )

    async def reconcile(self, key: Key) -> Outcome:
        """Compose one machine."""
        machine = self._runtime.cache.get(BAREMETALMACHINE, key)
        if machine is None:
            self._requirements.begin(key)
            return Settled()
        if machine["metadata"].get("annotations", {}).get(ANNOTATION_PAUSED) == "true":
            await self._report(machine, machine.get("status", {}), [status.paused(machine, self._runtime.clock())])
            return Settled()
        if "deletionTimestamp" in machine["metadata"]:
            await self._delete(key, machine)
            return Settled()
        try:
            check_selected(machine, self._pipeline)
        except CompositionNotServed as error:
            await self._fail(machine, error)
            return Settled()
        machine = await self._adopt(machine)
        try:
            composed = await self._compose(key, machine)
        except CompositionError as error:
            await self._fail(machine, error)
            raise
        whole = await self._carry_out(machine, composed)
        # What made the API server refuse a child (a quota, say) may go without any event of ours.
        return Settled() if whole else RequeueAfter(_REFUSED_RETRY_S, Lane.DRIFT)

    async def _compose(self, key: Key, machine: Json) -> Composed:
        self._requirements.begin(key)
        return await composing.compose(
            self._pipeline,
            machine,
            self._observed(machine),
            self._functions.run,
            lambda selector: self._requirements.fetch(key, selector),
            self._runtime.clock(),
        )

    async def _carry_out(self, machine: Json, composed: Composed) -> bool:
        """Whether the API server took all of it."""
        seen = self._observed(machine)
        wanted = [children.render(machine, each, seen.get(each.resource_name)) for each in composed.desired]
        for obj in children.garbage(seen, composed.desired):
            await self._remove(obj)
        recorded = await self._record(machine, wanted)
        if _asked_for(recorded) != _asked_for(machine):
            # Changed while it was composed, and composed anew at once: no condition may speak of what nobody looked at.
            return True
        machine = recorded
        refused = [problem for child in wanted if (problem := await self._apply(machine, child, seen)) is not None]
        for each in composed.news:
            self._runtime.events.record(machine, each.type, each.reason, each.message, topic="function")
        now = self._runtime.clock()
        synced = status.failed(machine, "; ".join(refused), now) if refused else status.succeeded(machine, now)
        ready = status.readiness(machine, composed.desired, composed.ready, now)
        record_milestones(self._runtime.tracer, machine, composed.status)
        await self._report(machine, composed.status, [*composed.conditions, ready, synced])
        return not refused

    async def _apply(self, machine: Json, child: Child, seen: dict[str, Json]) -> str | None:
        """Apply one child; the message if the API server refuses it as it stands, for then the others go on."""
        try:
            await self._runtime.client.apply(
                child.resource,
                child.manifest,
                field_manager=children.field_manager(machine),
                current=seen.get(child.resource_name),
            )
        except (Invalid, Forbidden) as error:
            self._runtime.events.record(machine, "Warning", composing.REASON, str(error), topic=child.resource_name)
            return str(error)
        return None

    async def _record(self, machine: Json, wanted: Sequence[Child]) -> Json:
        """Write down which children there will be, before any of them is made."""
        machinery = {
            "compositionRef": {"name": self._pipeline.composition},
            "resourceRefs": children.references(wanted),
        }
        identity = {
            "name": machine["metadata"]["name"],
            "namespace": machine["metadata"]["namespace"],
            "labels": {LABEL_COMPOSITE: children.composite_label(machine)},
        }
        intent: Json = {"metadata": identity, "spec": {"crossplane": machinery}}
        return await self._runtime.client.apply(
            BAREMETALMACHINE, intent, field_manager=MANAGER_COMPOSITE, current=machine
        )

    async def _report(self, machine: Json, body: Json, conditions: Iterable[Condition]) -> None:
        metadata = machine["metadata"]
        merged = status.compose(machine, body, conditions)
        intent: Json = {
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
            "status": merged,
        }
        try:
            await self._runtime.client.apply(
                BAREMETALMACHINE, intent, field_manager=MANAGER_COMPOSITE, subresource="status", current=machine
            )
        except NotFound:
            # The machine went while its status was computed: there is nobody left to tell.
            return

    async def _fail(self, machine: Json, error: CompositionError) -> None:
        self._runtime.events.record(machine, "Warning", composing.REASON, str(error))
        synced = status.failed(machine, str(error), self._runtime.clock())
        await self._report(machine, machine.get("status", {}), [synced])

    async def _adopt(self, machine: Json) -> Json:
        """Hold on to the machine before anything is made for it."""
        finalizers = machine["metadata"].get("finalizers", [])
        if FINALIZER_COMPOSITE in finalizers:
            return machine
        return await self._set_finalizers(machine, [*finalizers, FINALIZER_COMPOSITE])

    async def _delete(self, key: Key, machine: Json) -> None:
        """Ask all children to go and let go of the machine once they have. Their finalizers keep the order."""
        if FINALIZER_COMPOSITE not in machine["metadata"].get("finalizers", ()):
            return
        seen = self._observed(machine)
        for obj in seen.values():
            await self._remove(obj)
        if seen or await self._left_over(machine):
            await self._report_deletion(key, machine, seen)
            return
        kept = [each for each in machine["metadata"]["finalizers"] if each != FINALIZER_COMPOSITE]
        await self._set_finalizers(machine, kept)

    async def _report_deletion(self, key: Key, machine: Json, seen: dict[str, Json]) -> None:
        """The status of a machine that goes. The function words it; what it desires is not carried out any more."""
        body: Json = machine.get("status", {})
        conditions: tuple[Condition, ...] = ()
        try:
            composed = await self._compose(key, machine)
            body, conditions = composed.status, composed.conditions
        except CompositionError as error:
            self._runtime.events.record(machine, "Warning", composing.REASON, str(error))
        going = status.deleting(machine, seen, self._runtime.clock())
        await self._report(machine, body, [*conditions, going])

    async def _left_over(self, machine: Json) -> bool:
        """Children that the cache does not know yet: a finalizer must not be lifted on hearsay."""
        labels = {LABEL_COMPOSITE: children.composite_label(machine)}
        for resource in CHILD_KINDS:
            listed = await self._runtime.client.list(resource, machine["metadata"]["namespace"], labels=labels)
            for obj in children.observed(machine, listed).values():
                self._runtime.cache.observe(resource, obj)
                return True
        return False

    async def _remove(self, obj: Json) -> None:
        metadata = obj["metadata"]
        if "deletionTimestamp" not in metadata:
            resource = children.resource_type(obj)
            await self._runtime.client.delete(resource, metadata["name"], metadata["namespace"], uid=metadata["uid"])

    async def _set_finalizers(self, machine: Json, finalizers: list[str]) -> Json:
        metadata = machine["metadata"]
        return await self._runtime.client.patch(
            BAREMETALMACHINE,
            metadata["name"],
            metadata["namespace"],
            {"metadata": {"finalizers": finalizers}},
            resource_version=metadata["resourceVersion"],
            field_manager=MANAGER_COMPOSITE,
        )

    def _observed(self, machine: Json) -> dict[str, Json]:
        uid = machine["metadata"]["uid"]
        owned = [obj for resource in CHILD_KINDS for obj in self._runtime.cache.by_owner(resource, uid)]
        return children.observed(machine, owned)

    def _interested(self, resource: ResourceType) -> "_ToKeys":
        return _ToKeys(self._requirements, resource)


class _ToKeys:
    """From a change of a kind to the machines whose functions asked for it."""

    def __init__(self, requirements: Requirements, resource: ResourceType) -> None:
        self._requirements = requirements
        self._resource = resource

    def __call__(self, _: Json) -> Iterable[Key]:
        return self._requirements.interested(self._resource)


def _asked_for(machine: Json) -> tuple[Json, bool]:
    """What others want of the machine: its spec without the engine's part, and whether it is to go."""
    wanted = {key: value for key, value in machine["spec"].items() if key != "crossplane"}
    return wanted, "deletionTimestamp" in machine["metadata"]


def _owning_machine(obj: Json) -> Iterable[Key]:
    for owner in obj["metadata"].get("ownerReferences", ()):
        if owner.get("controller") and owner["kind"] == BAREMETALMACHINE.kind:
            yield Key(obj["metadata"]["namespace"], owner["name"])
