"""What is on the DPU and belongs to no object of its namespace: looked for, and removed where somebody asks for it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from dpu_handler.execution.carrying import carry_out
from dpu_handler.execution.dpu import Dpu
from dpu_handler.execution.observation import observe_disks, observe_ports
from dpu_handler.planning import orphans as planning
from dpu_handler.planning.observed import Observed
from dpu_handler.planning.orphans import Claims, FoundOrphan
from dpu_handler.southbound import SouthboundError
from provider.api.orphanreport import OrphanKey
from provider.api.resources import EMULATEDDISK, EMULATEDNIC
from provider.runtime.context import Runtime
from provider.runtime.controller import Json
from provider.runtime.orphans import CannotLook, OrphanStays, Ownerless

FIELD_MANAGER = "metalplane-agent-orphans"


class DpuOrphans:
    """Looks at one DPU, whose objects are in ``namespace``."""

    def __init__(self, runtime: Runtime, dpu: Dpu, namespace: str) -> None:
        self._runtime = runtime
        self._dpu = dpu
        self._namespace = namespace
        self._seen = Observed()
        self._found: dict[OrphanKey, FoundOrphan] = {}

    async def look(self, *, fresh: bool) -> Sequence[Ownerless]:
        """See ``Source``."""
        try:
            seen = await self._observe()
        except SouthboundError as error:
            raise CannotLook(str(error)) from error
        claimed = [await self._listed(), self._cached()] if fresh else [self._cached()]
        found = [planning.orphans(each, seen) for each in claimed]
        # Where two views of the owners differ, one of them has an owner that the other lacks.
        agreed = set.intersection(*({each.key for each in view} for view in found))
        self._found = {each.key: each for each in found[0] if each.key in agreed}
        return [Ownerless(each.key, each.about, each.held_by) for each in self._found.values()]

    async def remove(self, key: OrphanKey) -> None:
        """See ``Source``. Whether an owner has come up is asked once more before each step, with no wait in between."""
        orphan = self._found[key]
        for stage in orphan.removal:
            if key not in self._unclaimed():
                raise OrphanStays("an object claims it by now")
            try:
                await carry_out(self._dpu, (stage,))
            except SouthboundError as error:
                raise OrphanStays(f"{error}: it is tried again") from error

    async def _observe(self) -> Observed:
        disks, ports = await asyncio.gather(observe_disks(self._dpu), observe_ports(self._dpu))
        self._seen = replace(disks, ports=ports)
        return self._seen

    def _unclaimed(self) -> set[OrphanKey]:
        return {each.key for each in planning.orphans(self._cached(), self._seen)}

    def _cached(self) -> Claims:
        cache = self._runtime.cache
        return planning.claims_of(*(cache.list(kind, self._namespace) for kind in (EMULATEDDISK, EMULATEDNIC)))

    async def _listed(self) -> Claims:
        client = self._runtime.client
        every: list[list[Json]] = [await client.list(kind, self._namespace) for kind in (EMULATEDDISK, EMULATEDNIC)]
        return planning.claims_of(*every)
