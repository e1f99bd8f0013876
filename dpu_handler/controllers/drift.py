"""Drift that nobody announces: an SPDK target restarted empty, a function taken away, a server that disconnected.

One look at the DPU every few seconds serves all its devices; only when it shows something new are they reconciled.
"""

import asyncio
import logging
from collections.abc import Callable
from uuid import uuid4

from dpu_handler.execution.dpu import Dpu
from dpu_handler.execution.observation import observe_disks
from dpu_handler.planning.observed import Observed
from dpu_handler.southbound import SouthboundError
from provider.runtime.tracing import Tracer, TraceRef

_LOG = logging.getLogger(__name__)
LOOK_EVERY_S = 2.0


async def watch_for_drift(
    dpu: Dpu, changed: Callable[[], None], tracer: Tracer, look_every_s: float = LOOK_EVERY_S
) -> None:
    """Look for ever; ``changed`` is called when the DPU is another than it was at the last look."""
    last: Observed | None = None
    told: str | None = None
    while True:
        try:
            # A look belongs to no machine; one trace for all of them would grow for as long as the process lives.
            with tracer.span("look for drift", trace=TraceRef(uuid4().hex, "")):
                seen = await observe_disks(dpu)
            if seen != last:
                changed()
            last, told = seen, None
        except SouthboundError as error:
            if last is not None:
                _LOG.warning("the DPU cannot be looked at: %s", error)
            last = None
        except Exception as error:
            # A defect of ours, or a reply of a shape that nobody foresaw: the next look may be better.
            if repr(error) != told:
                _LOG.exception("a look at the DPU failed; looking on")
            last, told = None, repr(error)
        await asyncio.sleep(look_every_s)
