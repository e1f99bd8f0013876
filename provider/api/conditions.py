"""Conditions, and the pure functions that keep them still: a transition time moves only when the status does."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field

from provider.api.schema import ApiModel

ConditionStatus = Literal["True", "False", "Unknown"]

READY = "Ready"
SYNCED = "Synced"
PROGRESSING = "Progressing"
STAGED = "Staged"
EXPORTED = "Exported"
PLUGGED = "Plugged"
REMOVED = "Removed"


class Condition(ApiModel):
    """One aspect of an object as its owner last saw it."""

    type: str = Field(max_length=316, description="Name of the aspect, such as Ready or Synced.")
    status: ConditionStatus = Field(description="Whether the aspect holds: True, False or Unknown.")
    reason: str = Field(max_length=1024, description="One CamelCase word for why the status is what it is.")
    message: str = Field(
        default="", max_length=32768, description="What happened, on what, and what to do next; empty when all is well."
    )
    last_transition_time: datetime = Field(description="When the status last changed.")
    observed_generation: int | None = Field(
        default=None, description="metadata.generation of the object that the condition speaks about."
    )


def find(conditions: Iterable[Condition], type_: str) -> Condition | None:
    """The condition of that type, if there is one."""
    return next((condition for condition in conditions if condition.type == type_), None)


def is_true(conditions: Iterable[Condition], type_: str, *, generation: int | None = None) -> bool:
    """Whether the condition holds, and (where ``generation`` is given) was seen for that generation."""
    condition = find(conditions, type_)
    if condition is None or condition.status != "True":
        return False
    return generation is None or condition.observed_generation == generation


def merge(current: Sequence[Condition], *changes: Condition) -> list[Condition]:
    """``current`` with ``changes`` put in, by type; a transition time is kept while the status stays the same."""
    merged = {condition.type: condition for condition in current}
    for change in changes:
        before = merged.get(change.type)
        if before is not None and before.status == change.status:
            change = change.model_copy(update={"last_transition_time": before.last_transition_time})
        merged[change.type] = change
    return list(merged.values())


def now() -> datetime:
    """The present, in UTC, to the millisecond: finer would only make objects churn."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
