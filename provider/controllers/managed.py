"""The contract of managed resources, kept once for all kinds, in Crossplane's order.

paused? -> policies valid? -> deleted without Delete: let go -> finalizer, external-name, references -> observe -> plan
-> create, update or delete -> status. (crossplane-runtime, ``pkg/reconciler/managed/reconciler.go``.)

A kind brings what is its own: what to observe and how to plan. Observing changes nothing; carrying out chooses nothing.
After actions the world is observed again at once, so one reconcile goes as far as it can without waiting.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Generic, Protocol, TypeVar

from provider.api.names import ANNOTATION_EXTERNAL_NAME, ANNOTATION_PAUSED, FINALIZER_MANAGED
from provider.api.reasons import Reason
from provider.api.resources import ResourceType
from provider.controllers import policies
from provider.controllers.references import ReferenceField, resolved
from provider.controllers.status import ManagedResource, Report, render
from provider.planning.action import Action, ApplyObject, CreateObject, DeleteObject, PatchObject, finalizers
from provider.planning.verdict import Plan, Verdict
from provider.runtime.context import Runtime
from provider.runtime.controller import Json, Key, Lane, Outcome, RequeueAfter, Settled, Watch
from provider.runtime.errors import AlreadyExists, Conflict, LeadershipLost, NotFound

M = TypeVar("M", bound=ManagedResource)
W = TypeVar("W")

_ROUNDS = 8
_EVENT_OF = {"Create": "Created", "Update": "Updated", "Delete": "Deleted"}
_FAULT, _PAUSED = "fault", "paused"
AnyPlan = Plan[Any]


class ManagedKind(Protocol[M, W]):
    """What is a kind's own."""

    resource: ResourceType
    references: tuple[ReferenceField, ...]
    watches: Sequence[Watch]
    workers: int

    def parse(self, raw: Json) -> M:
        """The model of an object."""
        ...

    def external_name(self, obj: M) -> str:
        """The name that the external resource is to have."""
        ...

    def external_name_fault(self, obj: M) -> str | None:
        """Why the external-name that a user set is refused."""
        ...

    async def observe(self, obj: M) -> W:
        """All that the plan depends on."""
        ...

    def plan(self, world: W) -> AnyPlan:
        """What to do about it."""
        ...

    async def carry_out(self, action: Action, obj: M) -> None:
        """Do one thing."""
        ...

    def forget(self, key: Key) -> None:
        """The object is gone: let go of what was kept in memory for it."""
        ...


