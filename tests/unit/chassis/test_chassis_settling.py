"""The chassis above a QEMU that refuses a command now and then: no refusal keeps the other slots waiting."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from sandbox.chassis import guest
from sandbox.chassis.boots import BootLedger
from sandbox.chassis.chassis import Chassis
from sandbox.chassis.errors import BackendRefused, FunctionBusy, QemuRefused
from sandbox.chassis.functions import DiskFunction, NicFunction
from sandbox.chassis.process import QemuProcess, QemuSlot
from sandbox.chassis.qemu_command import Hardware, Paths
from sandbox.chassis.state import Power, Slot, State, StateFile

WITHIN_S = 5.0
FIRST, SECOND = (NicFunction(slot, f"vm{slot}", f"52:54:00:aa:bb:0{slot}") for slot in (1, 2))


class Qmp:
    """Answers on QEMU's socket: lists functions in ``present``, and refuses as often as ``refusals`` says."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.refusals: dict[tuple[str, str], int] = {}
        self.present = ["slot1", "slot2"]
        self.hangs_up = False
        self.silent = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'{"QMP": {}}\n')
        while (line := await reader.readline()) and not self.hangs_up:
            request = json.loads(line)
            answer = {**self._answer(request), "id": request["id"]}
            if not self.silent:
                writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()

    def _answer(self, request: dict[str, object]) -> dict[str, object]:
        arguments = request["arguments"]
        assert isinstance(arguments, dict)
        heard = (str(request["execute"]), str(arguments.get("name") or arguments.get("id") or ""))
        self.heard.append(heard)
        if self.refusals.get(heard, 0) > 0:
            self.refusals[heard] -= 1
            return {"error": {"class": "GenericError", "desc": "not now"}}
        return {"return": [{"name": name} for name in self.present] if heard[0] == "qom-list" else {}}


class Running(QemuProcess):
    """A QEMU that runs until it is killed, without a process."""

    def __init__(self) -> None:
        self.pid = 0
        self._ended = asyncio.Event()

    def kill(self) -> None:
        self._ended.set()


class Found(QemuSlot):
    async def adopt(self) -> QemuProcess:
        return Running()


@pytest.fixture
async def qmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Qmp]:
    monkeypatch.setattr(guest, "_SETTLE_AGAIN_S", 0.01)
    qmp = Qmp()
    server = await asyncio.start_unix_server(qmp.serve, tmp_path / "qmp.sock")
    yield qmp
    server.close()


@pytest.fixture
async def begin(tmp_path: Path, qmp: Qmp) -> AsyncIterator[Callable[..., Awaitable[Chassis]]]:
    """Find a running server with these slots."""
    chassis = Chassis(
        Hardware("server", "00000000-0000-0000-0000-000000000000", 1, 64, 2),
        netns="none",
        representors=["vm1", "vm2"],
        paths=Paths(*(tmp_path / name for name in ("qmp.sock", "console.sock", "console.log", "qemu.pid"))),
        qemu=Found(tmp_path),
        file=StateFile(tmp_path),
        ledger=BootLedger(None),
    )

    async def start(*slots: Slot) -> Chassis:
        StateFile(tmp_path).save(State(Power.ON, 1, slots={slot.function.slot: slot for slot in slots}))
        await chassis.start()
        await until(lambda: ("qom-list", "") in qmp.heard)
        return chassis

    yield start
    await chassis.stop()


async def until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not fact():
        assert time.monotonic() < deadline, "the fact did not come true in time"
        await asyncio.sleep(0)


async def test_a_refusal_for_one_slot_leaves_the_next_its_turn_and_is_tried_again(
    qmp: Qmp, begin: Callable[..., Awaitable[Chassis]]
) -> None:
    qmp.refusals = {("set_link", "slot1"): 2}
    await begin(Slot(FIRST, link_up=False), Slot(SECOND, link_up=False))
    await until(lambda: qmp.heard.count(("set_link", "slot1")) == 3)
    links = [heard for heard in qmp.heard if heard[0] == "set_link"]
    assert links[:2] == [("set_link", "slot1"), ("set_link", "slot2")]


