"""Leases: who may write (leadership), and who is alive (heartbeats).

Leadership follows the rules of client-go's leader election: a Lease is taken when it is free, ours, or has not changed
for its duration *by our own clock*; wall clocks of two machines are never compared. The holder may rely on it for
``renew_deadline_s`` after the start of its last successful renewal, which is less than what others wait.

An identity names a seat that at most one process holds at a time (a Pod's name, a supervised service): who finds the
Lease in its own name takes it over at once. If two processes do share one, the newer wins and the older stops.
"""

import asyncio
import copy
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

from provider.api.resources import LEASE
from provider.runtime.client import KubeClient
from provider.runtime.clock import boot_time_s
from provider.runtime.controller import Json
from provider.runtime.errors import AlreadyExists, Conflict, KubeError, LeadershipLost, NotFound

_LOG = logging.getLogger(__name__)


class Leadership(Protocol):
    """Whether this process may change the world outside."""

    def check(self) -> None:
        """Return if it may, right now; raise ``LeadershipLost`` if not."""


class Unopposed:
    """Leadership where there is nobody to share with: an agent, a test, ``--no-leader-elect``."""

    def check(self) -> None:
        """Always may."""


class LeaderLease:
    """Leadership by a Lease. ``client`` must not itself be guarded by this leadership."""

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        name: str,
        identity: str,
        *,
        duration_s: int = 15,
        renew_deadline_s: float = 10.0,
        retry_s: float = 2.0,
        clock: Callable[[], float] = boot_time_s,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self.identity = identity
        self._duration_s = duration_s
        self._renew_deadline_s = renew_deadline_s
        self._retry_s = retry_s
        self._clock = clock
        self._held: Json | None = None
        self._valid_until = float("-inf")
        self._freshness = LeaseFreshness(clock)
        self.standing_by = asyncio.Event()
        """Set while somebody else leads and this process could follow him at once."""

    @property
    def _subject(self) -> str:
        return f"Lease {self._namespace}/{self._name}"

    def check(self) -> None:
        """Raise ``LeadershipLost`` once the last renewal is too old to rely on."""
        if self._clock() >= self._valid_until:
            raise LeadershipLost(
                "write as leader without",
                subject=self._subject,
                cause=f"{self.identity} has not renewed it within {self._renew_deadline_s:g} s",
                next_step="this process ends, and the next leader goes on",
            )

    async def acquire(self) -> None:
        """Wait until the Lease is ours."""
        while not await self._try_acquire():  # noqa: ASYNC110  (another process is what changes)
            await asyncio.sleep(self._retry_s)
        self.standing_by.clear()
        _LOG.info("leading lease=%s/%s identity=%s", self._namespace, self._name, self.identity)

    async def hold(self) -> None:
        """Renew until that fails for too long or somebody took over; then raise ``LeadershipLost``."""
        while True:
            await asyncio.sleep(self._retry_s)
            try:
                await self._renew()
            except KubeError as error:
                _LOG.warning("lease not renewed lease=%s/%s error=%s", self._namespace, self._name, error)
                self.check()

    async def release(self) -> None:
        """Leave the Lease free, so that the next leader need not wait."""
        if self._held is None:
            return
        self._valid_until = float("-inf")
        free = copy.deepcopy(self._held)
        free["spec"] |= {"holderIdentity": "", "renewTime": micro_time()}
        self._held = None
        with suppress(KubeError):
            await self._client.replace(LEASE, free)

    async def _try_acquire(self) -> bool:
        started = self._clock()
        try:
            lease = await self._client.get(LEASE, self._name, self._namespace)
        except NotFound:
            lease = None
        except KubeError as error:
            _LOG.warning("lease not read lease=%s/%s error=%s", self._namespace, self._name, error)
            self.standing_by.clear()
            return False
        if lease is not None and not self._may_take(lease):
            self.standing_by.set()
            return False
        try:
            self._held = await self._write(lease)
        except (AlreadyExists, Conflict):
            return False
        except KubeError as error:
            # It may have been written all the same: then the next look finds it in our name.
            _LOG.warning("lease not taken lease=%s/%s error=%s", self._namespace, self._name, error)
            return False
        self._valid_until = started + self._renew_deadline_s
        return True

    def _may_take(self, lease: Json) -> bool:
        holder = lease.get("spec", {}).get("holderIdentity") or self.identity
        return holder == self.identity or self._freshness.remaining_s(lease) <= 0

    async def _write(self, lease: Json | None) -> Json:
        now = micro_time()
        spec = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self._duration_s,
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": 0,
        }
        if lease is None:
            fresh = {"metadata": {"name": self._name, "namespace": self._namespace}, "spec": spec}
            return await self._client.create(LEASE, fresh, field_manager=self.identity)
        spec["leaseTransitions"] = lease.get("spec", {}).get("leaseTransitions", 0) + 1
        return await self._client.replace(LEASE, {**lease, "spec": spec})

    async def _renew(self) -> None:
        assert self._held is not None
        started = self._clock()
        renewed = copy.deepcopy(self._held)
        renewed["spec"]["renewTime"] = micro_time()
        try:
            self._held = await self._client.replace(LEASE, renewed)
        except (Conflict, NotFound):
            await self._adopt_if_ours()
            return
        self._valid_until = started + self._renew_deadline_s

    async def _adopt_if_ours(self) -> None:
        lease = await self._client.get(LEASE, self._name, self._namespace)
        assert self._held is not None
        ours, theirs = self._held["spec"], lease.get("spec", {})
        if any(ours[name] != theirs.get(name) for name in ("holderIdentity", "acquireTime")):
            self._valid_until = float("-inf")
            self._held = None
            raise LeadershipLost(
                "keep", subject=self._subject, cause=f"{theirs.get('holderIdentity')!r} took it over", next_step=""
            )
        self._held = lease


