"""Which replicas of the API server live, and where each is reached: one Lease for each, renewed every 5 s.

How long a Lease has been *seen* unrenewed counts, by our own clock; a time in which the API server did not answer
counts as one look, for nobody could renew then.
"""

import asyncio
import logging
from collections.abc import Callable

from provider.api.names import GROUP_PREFIX
from provider.api.resources import LEASE
from provider.runtime.client import KubeClient
from provider.runtime.clock import boot_time_s
from provider.runtime.controller import Json
from provider.runtime.errors import KubeError
from provider.runtime.lease import Heartbeat, LeaseFreshness

_LOG = logging.getLogger(__name__)

LABEL_LEASE = f"{GROUP_PREFIX}/lease"
ANNOTATION_ADDRESS = f"{GROUP_PREFIX}/address"
_KIND = "api-replica"
LOOK_EVERY_S = 5.0
_RELY_S = 10.0
"""For so long after a renewal we may rely on being seen alive: less than the 15 s after which others give us up."""

_FORGOTTEN_S = 600.0
"""So long after its end the Lease of a replica that did not take leave is deleted."""


class Replicas:
    """The others and ourselves. ``changed`` is called when somebody came or went."""

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        identity: str,
        address: str,
        *,
        clock: Callable[[], float] = boot_time_s,
    ) -> None:
        self.identity = identity
        self.changed: Callable[[], None] = lambda: None
        self._client = client
        self._namespace = namespace
        self._name = f"api-{identity}"
        self._clock = clock
        self._heartbeat = Heartbeat(
            client,
            namespace,
            self._name,
            identity,
            annotations={ANNOTATION_ADDRESS: address},
            labels={LABEL_LEASE: _KIND},
        )
        self._seen_until = float("-inf")
        self._watched_s = 0.0
        self._looked_at: float | None = None
        self._freshness = LeaseFreshness(lambda: self._watched_s)
        self._addresses: dict[str, str] = {}
        self._leaving = False

    @property
    def living(self) -> frozenset[str]:
        """Identities of those that live, ours among them unless we leave or are not seen."""
        others = frozenset(self._addresses) - {self.identity}
        return others | {self.identity} if self.is_seen else others

    @property
    def is_seen(self) -> bool:
        """Whether the others see us alive."""
        return not self._leaving and self._clock() < self._seen_until

    @property
    def is_known(self) -> bool:
        """Whether the others were looked for at all."""
        return self._looked_at is not None

    def address_of(self, identity: str) -> str | None:
        """HOST:PORT of a replica that lives."""
        return self._addresses.get(identity)

    async def run(self) -> None:
        """Renew and look, for ever."""
        while True:
            await self.beat()
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def beat(self) -> None:
        """Renew once; a failure is logged and tried again."""
        started = self._clock()
        try:
            await self._heartbeat.beat()
        except KubeError as error:
            _LOG.warning("heartbeat failed lease=%s/%s error=%s", self._namespace, self._name, error)
        else:
            self._seen_until = started + _RELY_S

    async def look(self) -> None:
        """Take note of everybody's Lease."""
        try:
            leases = await self._client.list(LEASE, self._namespace, labels={LABEL_LEASE: _KIND})
        except KubeError as error:
            _LOG.warning("replicas not listed namespace=%s error=%s", self._namespace, error)
            return
        now = self._clock()
        self._watched_s += min(now - (self._looked_at or now), LOOK_EVERY_S)
        self._looked_at = now
        before, self._addresses = set(self._addresses), self._fresh(leases)
        await self._bury(leases)
        if before != set(self._addresses):
            _LOG.info("replicas living=%s", ",".join(sorted(self._addresses)))
            self.changed()

    async def leave(self) -> None:
        """Say that we are gone, so that the others need not wait."""
        self._leaving = True
        try:
            await self._client.delete(LEASE, self._name, self._namespace)
        except KubeError as error:
            _LOG.warning("lease not given back lease=%s/%s error=%s", self._namespace, self._name, error)

    def _fresh(self, leases: list[Json]) -> dict[str, str]:
        return {
            lease["spec"]["holderIdentity"]: lease["metadata"].get("annotations", {}).get(ANNOTATION_ADDRESS, "")
            for lease in leases
            if self._freshness.remaining_s(lease) > 0
        }

    async def _bury(self, leases: list[Json]) -> None:
        for lease in leases:
            name, uid = lease["metadata"]["name"], lease["metadata"]["uid"]
            if self._freshness.remaining_s(lease) < -_FORGOTTEN_S and name != self._name:
                try:
                    await self._client.delete(LEASE, name, self._namespace, uid=uid)
                except KubeError as error:
                    _LOG.warning("old lease not deleted lease=%s/%s error=%s", self._namespace, name, error)
