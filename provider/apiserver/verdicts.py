"""What a verb decides to write. Pure decisions give one of these, or raise an ``ApiError``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class NewRun:
    """The id by which a machine's present run is known from now on; its PowerState must be as it was read."""

    id: str
    power: str
    resource_version: str


@dataclass(frozen=True, slots=True)
class PowerRequest:
    """What is asked of the power; the PowerState must be as it was read, and no namesake of it.

    ``parameters``: as its ``spec.forProvider.request`` has it.
    """

    power: str
    uid: str
    resource_version: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Decision:
    """``spec`` and ``annotations`` are merged into the machine's (compare-and-swap); ``request`` and ``new_run`` go to
    its PowerState; ``let_go`` names the devices, by kind and name of the object, that are to be taken by force. Nothing
    is written where the API server refuses ``trial`` in the machine's spec. ``message`` tells the caller.
    """

    message: str
    spec: Mapping[str, Any] = field(default_factory=dict)
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    trial: Mapping[str, Any] = field(default_factory=dict)
    new_run: NewRun | None = None
    request: PowerRequest | None = None
    let_go: tuple[str, ...] = ()

    @property
    def changes_nothing(self) -> bool:
        """Whether all is as it was asked for."""
        return not (self.spec or self.annotations or self.request or self.let_go)
