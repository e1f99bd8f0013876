"""The agent's report on what nobody claims: seen twice, written on change, and removed only while nobody claims it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dpu_handler.controllers.orphans import FIELD_MANAGER, DpuOrphans
from dpu_handler.execution import ports
from dpu_handler.planning.steps import AddPort
from dpu_handler.southbound import ConnectionLost
from provider.api.names import ORPHAN_REPORT
from provider.api.resources import EMULATEDDISK, EMULATEDNIC, ORPHANREPORT
from provider.runtime.controller import Json, Key, RequeueAfter, Settled
from provider.runtime.orphans import OrphanController, Rhythm
from tests.unit.dpu_handler.agent_bench import NAMESPACE, device
from tests.unit.dpu_handler.model_dpu import VHOST_DIR, Fault, ModelDpu, attached
from tests.unit.runtime.model_cluster import ModelCluster, RecordedEvents, merged

UID = "11111111-2222-3333-4444-555555555555"
VOLUME = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
NVME, NQN = "aaaaaaaabbbbccccdd", f"nqn.2026-01.io.metalplane:vol-{VOLUME}"
VHOST = f"mp-{UID}"
KEY = Key(NAMESPACE, ORPHAN_REPORT)
SETTLES_S = 5.0
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class Agent:
    """The controller of the report, over a DPU; time stands still but for ``later``."""

    def __init__(self) -> None:
        self.model = ModelDpu()
        self.cluster = ModelCluster(EMULATEDDISK, EMULATEDNIC, ORPHANREPORT)
        self.now_s = 0.0
        self.start()
        self.cluster.have(ORPHANREPORT, {"metadata": {"name": KEY.name, "namespace": NAMESPACE}, "spec": {}})

    def start(self) -> None:
        """A new process, a second later."""
        self.now_s += 1.0
        self.runtime = replace(self.cluster.runtime(), clock=lambda: BEGAN + timedelta(seconds=self.now_s))
        self.source = DpuOrphans(self.runtime, self.model.clients(), NAMESPACE)
        rhythm = Rhythm(look_every_s=10.0, settles_s=SETTLES_S)
        self.controller = OrphanController(
            FIELD_MANAGER, self.runtime, NAMESPACE, self.source, rhythm=rhythm, clock=lambda: self.now_s
        )

    async def look(self) -> None:
        assert isinstance(await self.controller.reconcile(KEY), RequeueAfter)

    async def later(self) -> None:
        self.now_s += SETTLES_S
        await self.look()

    async def listed(self) -> None:
        await self.look()
        await self.later()

    @property
    def report(self) -> Json:
        report = self.cluster.now(ORPHANREPORT, KEY.name, NAMESPACE)
        assert report is not None
        return report

    @property
    def names(self) -> list[str]:
        return [each["name"] for each in self.report.get("status", {}).get("orphans", ())]

    @property
    def said(self) -> list[tuple[str, str]]:
        assert isinstance(self.runtime.events, RecordedEvents)
        return self.runtime.events.said

    def messages(self) -> dict[str, str]:
        return {each["name"]: each["message"] for each in self.report["status"]["orphans"]}

    def ask(self, **changed: str) -> None:
        """For the removal of all that is listed."""
        keys = ("where", "kind", "name", "since")
        wanted = [{key: each[key] for key in keys} | changed for each in self.report["status"]["orphans"]]
        self.cluster.have(ORPHANREPORT, merged(self.report, {"spec": {"remove": wanted}}))

    def claim(self, *, unseen: bool = False) -> None:
        """An EmulatedDisk of that UID turns up."""
        csi = {"driver": "lvol", "volumeHandle": VOLUME, "publishContext": {"uuid": VOLUME, "subnqn": NQN}}
        disk = device(EMULATEDDISK, "root", {"slot": 1, "source": {"csi": csi}})
        disk["metadata"]["uid"] = UID
        self.cluster.have(EMULATEDDISK, disk, unseen=unseen)


@pytest.fixture
def agent() -> Agent:
    made = Agent()
    made.model.nvme[NVME] = attached(VOLUME, NQN, "nqn.host")
    made.model.vhost[VHOST] = f"{NVME}n1"
    socket = {"vhost_socket": str(VHOST_DIR / VHOST)}
    made.model.functions[1] = {
        "slot": 1,
        "kind": "virtio_blk",
        "backing": socket,
        "state": "plugged",
        "driver_bound": False,
    }
    return made


ALL = {f"slot-1/{VHOST}", VHOST, NVME}


async def test_it_is_listed_at_the_second_look_and_nothing_is_written_at_rest(agent: Agent) -> None:
    await agent.look()
    assert agent.names == []
    await agent.later()
    assert set(agent.names) == ALL
    writes = len(agent.cluster.writes)
    for _ in range(3):
        await agent.later()
    assert len(agent.cluster.writes) == writes
    assert agent.model.changes == [], "looking changes nothing"


async def test_what_is_claimed_is_not_listed(agent: Agent) -> None:
    agent.claim()
    await agent.listed()
    assert agent.names == []


async def test_what_was_without_an_owner_for_a_moment_begins_anew(agent: Agent) -> None:
    await agent.look()
    kept, agent.model.nvme = agent.model.nvme, {}
    await agent.later()
    assert set(agent.names) == {f"slot-1/{VHOST}", VHOST}
    agent.model.nvme = kept
    await agent.look()
    assert NVME not in agent.names


async def test_what_is_asked_for_goes_from_the_top_and_leaves_nothing(agent: Agent) -> None:
    await agent.listed()
    agent.ask()
    await agent.look()
    assert (agent.model.functions, agent.model.vhost, agent.model.nvme) == ({}, {}, {})
    assert agent.names == []
    assert len(agent.said) == len(ALL)


async def test_what_is_not_asked_for_stays(agent: Agent) -> None:
    await agent.listed()
    (function,) = (each for each in agent.report["status"]["orphans"] if each["kind"] == "Function")
    asked = {key: function[key] for key in ("where", "kind", "name", "since")}
    agent.cluster.have(ORPHANREPORT, merged(agent.report, {"spec": {"remove": [asked]}}))
    for _ in range(3):
        await agent.later()
    assert set(agent.names) == {VHOST, NVME}


@pytest.mark.parametrize("unseen", [False, True], ids=["known to the cache", "known to the API server alone"])
async def test_what_has_an_owner_by_now_is_not_removed(agent: Agent, unseen: bool) -> None:
    await agent.listed()
    agent.ask()
    agent.claim(unseen=unseen)
    await agent.look()
    await agent.later()
    assert agent.model.changes == []
    assert set(agent.model.vhost) == {VHOST}


async def test_an_owner_that_turns_up_between_two_steps_keeps_what_is_left(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.model.functions, agent.model.vhost = {}, {}
    await agent.listed()
    agent.ask()
    change = agent.model.change

    def cut_off(method: str) -> bool:
        agent.claim()
        return change(method)

    monkeypatch.setattr(agent.model, "change", cut_off)
    await agent.look()
    assert agent.model.changes == ["bdev_nvme_disable_controller"]
    assert set(agent.model.nvme) == {NVME}, "its disk connects it again"


async def test_a_request_for_an_earlier_one_of_that_name_removes_nothing(agent: Agent) -> None:
    await agent.listed()
    agent.ask(since="2020-01-01T00:00:00Z")
    await agent.later()
    assert agent.model.changes == []


async def test_a_lost_status_removes_nothing(agent: Agent) -> None:
    await agent.listed()
    agent.ask()
    agent.cluster.have(ORPHANREPORT, {**agent.report, "status": {}})
    agent.start()
    await agent.listed()
    await agent.later()
    assert agent.model.changes == []
    assert set(agent.names) == ALL


async def test_a_new_process_looks_twice_before_it_removes(agent: Agent) -> None:
    await agent.listed()
    since = agent.report["status"]
    agent.ask()
    agent.start()
    await agent.look()
    assert agent.model.changes == []
    assert agent.report["status"] == since, "it is listed since when it was seen first"
    await agent.later()
    assert agent.names == []


async def test_what_the_server_uses_stays_until_the_power_is_off_and_says_so(agent: Agent) -> None:
    agent.model.functions[1]["driver_bound"] = agent.model.powered = True
    await agent.listed()
    agent.ask()
    await agent.later()
    assert agent.model.changes == []
    assert "power the server off first" in agent.messages()[f"slot-1/{VHOST}"]
    agent.model.functions[1]["driver_bound"] = agent.model.powered = False
    await agent.later()
    assert agent.names == []


async def test_a_step_that_fails_is_told_and_tried_again(agent: Agent) -> None:
    await agent.listed()
    agent.ask()
    agent.model.fault = Fault(at=0, executed=False)
    await agent.look()
    assert "executed: unknown: it is tried again" in agent.messages()[f"slot-1/{VHOST}"]
    await agent.later()
    assert agent.names == []


async def test_a_port_that_was_made_for_nobody_who_is_left_goes(agent: Agent) -> None:
    agent.model.functions, agent.model.vhost, agent.model.nvme = {}, {}, {}
    await ports.add(agent.model.clients(), AddPort("vm7", 100, "02:00:00:00:00:07", UID, 1500))
    await agent.listed()
    assert agent.names == ["vm7"]
    agent.ask()
    await agent.look()
    assert (agent.model.ports(), agent.names) == ([], [])


async def test_a_dpu_that_does_not_answer_is_told_of_once_and_changes_nothing(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await agent.listed()
    before = agent.report

    async def lost(*_: Any) -> None:
        raise ConnectionLost("bdev_get_bdevs", executed="no")

    monkeypatch.setattr("dpu_handler.controllers.orphans.observe_disks", lost)
    for _ in range(2):
        await agent.later()
    assert agent.report == before
    assert len(caplog.records) == 1


@pytest.fixture
def another(agent: Agent) -> Key:
    key = Key(NAMESPACE, "by-hand")
    agent.cluster.have(ORPHANREPORT, {"metadata": {"name": key.name, "namespace": NAMESPACE}, "spec": {}})
    return key


async def test_another_report_of_the_namespace_is_nobodys(agent: Agent, another: Key) -> None:
    assert await agent.controller.reconcile(another) == Settled()
    assert "status" not in (agent.cluster.now(ORPHANREPORT, another.name, NAMESPACE) or {})
