"""Reports what no object claims, and removes of it what was asked for: one controller for whoever can see such things.

Nothing is an orphan at first sight. What was made for an object that is not in the cache yet, or is just being taken
away, belongs to nobody for a moment: so it is listed when two looks, some seconds apart, found it without an owner.
Before it is removed the owners are read from the API server itself, *after* it was looked at: whatever was made for an
object was made after the object. Losing the status removes nothing, for a request names the time since which the orphan
was listed.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from provider.api.names import ORPHAN_REPORT
from provider.api.orphanreport import LISTED_AT_MOST, Orphan, OrphanKey, OrphanReport, OrphanReportStatus
from provider.api.resources import ORPHANREPORT
from provider.runtime.context import Runtime
from provider.runtime.controller import Json, Key, Lane, Outcome, RequeueAfter, Settled, Watch
from provider.runtime.errors import KubeError

_LOG = logging.getLogger(__name__)

REMOVED = "OrphanRemoved"


@dataclass(frozen=True, slots=True)
class Ownerless:
    """Something that has no owner at this look. ``held_by`` is what keeps it from being removed now."""

    key: OrphanKey
    about: str = ""
    held_by: str = ""


class CannotLook(Exception):
    """Who knows what is there does not answer."""


class OrphanStays(Exception):
    """An orphan was not removed; says why, and what to do next."""


class Source(Protocol):
    """Who sees what is there and who owns it, and can remove it."""

    async def look(self, *, fresh: bool) -> Sequence[Ownerless]:
        """What has no owner now, in the order in which it is to go. ``fresh``: owners by the API server, not a cache.

        Owners are read after what is there. Raises ``CannotLook``.
        """

    async def remove(self, key: OrphanKey) -> None:
        """Remove what ``look`` has just found ownerless and held by nothing. Raises ``OrphanStays``."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Times in seconds: between looks, and for how long a thing is without an owner before it is listed."""

    look_every_s: float = 10.0
    settles_s: float = 5.0


class OrphanController:
    """Reconciles the one OrphanReport of whoever sees ``source``."""

    resource = ORPHANREPORT
    workers = 1
    watches: Sequence[Watch] = ()

    def __init__(
        self,
        name: str,
        runtime: Runtime,
        namespace: str,
        source: Source,
        *,
        rhythm: Rhythm | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._runtime = runtime
        self._key = Key(namespace, ORPHAN_REPORT)
        self._source = source
        self._rhythm = rhythm or Rhythm()
        self._clock = clock
        self._suspected: dict[OrphanKey, tuple[float, datetime]] = {}
        self._stayed: dict[OrphanKey, str] = {}
        self._told = ""

    async def keep(self, ready: asyncio.Event) -> None:
        """Have the report there, for ever once ``ready``: without it there would be nothing to reconcile."""
        await ready.wait()
        while True:
            if self._runtime.cache.get(ORPHANREPORT, self._key) is None:
                try:
                    await self._make()
                except KubeError as error:
                    _LOG.warning("report not made report=%s error=%s", self._key, error)
            await asyncio.sleep(self._rhythm.look_every_s)

    async def reconcile(self, key: Key) -> Outcome:
        """Look, remove what was asked for, report."""
        raw = self._runtime.cache.get(ORPHANREPORT, key)
        if key != self._key or raw is None:
            return Settled()
        report = OrphanReport.parse(raw)
        try:
            found = await self._source.look(fresh=False)
            wanted = self._wanted(report, found)
            if wanted:
                found = await self._remove(raw, wanted)
        except CannotLook as error:
            if str(error) != self._told:
                _LOG.warning("orphans cannot be looked for: %s", error)
            self._told = str(error)
            return RequeueAfter(self._rhythm.look_every_s, Lane.DRIFT)
        self._told = ""
        await self._report(raw, report, found)
        unsettled = any(each.key not in self._listed(report, found) for each in found)
        return RequeueAfter(self._rhythm.settles_s if unsettled else self._rhythm.look_every_s, Lane.DRIFT)

    def _wanted(self, report: OrphanReport, found: Iterable[Ownerless]) -> set[OrphanKey]:
        """Those asked for that were listed as such, and that this process, too, has seen for long enough."""
        listed = {orphan.key: orphan.since for orphan in report.status.orphans}
        asked = {each.key for each in report.spec.remove if listed.get(each.key) == each.since}
        self._stayed = {key: why for key, why in self._stayed.items() if key in asked}
        self._suspect(found)
        return {each.key for each in found if each.key in asked and self._has_settled(each.key)}

    def _suspect(self, found: Iterable[Ownerless]) -> None:
        now = (self._clock(), self._runtime.clock())
        self._suspected = {each.key: self._suspected.get(each.key, now) for each in found}

    def _has_settled(self, key: OrphanKey) -> bool:
        return self._clock() - self._suspected[key][0] >= self._rhythm.settles_s

    async def _remove(self, raw: Json, wanted: set[OrphanKey]) -> Sequence[Ownerless]:
        """One after the other, each after a look of its own: what one is held by may have gone with the one before."""
        tried: set[OrphanKey] = set()
        while True:
            found = await self._source.look(fresh=True)
            free = (each for each in found if each.key in wanted - tried and not each.held_by)
            orphan = next(free, None)
            if orphan is None:
                return found
            tried.add(orphan.key)
            await self._remove_one(raw, orphan)

    async def _remove_one(self, raw: Json, orphan: Ownerless) -> None:
        try:
            await self._source.remove(orphan.key)
        except OrphanStays as error:
            if self._stayed.get(orphan.key) != str(error):
                _LOG.warning("orphan=%s stays: %s", orphan.key, error)
            self._stayed[orphan.key] = str(error)
            return
        self._stayed.pop(orphan.key, None)
        _LOG.info("removed orphan=%s", orphan.key)
        about = f" ({orphan.about})" if orphan.about else ""
        self._runtime.events.record(raw, "Normal", REMOVED, f"removed {orphan.key}{about}, which belonged to no object")

    def _listed(self, report: OrphanReport, found: Iterable[Ownerless]) -> dict[OrphanKey, Orphan]:
        before = {orphan.key: orphan.since for orphan in report.status.orphans}
        return {
            each.key: Orphan(
                where=each.key.where,
                kind=each.key.kind,
                name=each.key.name,
                since=before.get(each.key, self._suspected[each.key][1]),
                about=each.about,
                message=each.held_by or self._stayed.get(each.key, ""),
            )
            for each in found
            if each.key in before or self._has_settled(each.key)
        }

    async def _report(self, raw: Json, report: OrphanReport, found: Sequence[Ownerless]) -> None:
        self._suspect(found)
        every = [orphan for _, orphan in sorted(self._listed(report, found).items())]
        listed, more = every[:LISTED_AT_MOST], max(0, len(every) - LISTED_AT_MOST)
        status = OrphanReportStatus(orphans=listed, more=more).to_json()
        await self._runtime.client.apply(
            ORPHANREPORT,
            {"metadata": self._identity, "status": status},
            field_manager=self.name,
            subresource="status",
            current=raw,
        )

    async def _make(self) -> None:
        fresh = {"metadata": self._identity, "spec": {}}
        await self._runtime.client.apply(ORPHANREPORT, fresh, field_manager=self.name)

    @property
    def _identity(self) -> Json:
        return {"name": self._key.name, "namespace": self._key.namespace}
