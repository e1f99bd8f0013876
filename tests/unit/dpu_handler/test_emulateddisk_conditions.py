"""What the agent says of a disk: each condition from what it saw, and the cause where it cannot go on."""

from dataclasses import replace
from pathlib import Path

import pytest

from dpu_handler.controllers.device import LOOK_AGAIN, RETRY, RETRY_LIMIT_S
from dpu_handler.controllers.emulateddisk import EmulatedDiskController
from dpu_handler.planning.disk import RemoteVolume
from provider.api.resources import EMULATEDDISK
from provider.runtime.controller import Json, Key, RequeueAfter, Settled
from tests.unit.dpu_handler.agent_bench import ApiServer, Bench, device
from tests.unit.dpu_handler.model_dpu import Fault, ModelDpu

VOLUME = "0b5a3c54-93f1-4d9e-8a61-0c2f6f1d7e10"
CONTEXT = {
    "protocol": "nvmf-tcp",
    "uuid": VOLUME,
    "traddr": "10.0.0.1",
    "trsvcid": "4420",
    "subnqn": "nqn.volume",
    "hostnqn": "nqn.server.g1",
}
REMOTE = RemoteVolume(**{name: value for name, value in CONTEXT.items() if name != "protocol"})


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    api, model = ApiServer(), ModelDpu(exports={"nqn.volume": (VOLUME, {"nqn.server.g1"})})
    return Bench(EMULATEDDISK, EmulatedDiskController(api.runtime(), model.clients(), tmp_path), api, model)


def volume(context: dict[str, str] | None = None, name: str = "root") -> Json:
    csi = {"driver": "lvol.csi.metalplane.io", "volumeHandle": "v", "publishContext": context or CONTEXT}
    return device(EMULATEDDISK, name, {"slot": 1, "bootIndex": 1, "source": {"csi": csi}})


def seed() -> Json:
    return device(EMULATEDDISK, "seed", {"slot": 2, "source": {"seed": {"secretRef": {"name": "seed"}}}})


async def ready(bench: Bench, obj: Json) -> Key:
    key = bench.api.put(EMULATEDDISK, obj)
    assert await bench.reconcile(key) == Settled()
    return key


async def test_a_disk_that_is_shown_is_ready_and_described(bench: Bench) -> None:
    key = await ready(bench, volume())
    assert set(bench.conditions(key).values()) == {("True", "")}
    assert list(bench.conditions(key)) == ["Staged", "Exported", "Plugged", "Ready"]
    status = bench.status(key)
    assert (status["bdev"], status["serial"]) == (REMOTE.bdev, REMOTE.bdev)
    assert (status["functionId"], status["controller"], status["sessions"]) == ("slot-1", "mp-uid-root", 0)
    assert bench.model.functions[1]["boot_index"] == 1


async def test_a_second_look_says_the_same(bench: Bench) -> None:
    key = await ready(bench, volume())
    changes = len(bench.model.changes)
    await bench.reconcile(key)
    assert bench.api.written[-1] == bench.api.written[-2]
    assert len(bench.model.changes) == changes


@pytest.mark.parametrize(
    ("at", "missing"), [(0, ["Staged", "Exported", "Plugged"]), (1, ["Exported", "Plugged"]), (2, ["Plugged"])]
)
async def test_the_first_thing_that_is_missing_says_why(bench: Bench, at: int, missing: list[str]) -> None:
    bench.model.fault = Fault(at, executed=False)
    key = bench.api.put(EMULATEDDISK, volume())
    assert await bench.reconcile(key) == RETRY
    conditions = bench.conditions(key)
    assert [type_ for type_, (status, _) in conditions.items() if status == "False"] == [*missing, "Ready"]
    assert "connection was lost" in conditions[missing[0]][1]
    assert conditions["Ready"] == conditions[missing[0]]
    assert {conditions[type_][1] for type_ in missing[1:]} <= {""}
    assert await bench.reconcile(key) == Settled()


async def test_a_refused_host_is_named(bench: Bench) -> None:
    bench.model.exports["nqn.volume"] = (VOLUME, set())
    key = bench.api.put(EMULATEDDISK, volume())
    assert await bench.reconcile(key) == RETRY
    assert "Input/output error" in bench.conditions(key)["Staged"][1]


async def test_a_disk_whose_storage_is_away_is_tried_less_and_less_until_it_is_there(bench: Bench) -> None:
    bench.model.exports["nqn.volume"] = (VOLUME, set())
    key = bench.api.put(EMULATEDDISK, volume())
    outcomes = [await bench.reconcile(key) for _ in range(40)]
    assert outcomes[:5] == [RequeueAfter(delay_s) for delay_s in (0.5, 1.0, 2.0, 4.0, 8.0)]
    assert set(outcomes[5:]) == {RequeueAfter(RETRY_LIMIT_S)}
    bench.model.exports["nqn.volume"] = (VOLUME, {"nqn.server.g1"})
    assert await bench.reconcile(key) == Settled()
    bench.model.functions[1]["state"] = "unplugging"
    assert await bench.reconcile(key) == RETRY, "the next trouble is a new one"


