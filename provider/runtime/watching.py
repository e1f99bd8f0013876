"""kopf as our eyes: it logs in, lists, watches, reconnects, and notices streams that went silent.

It is kept to that. Its handlers here are ``on.event`` only, so it puts no finalizer, annotation, status or event on any
object; discovery of kinds and namespaces at run time is off, so it lists nothing but what it is told to.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import kopf

from provider.api.resources import ResourceType
from provider.runtime.cache import Cache
from provider.runtime.controller import Json
from provider.runtime.kubeconfig import ClusterAccess
from provider.runtime.outages import session_that_tells_lists
from provider.runtime.signals import stop_on_signals

_LOG = logging.getLogger(__name__)
_STOP_TIMEOUT_S = 5.0


class Watcher:
    """Feeds a cache from the watch streams of some kinds, in some namespaces or (None) in all of them."""

    def __init__(
        self,
        access: ClusterAccess,
        cache: Cache,
        kinds: Sequence[ResourceType],
        *,
        namespaces: Sequence[str] | None,
        inactivity_s: float,
        relisted: Callable[[ResourceType], None],
    ) -> None:
        self._access = access
        self._cache = cache
        self._kinds = kinds
        self._namespaces = namespaces
        self._relisted = relisted
        base = urlsplit(access.server).path.rstrip("/")
        self._lists = {base + rt.path(place): rt for rt in kinds for place in (None, *(namespaces or ()))}
        self._settings = _settings(inactivity_s)

    async def run(self, unwatch: asyncio.Event, stop: asyncio.Event) -> None:
        """Watch until ``unwatch`` is set. Raises what kopf could not recover from (such as a missing right).

        ``stop`` is what SIGTERM sets: the reconciles are drained then, and only after that nobody watches any more.
        """
        tasks = await kopf.spawn_tasks(
            registry=self._registry(),
            settings=self._settings,
            standalone=True,
            clusterwide=self._namespaces is None,
            namespaces=self._namespaces or (),
            stop_flag=unwatch,
        )
        stop_on_signals(stop)  # kopf has just put its own handlers in place of ours
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=_STOP_TIMEOUT_S)
        for task in done:
            task.result()

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry, id="login")(self._log_in)
        for rt in self._kinds:
            kopf.on.event(rt.group, rt.version, rt.plural, registry=registry, id=f"watch-{rt.plural}")(
                self._handler(rt)
            )
        return registry

    def _handler(self, rt: ResourceType) -> Callable[..., Any]:
        async def seen(event: Any, **_: Any) -> None:
            self._seen(rt, event["type"], event["object"])

        return seen

    def _seen(self, rt: ResourceType, type_: str | None, raw: Any) -> None:
        obj: Json = {"apiVersion": rt.api_version, "kind": rt.kind, **raw}
        if type_ == "DELETED":
            self._cache.forget(rt, obj)
        else:
            self._cache.observe(rt, obj)

    def _listed(self, path: str) -> None:
        # The stream was interrupted, and what went meanwhile is not told by it.
        rt = self._lists.get(path)
        if rt is not None:
            self._relisted(rt)

    async def _log_in(self, **_: Any) -> kopf.AiohttpSession:
        credentials = await asyncio.get_running_loop().run_in_executor(None, self._access.credentials)
        expires = credentials.expires_at
        return kopf.AiohttpSession(
            server=self._access.server,
            aiohttp_session=session_that_tells_lists(self._access, credentials, self._listed),
            expiration=None if expires is None else datetime.fromtimestamp(max(expires, time.time() + 5), UTC),
        )


class _Unkept(kopf.DiffBaseStorage):
    """kopf compares each object with how it was at the last event, by copies of all of it; nothing here asks for it."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:  # noqa: ARG002
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> None:  # noqa: ARG002
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """There is nothing to keep."""


def _settings(inactivity_s: float) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = _Unkept()
    settings.scanning.disabled = True
    settings.process.ultimate_exiting_timeout = None
    settings.watching.inactivity_timeout = inactivity_s
    settings.networking.request_timeout = 60.0
    return settings
