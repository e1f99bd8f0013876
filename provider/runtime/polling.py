"""Kinds that are listed every few seconds instead of watched, because most of their changes say nothing new.

A thousand agents renew their Leases two hundred times a second. One list of them costs less than two of those events.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from provider.api.registry import ResourceType
from provider.runtime.cache import Cache
from provider.runtime.client import KubeClient
from provider.runtime.controller import Json
from provider.runtime.errors import KubeError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Poll:
    """How one kind is polled, in all namespaces.

    ``same`` says whether two versions of an object mean the same, so that nobody need be told of the later one;
    ``listed`` is called after each complete list was taken in; ``fields`` is a field selector.
    """

    resource: ResourceType
    period_s: float
    same: Callable[[Json, Json], bool]
    listed: Callable[[], None]
    fields: str | None = None

    async def run(self, client: KubeClient, cache: Cache) -> None:
        """List for ever; a list that failed is logged, and the next one is taken in its turn."""
        while True:
            await asyncio.sleep(self.period_s)
            try:
                await self.look(client, cache)
            except KubeError as error:
                _LOG.warning("list failed kind=%s error=%s", self.resource.kind, error)

    async def look(self, client: KubeClient, cache: Cache) -> None:
        """List once. Raises ``KubeError``."""
        page = await client.list_page(self.resource, None, fields=self.fields)
        cache.replace(self.resource, page.items, page.resource_version, None)
        self.listed()