async def test_a_disk_in_trouble_does_not_slow_down_its_neighbour(bench: Bench) -> None:
    bench.model.exports.clear()
    first, second = bench.api.put(EMULATEDDISK, volume()), bench.api.put(EMULATEDDISK, volume(name="data"))
    for _ in range(3):
        await bench.reconcile(first)
    assert await bench.reconcile(second) == RETRY


async def test_each_cause_is_logged_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.model.exports.clear()
    key = bench.api.put(EMULATEDDISK, volume())
    for _ in range(3):
        await bench.reconcile(key)
    assert ["Input/output error" in record.message for record in caplog.records] == [True]
    bench.model.fault = Fault(len(bench.model.changes), executed=False)
    await bench.reconcile(key)
    assert "connection was lost" in caplog.records[-1].message
    assert len(caplog.records) == 2


async def test_a_slot_that_shows_something_else_is_named_and_left_alone(bench: Bench) -> None:
    other = {"slot": 1, "kind": "virtio_blk", "backing": {"vhost_socket": "/run/vhost/mp-other"}}
    bench.model.functions[1] = other | {"state": "plugged", "driver_bound": True}
    key = bench.api.put(EMULATEDDISK, volume())
    assert await bench.reconcile(key) == RETRY
    assert "slot 1 shows /run/vhost/mp-other" in bench.conditions(key)["Ready"][1]
    assert bench.model.functions[1]["backing"] == other["backing"]


async def test_a_disk_on_its_way_out_is_not_plugged(bench: Bench) -> None:
    key = await ready(bench, volume())
    bench.model.functions[1]["state"] = "unplugging"
    assert await bench.reconcile(key) == RETRY
    assert bench.conditions(key)["Plugged"][0] == "False"


async def test_an_unknown_protocol_is_named_and_does_not_hold_up_the_removal(bench: Bench) -> None:
    key = bench.api.put(EMULATEDDISK, volume({"protocol": "iscsi"}))
    assert await bench.reconcile(key) == LOOK_AGAIN
    assert bench.conditions(key)["Ready"] == (
        "Unknown",
        "protocol 'iscsi' is unknown: nvmf-tcp and bdev are spoken here",
    )
    bench.delete(key)
    assert await bench.reconcile(key) == Settled()
    assert bench.conditions(key)["Removed"][0] == "True"


async def test_a_removed_disk_is_gone_before_it_is_said_to_be(bench: Bench) -> None:
    key = await ready(bench, volume())
    bench.delete(key)
    assert await bench.reconcile(key) == Settled()
    assert bench.conditions(key)["Removed"] == ("True", "")
    assert (bench.model.nvme, bench.model.vhost, bench.model.functions) == ({}, {}, {})


async def test_the_socket_that_a_killed_target_left_goes_with_its_disk(tmp_path: Path) -> None:
    api, model = ApiServer(), ModelDpu()
    dpu = replace(model.clients(), vhost_dir=tmp_path / "vhost")
    bench = Bench(EMULATEDDISK, EmulatedDiskController(api.runtime(), dpu, tmp_path), api, model)
    left = dpu.vhost_dir / "mp-uid-root"
    dpu.vhost_dir.mkdir()
    left.touch()
    key = api.put(EMULATEDDISK, volume())
    bench.delete(key)
    assert await bench.reconcile(key) == Settled()
    assert bench.conditions(key)["Removed"][0] == "True"
    assert not left.exists()


async def test_a_removal_that_waits_for_the_server_says_so(bench: Bench) -> None:
    bench.model.powered, bench.model.clinging = True, {1}
    key = await ready(bench, volume())
    bench.delete(key)
    assert await bench.reconcile(key) == RETRY
    said = (
        "the server's operating system has not let go of the disk in slot 1, asked at 2026-11-24 00:00:00Z: "
        "stop using it there, or force it with `bmctl removevolume --force`"
    )
    assert {bench.conditions(key)[type_] for type_ in ("Removed", "Ready")} == {("False", said)}
    assert isinstance(await bench.reconcile(key), RequeueAfter)
    assert bench.api.written[-1] == bench.api.written[-2], "the message stands still while it waits"
    bench.model.powered = False
    assert await bench.reconcile(key) == Settled()
    assert bench.conditions(key)["Removed"][0] == "True"


async def test_a_disk_that_is_forced_is_taken_though_the_server_holds_it(bench: Bench) -> None:
    bench.model.powered, bench.model.clinging = True, {1}
    key = await ready(bench, volume())
    bench.delete(key)
    await bench.reconcile(key)
    assert 1 in bench.model.functions
    bench.model.forced = {1: True}
    bench.force(key)
    assert await bench.reconcile(key) == Settled()
    assert bench.conditions(key)["Removed"] == ("True", "")
    assert (bench.model.nvme, bench.model.vhost, bench.model.functions) == ({}, {}, {})


