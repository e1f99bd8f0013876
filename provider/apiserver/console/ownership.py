"""Which replica has the console of a server: a Lease per server, written only when the owner changes.

Whether an owner lives is told by ``replicas``. Who finds the owner dead takes over by compare-and-swap, and opens the
console anew, which ends the old session at the BMC. Our own view of the Leases may be half a minute old; before a
session is opened the Lease itself is read (``confirm``).
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterable

from provider.api.resources import LEASE, SERVER
from provider.api.server import Server
from provider.apiserver.console.planning import Owner
from provider.apiserver.console.replicas import LABEL_LEASE, LOOK_EVERY_S, Replicas
from provider.runtime.client import KubeClient
from provider.runtime.clock import boot_time_s
from provider.runtime.controller import Json
from provider.runtime.errors import AlreadyExists, Conflict, KubeError, NotFound
from provider.runtime.lease import micro_time

_LOG = logging.getLogger(__name__)

_KIND = "console"
_PREFIX = "console-"
_NAME_BYTES = 253
_REFRESH_EVERY_S = 30.0
_ANYBODYS_AFTER_S = 3 * LOOK_EVERY_S
"""A console that nobody has, though it is somebody's turn, is anybody's after that."""


class Ownership:
    """By the server's name. ``changed`` is called with names of Leases whose owner is another, or is dead."""

    def __init__(
        self, client: KubeClient, namespace: str, replicas: Replicas, *, clock: Callable[[], float] = boot_time_s
    ) -> None:
        self.changed: Callable[[set[str]], None] = lambda _: None
        self._client = client
        self._namespace = namespace
        self._replicas = replicas
        self._clock = clock
        self._leases: dict[str, Json] = {}
        self._refreshed = False
        self._free_since: dict[str, float] = {}
        self._look_again = asyncio.Event()
        replicas.changed = self._look_again.set

    @property
    def is_known(self) -> bool:
        """Whether owners and replicas were looked for at all."""
        return self._refreshed and self._replicas.is_known

    def owner(self, server: str) -> Owner:
        """Who has the console, as far as we know."""
        holder = self._holder(lease_name(server))
        if holder == self._replicas.identity:
            return Owner.OURS
        return Owner.THEIRS if holder in self._replicas.living else Owner.NOBODY

    def address(self, server: str) -> str | None:
        """HOST:PORT of the owner, where it is another."""
        return self._replicas.address_of(self._holder(lease_name(server)))

    def is_our_turn(self, server: str) -> bool:
        """Whether we should take a console that nobody has: each living replica has its share, and no two try."""
        if preferred(server, self._replicas.living) == self._replicas.identity:
            return True
        since = self._free_since.setdefault(server, self._clock())
        return self._clock() - since >= _ANYBODYS_AFTER_S

    async def take(self, server: Server) -> bool:
        """Become the owner, if nobody else is; whether we are. Raises KubeError."""
        name = lease_name(server.metadata.name)
        if not self._replicas.is_seen:
            return False
        lease = self._leases.get(name)
        try:
            self._leases[name] = await self._write(server, name, lease)
        except (AlreadyExists, Conflict):
            await self._read(name)
        self._free_since.pop(server.metadata.name, None)
        ours = self.owner(server.metadata.name) is Owner.OURS
        if ours:
            _LOG.info("console taken server=%s lease=%s/%s", server.metadata.name, self._namespace, name)
        return ours

    async def confirm(self, server: str) -> bool:
        """Whether we are the owner right now, by the Lease itself. Raises KubeError."""
        name = lease_name(server)
        before = self._holder(name)
        await self._read(name)
        if self._holder(name) != before:
            self.changed({name})
        return self._replicas.is_seen and self.owner(server) is Owner.OURS

    async def refresh(self) -> None:
        """Take note of all Leases; a failure is logged and tried again."""
        try:
            leases = await self._client.list(LEASE, self._namespace, labels={LABEL_LEASE: _KIND})
        except KubeError as error:
            _LOG.warning("owners not listed namespace=%s error=%s", self._namespace, error)
            return
        before = {name: _holder_of(lease) for name, lease in self._leases.items()}
        self._leases = {lease["metadata"]["name"]: lease for lease in leases}
        self._refreshed = True
        living = self._replicas.living
        holders = {name: _holder_of(lease) for name, lease in self._leases.items()}
        news = {name for name, holder in holders.items() if holder != before.get(name) or holder not in living}
        self.changed(news | (before.keys() - holders.keys()))

    async def run(self) -> None:
        """Look at the Leases every 30 s, and when a replica came or went."""
        while True:
            self._look_again.clear()
            await self.refresh()
            try:
                async with asyncio.timeout(_REFRESH_EVERY_S if self._refreshed else LOOK_EVERY_S):
                    await self._look_again.wait()
            except TimeoutError:
                continue

    def _holder(self, name: str) -> str:
        return _holder_of(self._leases.get(name))

    async def _read(self, name: str) -> None:
        try:
            self._leases[name] = await self._client.get(LEASE, name, self._namespace)
        except NotFound:
            self._leases.pop(name, None)

    async def _write(self, server: Server, name: str, lease: Json | None) -> Json:
        now = micro_time()
        spec: Json = {"holderIdentity": self._replicas.identity, "acquireTime": now, "leaseTransitions": 0}
        if lease is not None:
            spec["leaseTransitions"] = lease.get("spec", {}).get("leaseTransitions", 0) + 1
            return await self._client.replace(LEASE, {**lease, "spec": spec})
        metadata = {
            "name": name,
            "namespace": self._namespace,
            "labels": {LABEL_LEASE: _KIND},
            "ownerReferences": [_owner_reference(server)],
        }
        fresh = {"metadata": metadata, "spec": spec}
        return await self._client.create(LEASE, fresh, field_manager=self._replicas.identity)


def lease_name(server: str) -> str:
    """Name of the Lease of a server's console."""
    if len(server) <= _NAME_BYTES - len(_PREFIX):
        return _PREFIX + server
    return _PREFIX + hashlib.sha256(server.encode()).hexdigest()


def preferred(server: str, replicas: Iterable[str]) -> str | None:
    """The replica whose turn it is: the same for all who know the same replicas, and few change when one goes.

    Highest random weight: D. Thaler, C. Ravishankar, "Using name-based mappings to increase hit rates", 1998.
    """
    return max(replicas, key=lambda replica: hashlib.sha256(f"{replica} {server}".encode()).digest(), default=None)


def _holder_of(lease: Json | None) -> str:
    return ((lease or {}).get("spec") or {}).get("holderIdentity") or ""


def _owner_reference(server: Server) -> Json:
    """The Lease goes with its server."""
    return {
        "apiVersion": SERVER.api_version,
        "kind": SERVER.kind,
        "name": server.metadata.name,
        "uid": server.metadata.uid,
    }
