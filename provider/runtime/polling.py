"""Kinds that are listed every few seconds instead of watched, because most of their changes say nothing new.

A thousand agents renew their Leases two hundred times a second, and each renewal would be an event to work on.
"""

from collections.abc import Callable
from dataclasses import dataclass

from provider.api.resources import ResourceType
from provider.runtime.controller import Json


@dataclass(frozen=True)
class Poll:
    """How one kind is polled.

    ``same`` says whether two versions of an object mean the same, so that nobody need be told of the later one;
    ``listed`` is called after each complete list was taken in; ``fields`` is a field selector.
    """

    resource: ResourceType
    period_s: float
    same: Callable[[Json, Json], bool]
    listed: Callable[[], None]
    fields: str | None = None
