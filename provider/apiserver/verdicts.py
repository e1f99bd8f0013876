"""What a verb decides to write. Pure decisions give one of these, or raise an ``ApiError``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Decision:
    """``spec`` is merged into the machine's (compare-and-swap); ``request`` goes to its PowerState; ``let_go`` names
    the devices, by kind and name of the object, that are to be taken by force. ``message`` tells the caller.
    """

    message: str
    spec: Mapping[str, Any] = field(default_factory=dict)
    request: Mapping[str, Any] = field(default_factory=dict)
    let_go: tuple[str, ...] = ()

    @property
    def changes_nothing(self) -> bool:
        """Whether all is as it was asked for."""
        return not (self.spec or self.request)
