"""What most kinds of managed resources do the same way."""

from collections.abc import Sequence
from typing import Generic, TypeVar

from provider.api.emulation import TraceParent
from provider.api.names import ANNOTATION_EXTERNAL_NAME
from provider.api.resources import ResourceType
from provider.controllers.references import ReferenceField
from provider.controllers.status import ManagedResource
from provider.execution.objects import ObjectExecutor
from provider.planning.action import Action, ApplyObject, CreateObject, DeleteObject, PatchObject
from provider.runtime.context import Runtime
from provider.runtime.controller import Key, Watch

M = TypeVar("M", bound=ManagedResource)


class ObjectKind(Generic[M]):
    """A kind whose external resource is made of Kubernetes objects, under a name that is derived."""

    resource: ResourceType
    references: tuple[ReferenceField, ...] = ()
    workers: int = 4

    def __init__(self, runtime: Runtime) -> None:
        self.watches: Sequence[Watch] = ()
        self._runtime = runtime
        self._cache = runtime.cache
        self._objects = ObjectExecutor(runtime.client, f"metalplane-{self.resource.kind.lower()}")

    def external_name(self, obj: M) -> str:
        """Derived; where nothing speaks for another one it is the object's own name, as in Crossplane."""
        return obj.metadata.name

    def external_name_fault(self, obj: M) -> str | None:
        """A tenant who could choose the name could take over a neighbour's resource."""
        given = obj.metadata.annotations.get(ANNOTATION_EXTERNAL_NAME)
        derived = self.external_name(obj)
        if given is None or given == derived:
            return None
        return (
            f"the external-name of a {self.resource.kind} is derived: take away annotation {ANNOTATION_EXTERNAL_NAME} "
            f"({given!r}), or set it to {derived!r}"
        )

    async def carry_out(self, action: Action, obj: M) -> None:  # noqa: ARG002  (other kinds need the object)
        """Do one thing."""
        assert isinstance(action, CreateObject | ApplyObject | PatchObject | DeleteObject)
        await self._objects.carry_out(action)

    def forget(self, key: Key) -> None:
        """Nothing is kept in memory."""

    def _trace(self) -> TraceParent | None:
        """The span in hand, for others to hang theirs under."""
        current = self._runtime.tracer.current()
        if current is None or not current.trace_id or not current.parent_span_id:
            return None
        return TraceParent(trace_id=current.trace_id, parent_span_id=current.parent_span_id)
