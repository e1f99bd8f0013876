"""API writes, counted from the audit log of the API server: ours only, without Leases and Events.

Ours are those of the provider and of the agents; what kube-controller-manager and the user write is not counted. A
refused write counts too, for it was asked.
"""

import json
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from provider.api.names import dpu_user
from sandbox import inventory
from tests.bench.waiting import wait_for

Json = dict[str, Any]

OURS = frozenset({inventory.PROVIDER_USER, inventory.FLEET_USER, dpu_user("dpu0")})
_NOT_COUNTED = frozenset({"leases", "events"})
_QUIET_S = 1.5
_QUIET_COMES_WITHIN_S = 30.0
_REFUSED = 400


@dataclass(frozen=True, slots=True)
class Write:
    """One write: when by Unix time, by whom, to what (with ``/status`` for that sub-resource), and how."""

    at: float
    user: str
    resource: str
    verb: str
    code: int

    @property
    def refused(self) -> bool:
        return self.code >= _REFUSED


class Audit:
    """The audit log at ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = 0
        self._writes: list[Write] = []

    def ours(self, since: float, until: float) -> list[Write]:
        """What counts, of the time between two moments."""
        return [write for write in self._ours() if since <= write.at < until]

    def wait_quiet(self, quiet_s: float = _QUIET_S) -> float:
        """Return when nothing of ours was written for a while: the moment, by Unix time."""

        def quiet_since() -> float | None:
            last = max((write.at for write in self._ours()), default=0.0)
            now = time.time()
            return now if now - last > quiet_s else None

        return wait_for("no more API writes of ours", quiet_since, _QUIET_COMES_WITHIN_S + 2 * quiet_s)

    def _ours(self) -> list[Write]:
        """All so far: the log grows, and only what is new is read."""
        with self._path.open("rb") as log:
            log.seek(self._read_bytes)
            for line in log:
                if not line.endswith(b"\n"):  # one that is being written is for the next look
                    break
                self._read_bytes += len(line)
                write = _write(json.loads(line))
                if write.user in OURS and write.resource.partition("/")[0] not in _NOT_COUNTED:
                    self._writes.append(write)
        return self._writes


def by_kind(writes: list[Write]) -> Counter[tuple[str, str]]:
    """How many by resource and verb."""
    return Counter((write.resource, write.verb) for write in writes)


def _write(event: Json) -> Write:
    target = event.get("objectRef", {})
    resource = "/".join(filter(None, (target.get("resource", ""), target.get("subresource"))))
    at = datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()
    return Write(at, event["user"]["username"], resource, event["verb"], event["responseStatus"]["code"])
