"""Asks every watched machine whether it is there, and tells when the answer changes."""

import asyncio
import contextvars
import logging
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from dpu_handler.execution.dpu import Dpu
from dpu_handler.probe.arp import Announcement
from dpu_handler.probe.reachability import Verdict
from dpu_handler.probe.vlan import ProbePort
from dpu_handler.southbound import SouthboundError
from provider.api.emulatednic import Reachability

_LOG = logging.getLogger(__name__)
ANSWER_S = 0.4
"""How long a probe may take to be answered; shorter than the pause before the next."""


@dataclass(frozen=True, slots=True)
class Target:
    """One machine's NIC: whose it is, where it is, and which address to ask for."""

    owner: str
    vlan: int
    mac: str
    address: str


@dataclass
class _Watched:
    target: Target
    verdict: Verdict
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    told: str = ""
    """Why it could not be asked, as the log has it already."""


class Prober(Protocol):
    """Knows of each watched machine whether it is there."""

    async def watch(self, target: Target, known: Reachability | None) -> None:
        """Ask for the target from now on. ``known`` is what was believed before the agent was restarted."""

    async def forget(self, owner: str, vlan: int) -> None:
        """Ask no more. Raises ``SouthboundError`` when something that nobody needs could not be removed."""

    def keep_only(self, owners: Set[str]) -> None:
        """Ask for nobody else any more: an object can be gone without its removal ever having been asked for."""

    async def close_left(self) -> None:
        """Remove what nobody needs any more; where that fails, ``has_left`` says so."""

    @property
    def has_left(self) -> bool:
        """Whether something waits to be removed: then watch again soon."""

    def link_down(self, owner: str) -> None:
        """The server's end of the link is down."""

    def reachability(self, owner: str) -> Reachability | None:
        """What is believed; None for a NIC that is not watched."""

    def close(self) -> None:
        """Stop asking."""


class ARPProber:
    """Asks by ARP. ``changed`` is called with the owner whose verdict is another now."""

    def __init__(self, dpu: Dpu, changed: Callable[[str], None]) -> None:
        self._dpu = dpu
        self._changed = changed
        self._watched: dict[str, _Watched] = {}
        self._ports: dict[int, ProbePort] = {}
        self._left: set[int] = set()
        """VLANs that a watched one left: nobody may be there any more."""

    async def watch(self, target: Target, known: Reachability | None) -> None:
        """Ask for the target from now on. ``known`` is what was believed before the agent was restarted.

        The last one that leaves a VLAN takes the agent's port with it: now, or at a later call while ``has_left``.
        """
        present = self._watched.get(target.owner)
        if present is None or present.target != target:
            if present is not None:
                self._stop(present)
            self._start(target, known)
        await self.close_left()

    async def forget(self, owner: str, vlan: int) -> None:
        """Ask no more; the last one of a VLAN takes the agent's port with it, be it an earlier process' port.

        Raises ``SouthboundError`` when a port that nobody needs cannot be removed: later, nobody might come to do it.
        """
        watched = self._watched.pop(owner, None)
        if watched is not None:
            self._stop(watched)
        self._left.add(vlan)
        for left in sorted(self._left):
            await self._close(left)

    def keep_only(self, owners: Set[str]) -> None:
        """Ask for nobody else any more. What that leaves is removed by ``close_left``, which ``watch`` does too."""
        for owner in self._watched.keys() - owners:
            self._stop(self._watched.pop(owner))

    async def close_left(self) -> None:
        """What cannot be removed now is tried again by the next caller; no machine of another VLAN suffers from it."""
        for vlan in sorted(self._left):
            try:
                await self._close(vlan)
            except SouthboundError as error:
                _LOG.warning("vlan=%d its probe port cannot be removed now: %s", vlan, error)

    @property
    def has_left(self) -> bool:
        """Whether a port waits to be removed: then watch again soon."""
        return bool(self._left)

    def link_down(self, owner: str) -> None:
        """The server's end of the link is down."""
        watched = self._watched.get(owner)
        if watched is not None:
            self._set(watched, watched.verdict.link_down(_now()))

    def reachability(self, owner: str) -> Reachability | None:
        """What is believed; None for a NIC that is not watched."""
        watched = self._watched.get(owner)
        if watched is None:
            return None
        verdict = watched.verdict
        since = datetime.fromtimestamp(round(verdict.since_s, 3), UTC)
        return Reachability(state=verdict.state, since=since, address=watched.target.address)

    def close(self) -> None:
        """Stop asking; ports stay for the next agent."""
        for watched in self._watched.values():
            self._stop(watched)

    def _start(self, target: Target, known: Reachability | None) -> None:
        verdict = Verdict("Unreachable", _now())
        if known is not None and known.state == "Reachable" and known.address == target.address:
            # Not taken back on hearsay: it has its probes to answer first.
            verdict = Verdict("Reachable", known.since.timestamp(), 1)
        watched = self._watched[target.owner] = _Watched(target, verdict)
        # In a context of its own: it outlives the reconcile, and so the span, in which it was started.
        watched.task = asyncio.create_task(
            self._ask_forever(watched), name=f"probe-{target.address}", context=contextvars.Context()
        )
        watched.task.add_done_callback(_log_defect)

    async def _close(self, vlan: int) -> None:
        if not any(watched.target.vlan == vlan for watched in self._watched.values()):
            await self._port(vlan).remove()
            self._ports.pop(vlan, None)
        self._left.discard(vlan)

    async def _ask_forever(self, watched: _Watched) -> None:
        while True:
            watched.answered.clear()
            await self._ask(watched)
            try:
                await asyncio.wait_for(watched.answered.wait(), ANSWER_S)
            except TimeoutError:
                self._set(watched, watched.verdict.silent(_now()))
            await asyncio.sleep(watched.verdict.ask_in_s)

    async def _ask(self, watched: _Watched) -> None:
        """Send one probe. One that cannot be sent goes unanswered: no verdict stands for want of a question."""
        told = ""
        try:
            await self._port(watched.target.vlan).ask(watched.target.address)
        except Exception as error:
            told = repr(error)
            if told != watched.told:
                foreseen = isinstance(error, OSError | SouthboundError)
                _LOG.warning("address=%s cannot be asked: %s", watched.target.address, told, exc_info=not foreseen)
        watched.told = told

    def _heard(self, vlan: int, announcement: Announcement) -> None:
        for watched in self._watched.values():
            target = watched.target
            if (target.vlan, target.address, target.mac) == (vlan, announcement.address, announcement.mac):
                watched.answered.set()
                self._set(watched, watched.verdict.answered(_now()))

    def _set(self, watched: _Watched, verdict: Verdict) -> None:
        before, watched.verdict = watched.verdict, verdict
        if before.state != verdict.state:
            _LOG.info("address=%s is %s", watched.target.address, verdict.state)
            self._changed(watched.target.owner)

    def _port(self, vlan: int) -> ProbePort:
        if vlan not in self._ports:
            self._ports[vlan] = ProbePort(self._dpu, vlan, lambda heard: self._heard(vlan, heard))
        return self._ports[vlan]

    def _stop(self, watched: _Watched) -> None:
        self._left.add(watched.target.vlan)
        if watched.task is not None:
            watched.task.cancel()


def _log_defect(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _LOG.error("%s ended", task.get_name(), exc_info=error)


def _now() -> float:
    return datetime.now(UTC).timestamp()
