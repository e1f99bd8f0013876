"""From changes to reconciles: one work queue and a few workers for each controller."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from provider.api.resources import ResourceType
from provider.runtime.attribution import trace_of
from provider.runtime.context import Runtime
from provider.runtime.controller import Controller, Json, Key, RequeueAfter, Settled, Watch
from provider.runtime.errors import Conflict, LeadershipLost, MetalplaneError, NotFound
from provider.runtime.queue import WorkQueue

_LOG = logging.getLogger(__name__)
RECONCILE_TIMEOUT_S = 300.0


class Dispatcher:
    """Subscribes to the cache; ``run`` works the queues until ``drain``."""

    def __init__(self, controllers: Sequence[Controller], runtime: Runtime) -> None:
        self._runtime = runtime
        self._queues = [(controller, WorkQueue[Key](controller.workers)) for controller in controllers]
        self._routes: dict[ResourceType, list[Callable[[Json], None]]] = {}
        for controller, queue in self._queues:
            self._route(controller, queue)
            runtime.metrics.watch_queue(controller.name, queue.__len__)
        runtime.cache.subscribe(self._announced)

    @property
    def kinds(self) -> list[ResourceType]:
        """Every kind that some controller wants to hear of."""
        return list(self._routes)

    async def run(self) -> None:
        """Work until the queues are closed. Raises ``LeadershipLost``."""
        async with asyncio.TaskGroup() as group:
            for controller, queue in self._queues:
                for number in range(controller.workers):
                    group.create_task(self._work(controller, queue), name=f"{controller.name}-{number}")

    def close(self) -> None:
        """Start no more reconciles; those that run may finish."""
        for _, queue in self._queues:
            queue.close()

    @property
    def idle(self) -> bool:
        """Whether nothing is ready or running in any queue."""
        return all(queue.idle for _, queue in self._queues)

    def _route(self, controller: Controller, queue: WorkQueue[Key]) -> None:
        self._routes.setdefault(controller.resource, []).append(lambda obj: queue.add(Key.of(obj)))
        for watch in controller.watches:

            def enqueue(obj: Json, watch: Watch = watch) -> None:
                for key in _keys(watch, obj):
                    queue.add(key)

            self._routes.setdefault(watch.resource, []).append(enqueue)

    def _announced(self, rt: ResourceType, obj: Json) -> None:
        for enqueue in self._routes.get(rt, ()):
            enqueue(obj)

    async def _work(self, controller: Controller, queue: WorkQueue[Key]) -> None:
        while (key := await queue.get()) is not None:
            try:
                await self._reconcile(controller, queue, key)
            finally:
                queue.done(key)

    async def _reconcile(self, controller: Controller, queue: WorkQueue[Key], key: Key) -> None:
        what = f"controller={controller.name} kind={controller.resource.kind} object={key}"
        started = time.monotonic()
        try:
            outcome = await self._traced(controller, key)
        except LeadershipLost:
            raise
        except Exception as error:
            self._runtime.metrics.reconciled(controller.name, "failed", time.monotonic() - started)
            delay_s = queue.retry(key)
            self._log_failure(what, error, delay_s)
            if isinstance(error, NotFound | Conflict):
                await self._refresh(controller.resource, key)
            return
        queue.succeeded(key)
        took_s = time.monotonic() - started
        _LOG.debug("reconciled %s outcome=%r took_ms=%.1f", what, outcome, took_s * 1000)
        match outcome:
            case RequeueAfter(delay_s, lane):
                self._runtime.metrics.reconciled(controller.name, "requeued", took_s)
                queue.add_after(key, delay_s, lane)
            case Settled():
                self._runtime.metrics.reconciled(controller.name, "settled", took_s)

    async def _traced(self, controller: Controller, key: Key) -> RequeueAfter | Settled:
        obj = self._runtime.cache.get(controller.resource, key)
        trace = trace_of(obj) if obj is not None else None
        kind = controller.resource.kind
        attributes = {"k8s.resource": controller.resource.plural, "k8s.object": str(key)}
        with self._runtime.tracer.span(f"reconcile {kind}", trace=trace, attributes=attributes, lazy=True):
            async with asyncio.timeout(RECONCILE_TIMEOUT_S):
                return await controller.reconcile(key)

    def _log_failure(self, what: str, error: Exception, delay_s: float) -> None:
        # Our own errors tell their story in one sentence; anything else is a defect and needs its traceback.
        defect = not isinstance(error, MetalplaneError | TimeoutError)
        _LOG.warning("reconcile failed %s retry_in_s=%.1f error=%r", what, delay_s, str(error), exc_info=defect)

    async def _refresh(self, rt: ResourceType, key: Key) -> None:
        # The cache misled the controller: look at the object itself, so that the retry decides on what is.
        cache = self._runtime.cache
        try:
            cache.observe(rt, await self._runtime.client.get(rt, key.name, key.namespace))
        except NotFound:
            known = cache.get(rt, key)
            if known is not None:
                cache.forget(rt, known)
        except MetalplaneError as error:
            _LOG.debug("not refreshed kind=%s object=%s error=%s", rt.kind, key, error)


def _keys(watch: Watch, obj: Json) -> list[Key]:
    # A defect in to_keys must not stop the stream of changes.
    try:
        return list(watch.to_keys(obj))
    except Exception:
        _LOG.exception("watch failed kind=%s object=%s", obj.get("kind"), Key.of(obj))
        return []
