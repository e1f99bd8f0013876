"""What an agent's probes hear from a light server: it answers as soon as it has power and a link."""

from collections.abc import Callable, Set
from datetime import UTC, datetime

from dpu_handler.probe.prober import Target
from dpu_handler.probe.reachability import Verdict
from provider.api.emulatednic import Reachability
from sandbox.fleet.chassis import LightChassis


class Answers:
    """Stands where the agent's ARP prober would (``dpu_handler.probe.prober.Prober``)."""

    has_left = False

    def __init__(self, chassis: LightChassis, changed: Callable[[str], None]) -> None:
        self._chassis = chassis
        self._changed = changed
        self._watched: dict[str, tuple[Target, Verdict]] = {}

    async def watch(self, target: Target, known: Reachability | None) -> None:
        """Listen to the target from now on."""
        if target.owner not in self._watched:
            state = "Unreachable" if known is None else known.state
            self._watched[target.owner] = (target, Verdict(state, _now_s()))
        self.listen()

    async def forget(self, owner: str, vlan: int) -> None:  # noqa: ARG002  (there are no ports to remove)
        """Listen no more."""
        self._watched.pop(owner, None)

    def keep_only(self, owners: Set[str]) -> None:
        """Listen to nobody else any more."""
        for owner in self._watched.keys() - owners:
            del self._watched[owner]

    async def close_left(self) -> None:
        """Nothing is ever left."""

    def link_down(self, owner: str) -> None:
        """The server's end of the link is down."""
        if owner in self._watched:
            self._set(owner, self._watched[owner][1].link_down(_now_s()))

    def reachability(self, owner: str) -> Reachability | None:
        """What was heard; None for a NIC that is not watched."""
        if owner not in self._watched:
            return None
        target, verdict = self._watched[owner]
        since = datetime.fromtimestamp(round(verdict.since_s, 3), UTC)
        return Reachability(state=verdict.state, since=since, address=target.address)

    def close(self) -> None:
        """Nothing is open."""

    def listen(self) -> None:
        """Hear who answers and who does not; called whenever the server is another than before."""
        for owner, (target, verdict) in list(self._watched.items()):
            answers = self._chassis.answers_as(target.mac)
            self._set(owner, verdict.answered(_now_s()) if answers else verdict.link_down(_now_s()))

    def _set(self, owner: str, verdict: Verdict) -> None:
        target, before = self._watched[owner]
        self._watched[owner] = (target, verdict)
        if before.state != verdict.state:
            self._changed(owner)


def _now_s() -> float:
    return datetime.now(UTC).timestamp()