class ManagedController(Generic[M, W]):
    """Reconciles one kind of managed resource (a ``provider.runtime.controller.Controller``)."""

    def __init__(self, runtime: Runtime, kind: ManagedKind[M, W]) -> None:
        self._runtime = runtime
        self._kind = kind
        self.resource = kind.resource
        self.name = f"metalplane-{kind.resource.kind.lower()}"
        self.watches = kind.watches
        self.workers = kind.workers

    async def reconcile(self, key: Key) -> Outcome:
        """One pass of the contract."""
        raw = self._runtime.cache.get(self.resource, key)
        if raw is None:
            self._kind.forget(key)
            return Settled()
        obj = self._kind.parse(raw)
        if obj.metadata.annotations.get(ANNOTATION_PAUSED) == "true":
            return await self._pause(raw)
        self._runtime.events.forget(raw, _PAUSED)
        allowed = policies.granted(obj.spec.management_policies)
        if allowed is None:
            return await self._refuse(raw, Reason.POLICY_INVALID, policies.fault(obj.spec.management_policies))
        if obj.metadata.deleting:
            if FINALIZER_MANAGED not in obj.metadata.finalizers:
                return Settled()
            if "Delete" not in allowed:
                return await self._let_go(raw)
        elif wrong := self._kind.external_name_fault(obj):
            return await self._refuse(raw, Reason.EXTERNAL_NAME_REFUSED, wrong)
        else:
            raw = await self._take_on(raw, obj)
        return await self._guarded(raw, allowed)

    async def _guarded(self, raw: Json, allowed: frozenset[str]) -> Outcome:
        try:
            return await self._work(raw, allowed)
        except (LeadershipLost, Conflict, AlreadyExists, NotFound):
            # The world moved on while we looked at it: nothing to tell anybody, look again.
            raise
        except Exception as error:
            verdict = Verdict("False", Reason.RECONCILE_ERROR, str(error) or type(error).__name__)
            await self._tell(self._latest(raw), Report(verdict))
            raise

    async def _work(self, raw: Json, allowed: frozenset[str]) -> Outcome:
        """Observe, plan and act until there is nothing left to do but wait."""
        for _ in range(_ROUNDS):
            obj = self._kind.parse(raw)
            plan = self._kind.plan(await self._observe(raw, obj))
            actions = [action for action in plan.actions if action.policy in allowed]
            plan = _withheld(plan, allowed)
            if plan.gone:
                return await self._let_go(raw)
            if not actions:
                return await self._settle(raw, plan)
            if plan.intent is not None:
                raw = await self._tell(raw, Report(plan.synced, plan.ready, plan.intent))
            if not await self._act(raw, obj, actions):
                raw = self._latest(raw)
                continue
            if plan.record is not None:
                plan = replace(plan, seen=plan.record, actions=(), record=None)
                raw = await self._tell(self._latest(raw), Report(plan.synced, plan.ready, plan.seen))
            if any(isinstance(action, DeleteObject) for action in actions):
                # What was asked to go may still stand in the cache; its event brings us back.
                return await self._settle(self._latest(raw), plan)
            raw = self._latest(raw)
        return RequeueAfter(1.0)

    async def _observe(self, raw: Json, obj: M) -> W:
        try:
            return await self._kind.observe(obj)
        except (LeadershipLost, Conflict, NotFound):
            raise
        except Exception as error:
            self._warn(raw, "CannotObserveExternalResource", str(error))
            raise

    async def _act(self, raw: Json, obj: M, actions: Sequence[Action]) -> bool:
        """Carry out in order; False if the plan turned out to rest on the past, and the next one will not."""
        for action in actions:
            try:
                await self._carry_out(raw, obj, action)
            except (Conflict, AlreadyExists):
                await self._look_again(action)
                return False
        return True

    async def _look_again(self, action: Action) -> None:
        """Read what somebody else has written, for the watch stream may be behind."""
        match action:
            case CreateObject(resource, body) | ApplyObject(resource, body):
                name, namespace = body["metadata"]["name"], body["metadata"].get("namespace")
            case PatchObject(resource, namespace, name):
                pass
            case _:
                return
        self._runtime.cache.observe(resource, await self._runtime.client.get(resource, name, namespace))

    async def _carry_out(self, raw: Json, obj: M, action: Action) -> None:
        try:
            await self._kind.carry_out(action, obj)
        except (LeadershipLost, Conflict, AlreadyExists, NotFound):
            raise
        except Exception as error:
            self._warn(raw, f"Cannot{action.policy}ExternalResource", str(error))
            raise
        if action.note:
            reason = f"{_EVENT_OF[action.policy]}ExternalResource"
            self._runtime.events.record(raw, "Normal", reason, action.note)

    async def _take_on(self, raw: Json, obj: M) -> Json:
        """Finalizer first, so that nothing is made outside that nobody would take away; all of it in one write."""
        metadata = obj.metadata
        body: Json = {
            "metadata": {
                "name": metadata.name,
                "namespace": metadata.namespace,
                # With its UID, so that an object that is gone by now is not made anew.
                "uid": metadata.uid,
                "finalizers": [FINALIZER_MANAGED],
                "annotations": {ANNOTATION_EXTERNAL_NAME: self._kind.external_name(obj)},
            }
        }
        references = resolved(self._runtime.cache, raw, metadata, self._kind.references)
        if references:
            body["spec"] = {"forProvider": references}
        return await self._runtime.client.apply(self.resource, body, field_manager=self.name, current=raw)

    async def _let_go(self, raw: Json) -> Outcome:
        action = finalizers(self.resource, raw, remove=FINALIZER_MANAGED, policy="Delete")
        if action is not None:
            await self._runtime.client.patch(
                self.resource,
                action.name,
                action.namespace,
                action.body,
                resource_version=action.resource_version,
                field_manager=self.name,
            )
        return Settled()

    async def _pause(self, raw: Json) -> Outcome:
        message = f"reconciliation is paused by annotation {ANNOTATION_PAUSED}: take it away to go on"
        await self._tell(raw, Report(Verdict("False", Reason.RECONCILE_PAUSED, message)))
        self._runtime.events.record(raw, "Normal", "ReconciliationPaused", message, topic=_PAUSED)
        return Settled()

    async def _refuse(self, raw: Json, reason: Reason, message: str) -> Outcome:
        await self._tell(raw, Report(Verdict("False", reason, message)))
        self._warn(raw, reason.value, message)
        return Settled()

    async def _settle(self, raw: Json, plan: AnyPlan) -> Outcome:
        await self._tell(raw, Report(plan.synced, plan.ready, plan.seen))
        if plan.synced.status == "False":
            self._warn(raw, plan.synced.reason.value, plan.synced.message)
        else:
            self._runtime.events.forget(raw, _FAULT)
        if plan.look_again_s is None:
            return Settled()
        # Polls of many objects must not fall into step.
        delay_s = plan.look_again_s * (random.uniform(0.85, 1.15) if plan.polled else 1.0)  # noqa: S311
        return RequeueAfter(delay_s, Lane.DRIFT if plan.polled else Lane.NEW)

    async def _tell(self, raw: Json, report: Report) -> Json:
        body = render(self.resource, raw, self._kind.parse(raw), report, self._runtime.clock())
        return await self._runtime.client.apply(
            self.resource, body, field_manager=self.name, subresource="status", current=raw
        )

    def _warn(self, raw: Json, reason: str, message: str) -> None:
        self._runtime.events.record(raw, "Warning", reason, message, topic=_FAULT)

    def _latest(self, raw: Json) -> Json:
        return self._runtime.cache.get(self.resource, Key.of(raw)) or raw


def _withheld(plan: AnyPlan, allowed: frozenset[str]) -> AnyPlan:
    """The plan with the truth about what managementPolicies keep it from doing."""
    missing = {action.policy for action in plan.actions} - allowed
    if not missing:
        return plan
    if "Create" in missing:
        message = "the external resource does not exist, and managementPolicies do not allow to create it"
        verdict = Verdict("False", Reason.RECONCILE_ERROR, message)
        return replace(
            plan,
            actions=(),
            intent=None,
            record=None,
            ready=Verdict("False", Reason.UNAVAILABLE, message),
            synced=verdict,
        )
    message = f"the external resource is not as desired, and managementPolicies do not allow {sorted(missing)}"
    return replace(plan, actions=(), intent=None, record=None, ready=Verdict("False", Reason.UNAVAILABLE, message))
