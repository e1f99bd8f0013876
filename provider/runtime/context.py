"""What a controller is given to work with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from provider.api.conditions import now
from provider.runtime.cache import Cache
from provider.runtime.client import KubeClient
from provider.runtime.events import EventRecorder
from provider.runtime.lease import Leadership
from provider.runtime.metrics import Metrics
from provider.runtime.tracing import Tracer


@dataclass(frozen=True)
class Runtime:
    """One per process. ``client`` asks ``leader`` before each write; who changes anything else asks it himself."""

    client: KubeClient
    cache: Cache
    tracer: Tracer
    events: EventRecorder
    leader: Leadership
    clock: Callable[[], datetime] = now
    metrics: Metrics = field(default_factory=Metrics)
