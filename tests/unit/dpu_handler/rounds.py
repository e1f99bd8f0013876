"""Observe, plan, carry out, again and again, as the controllers do; failures are what the next look is for."""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from dpu_handler.execution.carrying import carry_out
from dpu_handler.planning.observed import Observed
from dpu_handler.planning.steps import Plan
from dpu_handler.southbound import SouthboundError
from tests.unit.dpu_handler.model_dpu import Fault, ModelDpu

MOST_ROUNDS = 8


@dataclass(frozen=True)
class Rounds:
    """One device's way of looking, planning and taking away."""

    observe: Callable[..., Awaitable[Observed]]
    plan: Callable[[Observed], Plan]
    undo: Callable[[Observed], Plan]

    async def planned(self, model: ModelDpu) -> Plan:
        return self.plan(await self.observe(model.clients()))

    async def make(self, model: ModelDpu) -> int:
        """Until the plan is empty; how many rounds it took."""
        return await self._until_empty(model, self.plan)

    async def unwind(self, model: ModelDpu) -> int:
        """Until nothing is left to undo; how many rounds it took."""
        return await self._until_empty(model, self.undo)

    async def attempt(self, model: ModelDpu, decide: Callable[[Observed], Plan]) -> None:
        """One round; it may break."""
        clients = model.clients()
        with contextlib.suppress(SouthboundError):
            await carry_out(clients, decide(await self.observe(clients)))

    async def _until_empty(self, model: ModelDpu, decide: Callable[[Observed], Plan]) -> int:
        for number in range(MOST_ROUNDS):
            if not decide(await self.observe(model.clients())):
                return number
            await self.attempt(model, decide)
        raise AssertionError(f"no end after {MOST_ROUNDS} rounds: {decide(await self.observe(model.clients()))}")


def faults(changes: int) -> list[Fault]:
    """A break at each of so many changes, before and after it was executed."""
    return [Fault(at, executed) for at in range(changes) for executed in (False, True)]
