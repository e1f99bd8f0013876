"""Runs controllers: fill the cache, then work the queues, then watch; on the way out in the opposite order.

No reconcile starts before every watched kind was listed in full, so "not in the cache" means "not there". Later, a full
list every ``resync_s`` (and after each interruption of a stream) finds what the streams did not tell.
"""

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from provider.api.resources import ResourceType
from provider.runtime.context import Runtime
from provider.runtime.controller import Controller
from provider.runtime.dispatch import Dispatcher
from provider.runtime.errors import KubeError
from provider.runtime.polling import Poll
from provider.runtime.watching import Watcher

_LOG = logging.getLogger(__name__)
_RETRY_S = 2.0
_RELIST_SETTLES_S = 1.0


@dataclass(frozen=True)
class ShellSettings:
    """Times in seconds. ``polls``: the kinds that are listed in an own rhythm, and not watched."""

    resync_s: float = 900.0
    inactivity_s: float = 70.0
    drain_s: float = 10.0
    polls: Sequence[Poll] = ()


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
        self._polls = {poll.resource: poll for poll in settings.polls}
        self._watched = [rt for rt in self._dispatcher.kinds if rt not in self._polls]
        for rt in self._dispatcher.kinds:
            poll = self._polls.get(rt)
            runtime.cache.track(rt, poll.same if poll else None)

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
            *(asyncio.create_task(self._poll(poll), name=f"poll {rt.plural}") for rt, poll in self._polls.items()),
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
        poll = self._polls.get(rt)
        try:
            for namespace in scopes:
                page = await self._runtime.client.list_page(rt, namespace, fields=poll.fields if poll else None)
                self._runtime.cache.replace(rt, page.items, page.resource_version, namespace)
        except KubeError as error:
            _LOG.warning("list failed kind=%s error=%s", rt.kind, error)
            return False
        if poll is not None:
            poll.listed()
        return True

    async def _poll(self, poll: Poll) -> None:
        while True:
            await asyncio.sleep(poll.period_s)
            await self._list(poll.resource)

    async def _watch(self, unwatch: asyncio.Event, stop: asyncio.Event) -> None:
        watcher = Watcher(
            self._runtime.client.access,
            self._runtime.cache,
            self._watched,
            namespaces=self._namespaces,
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
            for rt in self._watched:
                await self._list(rt)

    async def _drain(self, work: asyncio.Task[None]) -> None:
        # Reconciles that run may finish what they began; all of them could be killed as well.
        self._dispatcher.close()
        await asyncio.wait({work}, timeout=self._settings.drain_s)


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