async def test_a_function_that_nobody_knows_is_asked_for_after_a_refusal_too(
    qmp: Qmp, begin: Callable[..., Awaitable[Chassis]]
) -> None:
    qmp.refusals = {("set_link", "slot1"): 1}
    await begin(Slot(FIRST, link_up=False))
    await until(lambda: ("device_del", "slot2") in qmp.heard)


async def test_a_cable_that_cannot_be_cut_does_not_keep_the_server_from_being_asked(
    qmp: Qmp, begin: Callable[..., Awaitable[Chassis]]
) -> None:
    chassis = await begin(Slot(FIRST), Slot(SECOND))
    qmp.refusals = {("set_link", "slot1"): 1}
    with pytest.raises(QemuRefused, match="not now"):
        await chassis.unplug(1, wait_for_done=False, force=True)
    await until(lambda: ("device_del", "slot1") in qmp.heard)


async def test_a_server_that_cannot_be_asked_counts_as_one_that_uses_what_it_has(
    qmp: Qmp, begin: Callable[..., Awaitable[Chassis]]
) -> None:
    chassis = await begin(Slot(FIRST))
    qmp.refusals = {("x-query-virtio-status", ""): 1}
    assert await driven(chassis) == [False], "QEMU knows no such device"
    qmp.hangs_up = True
    assert await driven(chassis) == [True]


async def driven(chassis: Chassis) -> list[bool]:
    return [each["driver_bound"] for each in await chassis.list_functions()]


async def test_asking_twice_to_unplug_asks_the_server_once(qmp: Qmp, begin: Callable[..., Awaitable[Chassis]]) -> None:
    chassis = await begin(Slot(FIRST), Slot(SECOND))
    for _ in range(2):
        await chassis.unplug(1, wait_for_done=False, force=False)
    for up in (False, True):
        await chassis.set_link(2, up=up)  # What was asked before these has been heard.
    assert qmp.heard.count(("device_del", "slot1")) == 1


async def test_a_disk_whose_target_dies_while_it_is_plugged_is_not_listed_and_can_be_plugged_again(
    qmp: Qmp, begin: Callable[..., Awaitable[Chassis]], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [True, False, True, True]

    async def accepts(_: str) -> bool:
        return answers.pop(0)

    monkeypatch.setattr("sandbox.chassis.chassis.accepts", accepts)
    qmp.present = []
    chassis, disk = await begin(), DiskFunction(1, "/vhost/disk")
    qmp.refusals = {("x-query-virtio-status", ""): 2}
    with pytest.raises(BackendRefused, match="/vhost/disk"):
        await chassis.plug(disk)
    assert await chassis.list_functions() == []
    await chassis.plug(disk)
    assert [each["slot"] for each in await chassis.list_functions()] == [1]
    assert ("device_add", "slot1") in qmp.heard


async def test_a_server_that_is_silent_is_asked_about_all_its_slots_at_once(
    qmp: Qmp, begin: Callable[..., Awaitable[Chassis]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.chassis.qmp._COMMAND_TIMEOUT_S", 10 * WITHIN_S)
    chassis = await begin(Slot(FIRST), Slot(SECOND))
    qmp.silent = True
    asked = asyncio.create_task(chassis.list_functions())
    await until(lambda: qmp.heard.count(("x-query-virtio-status", "")) == 2)
    asked.cancel()
    await asyncio.wait([asked])


async def test_what_was_plugged_without_an_answer_goes_before_it_is_plugged_again(
    qmp: Qmp, begin: Callable[..., Awaitable[Chassis]]
) -> None:
    qmp.present = []
    chassis = await begin()
    qmp.present = ["slot1"]
    with pytest.raises(FunctionBusy, match="slot 1"):
        await chassis.plug(FIRST)
    assert ("device_del", "slot1") in qmp.heard
    qmp.present = []
    await chassis.plug(FIRST)
    assert ("device_add", "slot1") in qmp.heard