class Heartbeat:
    """Says "alive" by renewing a Lease; its annotations and labels tell what is alive. Needs create and patch."""

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        name: str,
        identity: str,
        *,
        annotations: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        duration_s: int = 15,
        period_s: float = 5.0,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._annotations = dict(annotations or {})
        self._labels = dict(labels or {})
        self._duration_s = duration_s
        self._period_s = period_s

    async def beat(self) -> None:
        """Renew once."""
        metadata: Json = {"name": self._name, "namespace": self._namespace}
        if self._annotations:
            metadata["annotations"] = self._annotations
        if self._labels:
            metadata["labels"] = self._labels
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._duration_s,
            "renewTime": micro_time(),
        }
        await self._client.apply(LEASE, {"metadata": metadata, "spec": spec}, field_manager=self._identity)

    async def run(self) -> None:
        """Renew for ever; a failed renewal is logged and tried again."""
        while True:
            try:
                await self.beat()
            except KubeError as error:
                _LOG.warning("heartbeat failed lease=%s/%s error=%s", self._namespace, self._name, error)
            await asyncio.sleep(self._period_s)


class LeaseFreshness:
    """For how long each Lease may still be believed, judged by when *we* saw it change, never by its wall clock."""

    def __init__(self, clock: Callable[[], float] = boot_time_s) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[str, float]] = {}

    def remaining_s(self, lease: Json) -> float:
        """Seconds until the Lease counts as expired (zero or less: it has). Seen first now: its whole duration."""
        spec = lease.get("spec", {})
        renewed = f"{spec.get('holderIdentity')} {spec.get('renewTime')}"
        uid = lease["metadata"]["uid"]
        now = self._clock()
        known = self._seen.get(uid)
        if known is None or known[0] != renewed:
            known = self._seen[uid] = (renewed, now)
        return known[1] + float(spec.get("leaseDurationSeconds", 0)) - now


def micro_time() -> str:
    """The present as Kubernetes' MicroTime."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
