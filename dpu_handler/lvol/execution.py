"""Carries plans out, and turns what the target answers into the driver's errors."""

import asyncio
import errno
from collections.abc import Awaitable, Callable

from dpu_handler.lvol.errors import LvolError, PoolFull, TargetAway, TargetRefused
from dpu_handler.lvol.planning import Call, Plan
from dpu_handler.lvol.target import Target
from dpu_handler.southbound import RpcRefused, SouthboundError

_ATTEMPTS = 4
_COPY_TIMEOUT_S = 300.0
_SLOW = frozenset({"bdev_lvol_decouple_parent"})


async def converge(target: Target, attempt: str, plan: Callable[[], Awaitable[Plan]]) -> None:
    """Observe and plan (``plan`` does both), carry out, and look again, until there is nothing left to do.

    A refusal or a lost reply is not the end: what the target says of itself decides, not its error codes, which do not
    tell "already" from "wrong". Only when observing again does not help is the last failure raised.
    """
    failure: SouthboundError | None = None
    for _ in range(_ATTEMPTS):
        try:
            steps = await plan()
            if not steps:
                return
            await _carry_out(target, steps)
            failure = None
        except SouthboundError as error:
            if failure is not None and str(failure) == str(error):
                raise translate(attempt, error) from error
            failure = error
    if failure is not None:
        raise translate(attempt, failure) from failure
    raise TargetRefused(f"{attempt}: the target says yes but nothing changes. Look at the target's log.")


async def _carry_out(target: Target, steps: Plan) -> None:
    for stage in steps:
        results = await asyncio.gather(*(_call(target, call) for call in stage), return_exceptions=True)
        # All of a stage are waited for: an answer that nobody reads would cost the target memory.
        for result in results:
            if isinstance(result, BaseException):
                raise result


async def _call(target: Target, call: Call) -> None:
    timeout_s = _COPY_TIMEOUT_S if call.method in _SLOW else None
    await target.call(call.method, call.params or None, timeout_s=timeout_s)


def translate(attempt: str, error: SouthboundError) -> LvolError:
    """The driver's error for a failed exchange with the target."""
    if not isinstance(error, RpcRefused):
        return TargetAway(f"{attempt}: {error}. Check that the storage node's SPDK target runs; then call again.")
    no_space = error.code == -errno.ENOSPC or "No space left on device" in str(error)
    if no_space:
        return PoolFull(f"{attempt}: the pool is full. Delete volumes, or give the pool more room.")
    return TargetRefused(f"{attempt}: {error}. Look at the target's log.")
