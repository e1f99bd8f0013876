"""What was missed while the API server was away.

A watch stream that was cut begins anew with a list, and each object in it is told; of an empty list nothing is. So an
object that went during an outage, as the last of its kind, would stay in the cache until the next full list. Whoever
waits for it to go would wait as long.
"""

import asyncio
from collections.abc import Awaitable, Callable

from provider.runtime.errors import KubeError

PROBE_S = 2.0
RELIST_AFTER_S = (0.0, 5.0, 15.0)
"""Streams come back one after the other, and what goes before a stream is back is missed by it too."""


async def relist_after_outages(
    probe: Callable[[], Awaitable[object]],
    relist: Callable[[], Awaitable[bool]],
    *,
    probe_s: float = PROBE_S,
    after_s: tuple[float, ...] = RELIST_AFTER_S,
) -> None:
    """For ever: ask by ``probe``, and once it answers again after a ``KubeError``, have all lists taken anew.

    ``relist`` tells whether all could be had; where not, that was an outage too.
    """
    away = False
    while True:
        await asyncio.sleep(probe_s)
        try:
            await probe()
        except KubeError:
            away = True
            continue
        if away:
            away = False
            for pause_s in after_s:
                await asyncio.sleep(pause_s)
                away = not await relist() or away
