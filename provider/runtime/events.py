"""Events (events.k8s.io/v1), posted only when something happened, never because something is still so.

Posting is a courtesy to whoever runs ``kubectl describe``: it never delays and never fails a reconcile.
"""

import asyncio
import logging
from collections import OrderedDict
from typing import Literal

from provider.api.resources import EVENT
from provider.runtime.client import KubeClient
from provider.runtime.controller import Json
from provider.runtime.errors import KubeError
from provider.runtime.lease import micro_time

_LOG = logging.getLogger(__name__)
_QUEUE_LIMIT = 10_000
_POSTED_AT_ONCE = 4
_REMEMBERED = 4096
_NOTE_LIMIT = 1024

EventType = Literal["Normal", "Warning"]


class EventRecorder:
    """Say the same thing about the same object twice in a row, and only the first is posted."""

    def __init__(self, client: KubeClient | None, *, controller: str, instance: str) -> None:
        self._client = client
        self._controller = controller
        self._instance = instance
        self._queue: asyncio.Queue[Json] = asyncio.Queue(_QUEUE_LIMIT)
        self._last: OrderedDict[tuple[str, str], tuple[str, str]] = OrderedDict()

    def record(
        self, regarding: Json, type_: EventType, reason: str, note: str, *, action: str = "Reconcile", topic: str = ""
    ) -> None:
        """Post that ``reason`` happened to ``regarding``. ``topic`` keeps unlike matters of one object apart."""
        if self._client is None:
            return
        metadata = regarding["metadata"]
        about, said = (metadata["uid"], topic), (reason, note)
        if self._last.get(about) == said:
            return
        self._last[about] = said
        self._last.move_to_end(about)
        if len(self._last) > _REMEMBERED:
            self._last.popitem(last=False)
        try:
            self._queue.put_nowait(self._event(regarding, type_, reason, note, action))
        except asyncio.QueueFull:
            _LOG.warning("event dropped object=%s reason=%s", metadata["name"], reason)

    def forget(self, regarding: Json, topic: str) -> None:
        """The matter is over: what was said of it last is news when it is said again."""
        self._last.pop((regarding["metadata"]["uid"], topic), None)

    async def run(self) -> None:
        """Post what was recorded, for ever. Events may overtake each other: each carries its own time."""
        await asyncio.gather(*(self._post() for _ in range(_POSTED_AT_ONCE)))

    async def _post(self) -> None:
        while self._client is not None:
            event = await self._queue.get()
            try:
                await self._client.create(EVENT, event, field_manager=self._controller)
            except KubeError as error:
                _LOG.debug("event not posted reason=%s error=%s", event["reason"], error)

    def _event(self, regarding: Json, type_: EventType, reason: str, note: str, action: str) -> Json:
        metadata = regarding["metadata"]
        # An event on a cluster-scoped object lives in "default" (events.k8s.io validation).
        namespace = metadata.get("namespace", "default")
        return {
            "metadata": {"generateName": f"{metadata['name'][:200].rstrip('.-')}-", "namespace": namespace},
            "eventTime": micro_time(),
            "type": type_,
            "reason": reason,
            "note": note[:_NOTE_LIMIT],
            "action": action,
            "reportingController": self._controller,
            "reportingInstance": self._instance[:128],
            "regarding": {
                "apiVersion": regarding["apiVersion"],
                "kind": regarding["kind"],
                "name": metadata["name"],
                "uid": metadata["uid"],
                **({"namespace": metadata["namespace"]} if "namespace" in metadata else {}),
            },
        }
