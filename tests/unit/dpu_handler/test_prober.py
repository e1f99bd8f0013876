"""The prober's loop: nothing that befalls a probe ends it, and what cannot be asked is not believed to be there."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import ClassVar

import pytest

from dpu_handler.probe import prober as module
from dpu_handler.probe import reachability, vlan
from dpu_handler.probe.arp import Announcement
from dpu_handler.probe.prober import ARPProber, Target
from dpu_handler.southbound import ConnectionLost
from provider.api.emulatednic import Reachability
from tests.unit.dpu_handler.model_dpu import ModelDpu

TARGET = Target("nic", 100, "52:54:00:aa:bb:01", "10.99.0.11")
KNOWN = Reachability(state="Reachable", since=datetime(2026, 11, 24, tzinfo=UTC), address=TARGET.address)
WITHIN_S = 5.0


class Port(vlan.ProbePort):
    """Counts what is asked; ``error`` is raised instead, and ``answer`` comes at once."""

    error: Exception | None = None
    answers = False
    asked = 0
    removal_error: Exception | None = None
    removed: ClassVar[list[str]] = []

    async def remove(self) -> None:
        if Port.removal_error is not None:
            raise Port.removal_error
        Port.removed.append(self._name)

    async def ask(self, address: str) -> None:
        Port.asked += 1
        if Port.error is not None:
            raise Port.error
        if Port.answers:
            self._heard(Announcement(address, TARGET.mac))


class Watch:
    """One target under watch, told Reachable by an agent before this one."""

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.model = ModelDpu()
        self.prober = ARPProber(self.model.clients(), self.changes.append)

    @property
    def state(self) -> str:
        found = self.prober.reachability(TARGET.owner)
        assert found is not None
        return found.state

    async def until(self, fact: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not fact():
            assert time.monotonic() < deadline, f"not in time; {Port.asked} asked, {self.state}"
            await asyncio.sleep(0)

    async def more_probes(self, number: int = 5) -> None:
        asked = Port.asked
        await self.until(lambda: Port.asked >= asked + number)


@pytest.fixture
async def watch(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watch]:
    monkeypatch.setattr(module, "ProbePort", Port)
    monkeypatch.setattr(module, "ANSWER_S", 0.001)
    for pause in ("ASK_EVERY_S", "ASK_AGAIN_EVERY_S"):
        monkeypatch.setattr(reachability, pause, 0.0)
    Port.error, Port.answers = None, False
    Port.removal_error, Port.removed = None, []
    watch = Watch()
    await watch.prober.watch(TARGET, KNOWN)
    yield watch
    watch.prober.close()


@pytest.mark.parametrize(
    ("error", "traceback"),
    [
        (ValueError("not enough values to unpack"), True),
        (ConnectionLost("transact", executed="no"), False),
        (OSError("No such device"), False),
    ],
    ids=["defect", "southbound", "device"],
)
async def test_a_machine_that_cannot_be_asked_is_taken_back_told_once_and_asked_again(
    watch: Watch, caplog: pytest.LogCaptureFixture, error: Exception, traceback: bool
) -> None:
    Port.error = error
    await watch.until(lambda: watch.state == "Unreachable")
    await watch.more_probes()
    (told,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    assert bool(told.exc_info) is traceback
    assert TARGET.address in told.message
    Port.error, Port.answers = None, True
    await watch.until(lambda: watch.state == "Reachable")
    assert watch.changes == ["nic", "nic"]


async def test_a_port_that_cannot_be_removed_holds_back_nobody_and_is_removed_later(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    moved = replace(TARGET, vlan=200)
    Port.removal_error = ConnectionLost("transact", executed="no")
    await watch.prober.watch(moved, KNOWN)
    assert Port.removed == []
    assert "vlan=100" in caplog.text
    Port.removal_error = None
    await watch.prober.watch(moved, KNOWN)
    assert Port.removed == ["mp-probe-100"]


async def test_who_forgets_a_machine_hears_that_its_port_could_not_be_removed(watch: Watch) -> None:
    Port.removal_error = ConnectionLost("transact", executed="no")
    with pytest.raises(ConnectionLost):
        await watch.prober.forget(TARGET.owner, TARGET.vlan)
    Port.removal_error = None
    await watch.prober.forget(TARGET.owner, TARGET.vlan)
    assert Port.removed == ["mp-probe-100"]
