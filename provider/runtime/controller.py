"""The contract between a controller and the shell that runs it. Outcomes are types; an exception means "try again"."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from provider.api.resources import ResourceType

Json = dict[str, Any]


class Lane(Enum):
    """NEW is work that somebody waits for; DRIFT is looking again at what is believed to be well."""

    NEW = "new"
    DRIFT = "drift"


@dataclass(frozen=True, slots=True)
class Key:
    """An object of a controller's kind. ``namespace`` is None for cluster-scoped kinds."""

    namespace: str | None
    name: str

    def __str__(self) -> str:
        return self.name if self.namespace is None else f"{self.namespace}/{self.name}"

    @classmethod
    def of(cls, obj: Json) -> "Key":
        """The key of any object read from the API."""
        metadata = obj["metadata"]
        return cls(metadata.get("namespace"), metadata["name"])


@dataclass(frozen=True, slots=True)
class Settled:
    """Nothing to do until something changes."""


@dataclass(frozen=True, slots=True)
class RequeueAfter:
    """Look again after ``delay_s`` seconds, even if no event arrives; sooner if one does."""

    delay_s: float
    lane: Lane = Lane.NEW


Outcome = Settled | RequeueAfter


@dataclass(frozen=True, slots=True)
class Watch:
    """Another kind whose changes matter: ``to_keys`` names the objects to reconcile when one of it changes."""

    resource: ResourceType
    to_keys: Callable[[Json], Iterable[Key]]


class Controller(Protocol):
    """Reconciles the objects of one kind.

    ``reconcile`` takes no hint of what changed: it observes, plans and executes. It is called for one key by one worker
    at a time, also for keys whose object is gone by now. It may be cancelled or killed at any await.
    """

    @property
    def name(self) -> str:
        """Names queue, logs and field manager."""

    @property
    def resource(self) -> ResourceType:
        """The kind it reconciles; every change of such an object brings its key."""

    @property
    def watches(self) -> Sequence[Watch]:
        """Other kinds whose changes matter."""

    @property
    def workers(self) -> int:
        """How many keys may be worked on at once."""

    async def reconcile(self, key: Key) -> Outcome:
        """Bring the object named by ``key`` one step nearer to what it asks for."""