async def test_a_disk_that_force_does_not_free_says_what_does(bench: Bench) -> None:
    bench.model.powered, bench.model.clinging, bench.model.forced = True, {1}, {1: False}
    key = await ready(bench, volume())
    bench.force(key)
    bench.delete(key)
    assert isinstance(await bench.reconcile(key), RequeueAfter)
    status, message = bench.conditions(key)["Removed"]
    assert (status, "nor was it taken away by force: " in message) == ("False", True)
    assert "switch the server off to free the slot" in message
    assert "--force" not in message
    assert bench.model.vhost, "what the server still uses is served"


async def test_a_disk_that_stays_is_not_torn_out_by_what_is_to_be_so_at_its_removal(bench: Bench) -> None:
    bench.model.powered = True
    key = await ready(bench, volume())
    bench.force(key)
    assert await bench.reconcile(key) == Settled()
    assert bench.model.functions[1]["state"] == "plugged"


async def test_nothing_is_taken_away_without_our_finalizer(bench: Bench) -> None:
    key = await ready(bench, volume())
    obj = bench.api.cache.get(EMULATEDDISK, key)
    assert obj is not None
    obj["metadata"]["finalizers"] = ["somebody/else"]
    bench.delete(key)
    assert await bench.reconcile(key) == Settled()
    assert 1 in bench.model.functions


async def test_a_seed_is_built_from_its_secret_and_removed_with_its_disk(bench: Bench, tmp_path: Path) -> None:
    key = bench.api.put(EMULATEDDISK, seed())
    assert await bench.reconcile(key) == LOOK_AGAIN
    assert "Secret dpu0/seed" in bench.conditions(key)["Ready"][1]
    bench.api.secrets["seed"] = {"meta-data": b"instance-id: 1\n"}
    assert await bench.reconcile(key) == Settled()
    (path,) = (tmp_path / "seeds").iterdir()
    assert bench.model.files == {"seed-uid-seed": str(path)}
    bench.delete(key)
    bench.api.secrets.clear()
    assert await bench.reconcile(key) == Settled()
    assert (list((tmp_path / "seeds").iterdir()), bench.model.files) == ([], {})


async def test_what_is_in_the_seed_of_a_lost_disk_is_kept_for_nobody(bench: Bench, tmp_path: Path) -> None:
    bench.api.secrets["seed"] = {"meta-data": b"instance-id: 1\n"}
    lost, other = seed(), seed()
    other["metadata"] |= {"name": "other", "uid": "uid-other"}
    other["spec"] = other["spec"] | {"slot": 3}
    key, _ = await ready(bench, lost), await ready(bench, other)
    bench.lose(key)
    assert await bench.reconcile(key) == Settled()
    (left,) = (tmp_path / "seeds").iterdir()
    assert left.name.startswith("uid-other-")
    assert "seed-uid-seed" in bench.model.files, "a server may be reading it: an orphan from now on"


async def test_a_changed_secret_brings_its_disks(bench: Bench) -> None:
    key = bench.api.put(EMULATEDDISK, seed())
    bench.api.put(EMULATEDDISK, volume())
    (watch,) = bench.controller.watches
    assert list(watch.to_keys({"metadata": {"name": "seed", "namespace": "dpu0"}})) == [key]
    assert list(watch.to_keys({"metadata": {"name": "another", "namespace": "dpu0"}})) == []


async def test_each_thing_that_happens_to_a_disk_is_an_event_once(bench: Bench) -> None:
    bench.model.exports["nqn.volume"] = (VOLUME, set())
    key = bench.api.put(EMULATEDDISK, volume())
    for _ in range(3):
        await bench.reconcile(key)
    bench.model.exports["nqn.volume"] = (VOLUME, {"nqn.server.g1"})
    for _ in range(3):
        await bench.reconcile(key)
    bench.delete(key)
    for _ in range(3):
        await bench.reconcile(key)
    reasons = [("Warning", "DeviceFailed"), ("Normal", "DevicePlugged"), ("Normal", "DeviceUnplugged")]
    recorded = bench.api.events.recorded
    assert [(type_, reason) for _, type_, reason, _ in recorded] == reasons
    assert "Input/output error" in recorded[0][3]
    assert "slot 1" in recorded[1][3]


async def test_a_disk_that_nobody_can_attach_is_an_event(bench: Bench) -> None:
    key = bench.api.put(EMULATEDDISK, volume({"protocol": "iscsi"}))
    await bench.reconcile(key)
    await bench.reconcile(key)
    assert [(reason, "iscsi" in note) for _, _, reason, note in bench.api.events.recorded] == [("DeviceFailed", True)]
