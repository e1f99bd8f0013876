"""Runs controllers: fill the cache, then work the queues, then watch; on the way out in the opposite order.

No reconcile starts before every watched kind was listed in full, so "not in the cache" means "not there". Later, a full
list every ``resync_s`` (and after each interruption of a stream) finds what the streams did not tell.
"""

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from provider.api.registry import ResourceType
from provider.runtime.context import Runtime
from provider.runtime.controller import Controller
from provider.runtime.dispatch import Dispatcher
from provider.runtime.errors import KubeError
from provider.runtime.watching import Watcher

_LOG = logging.getLogger(__name__)
_RETRY_S = 2.0
_RELIST_SETTLES_S = 1.0


@dataclass(frozen=True)
class ShellSettings:
    """Times in seconds. ``field_selectors`` narrow what is watched of a kind, such as one name."""

    resync_s: float = 300.0
    inactivity_s: float = 70.0
    drain_s: float = 10.0
    field_selectors: Mapping[ResourceType, str] = field(default_factory=dict)


async def run(
    controllers: Sequence[Controller],
    runtime: Runtime,
    *,
    namespaces: Sequence[str] | None,
    ready: asyncio.Event,
    stop: asyncio.Event,
    settings: ShellSettings | None = None,
) -> None:
    """Reconcile until ``stop`` is set; ``ready`` is set once reconciles run on a full cache.

    ``namespaces``: where namespaced kinds are watched; None is all of them. Raises ``LeadershipLost``, and whatever
    makes watching impossible.
    """
    await _Shell(controllers, runtime, namespaces, settings or ShellSettings()).run(ready, stop)


class _Shell:
    def __init__(
        self,
        controllers: Sequence[Controller],
        runtime: Runtime,
        namespaces: Sequence[str] | None,
        settings: ShellSettings,
    ) -> None:
        self._runtime = runtime
        self._namespaces = namespaces
        self._settings = settings
        self._dispatcher = Dispatcher(controllers, runtime)
        self._relisted: set[ResourceType] = set()
        self._relist = asyncio.Event()
        for rt in self._dispatcher.kinds:
            runtime.cache.track(rt)

    async def run(self, ready: asyncio.Event, stop: asyncio.Event) -> None:
        stopping = asyncio.create_task(stop.wait(), name="stop")
        prime = asyncio.create_task(self._prime(), name="prime")
        await asyncio.wait({stopping, prime}, return_when=asyncio.FIRST_COMPLETED)
        if not prime.done():
            await _cancel(prime)
            return
        prime.result()
        unwatch = asyncio.Event()
        work = asyncio.create_task(self._dispatcher.run(), name="work")
        tasks = {
            work,
            asyncio.create_task(self._watch(unwatch, stop), name="watch"),
            asyncio.create_task(self._resync(), name="resync"),
            asyncio.create_task(self._resync_relisted(), name="relist"),
        }
        ready.set()
        try:
            done, _ = await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            if stopping in done:
                await self._drain(work)
        finally:
            unwatch.set()
            await _cancel(stopping, *tasks)
        for task in done - {stopping}:
            task.result()

    async def _prime(self) -> None:
        for rt in self._dispatcher.kinds:
            while not await self._known(rt):
                _LOG.warning("waiting for kind=%s group=%s: the API server does not serve it", rt.kind, rt.api_version)
                await asyncio.sleep(_RETRY_S)
            while not await self._list(rt):  # noqa: ASYNC110  (what changes is not in this process)
                await asyncio.sleep(_RETRY_S)

    async def _known(self, rt: ResourceType) -> bool:
        try:
            return await self._runtime.client.serves(rt)
        except KubeError as error:
            _LOG.warning("discovery failed kind=%s error=%s", rt.kind, error)
            return False

    async def _list(self, rt: ResourceType) -> bool:
        scopes: Sequence[str | None] = (self._namespaces if rt.namespaced else None) or (None,)
        try:
            for namespace in scopes:
                fields = self._settings.field_selectors.get(rt)
                page = await self._runtime.client.list_page(rt, namespace, fields=fields)
                self._runtime.cache.replace(rt, page.items, page.resource_version, namespace)
        except KubeError as error:
            _LOG.warning("list failed kind=%s error=%s", rt.kind, error)
            return False
        return True

    async def _watch(self, unwatch: asyncio.Event, stop: asyncio.Event) -> None:
        watcher = Watcher(
            self._runtime.client.access,
            self._runtime.cache,
            self._dispatcher.kinds,
            namespaces=self._namespaces,
            field_selectors=self._settings.field_selectors,
            inactivity_s=self._settings.inactivity_s,
            relisted=self._note_relist,
        )
        await watcher.run(unwatch, stop)

    def _note_relist(self, rt: ResourceType) -> None:
        self._relisted.add(rt)
        self._relist.set()

    async def _resync_relisted(self) -> None:
        while True:
            await self._relist.wait()
            await asyncio.sleep(_RELIST_SETTLES_S)
            self._relist.clear()
            kinds, self._relisted = self._relisted, set()
            for rt in kinds:
                if not await self._list(rt):
                    self._note_relist(rt)

    async def _resync(self) -> None:
        while True:
            await asyncio.sleep(self._settings.resync_s * random.uniform(0.9, 1.1))  # noqa: S311  (spreads load)
            for rt in self._dispatcher.kinds:
                await self._list(rt)

    async def _drain(self, work: asyncio.Task[None]) -> None:
        # Reconciles that run may finish what they began; all of them could be killed as well.
        self._dispatcher.close()
        await asyncio.wait({work}, timeout=self._settings.drain_s)


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
