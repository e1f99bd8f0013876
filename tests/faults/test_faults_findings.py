"""What the kill harness finds by itself: two writers in a target's log, and the cell that a case belongs to."""

from pathlib import Path
from typing import Any

import pytest

from tests.faults.calls import Call
from tests.faults.cases import Case, cases
from tests.faults.fault import BM_API, CONTROLLER_MANAGER, Fault, common_name
from tests.faults.table import Result, markdown, read, write
from tests.faults.writers import Disks, Exports, Request, attached_twice, two_writers

Json = dict[str, Any]
Told = tuple[str, Json]

CREATE: Told = ("nvmf_create_subsystem", {"nqn": "v"})
OTHER: Told = ("nvmf_create_subsystem", {"nqn": "w"})
DELETE: Told = ("nvmf_delete_subsystem", {"nqn": "v"})


def host(name: str, verb: str = "add") -> Told:
    return f"nvmf_subsystem_{verb}_host", {"nqn": "v", "host": name}


def shows(nqn: str, bdev: str = "b") -> Told:
    return "nvmf_subsystem_add_ns", {"nqn": nqn, "namespace": {"bdev_name": bdev}}


def attach(name: str, nqn: str = "v") -> Told:
    return "bdev_nvme_attach_controller", {"name": name, "subnqn": nqn}


def vhost(name: str, bdev: str = "vn1") -> Told:
    return "vhost_create_blk_controller", {"ctrlr": name, "dev_name": bdev}


def log(*told: Told) -> list[Request]:
    return [Request(at, method, params) for at, (method, params) in enumerate(told)]


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ([CREATE, host("h.g1"), host("h.g1", "remove"), host("h.g2")], 0),
        ([CREATE, host("h.g1"), host("h.g2")], 1),
        ([CREATE, host("h.g1"), DELETE, CREATE, host("h.g2")], 0),
        ([host("h.g1"), CREATE, host("h.g2")], 0),
        ([CREATE, shows("v"), OTHER, shows("w")], 1),
        ([CREATE, shows("v"), DELETE, OTHER, shows("w")], 0),
        ([CREATE, shows("v"), shows("v")], 0),
        ([("nvmf_create_subsystem", {"nqn": "v", "allow_any_host": True})], 1),
        ([CREATE, host("h.g1"), DELETE, CREATE, host("h.g1")], 0),
        ([CREATE, host("h.g1"), DELETE, CREATE, host("h.g2"), DELETE, CREATE, host("h.g1")], 1),
    ],
    ids=[
        *("one after the other", "two at once", "across subsystems", "one that was refused"),
        *("shown twice", "shown again", "asked twice", "open to all", "the same again", "the last but one again"),
    ],
)
def test_two_hosts_or_two_exports_of_one_volume_are_seen(told: list[Told], found: int) -> None:
    assert len(two_writers(log(*told), None, Exports)) == found


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ([attach("a"), ("bdev_nvme_detach_controller", {"name": "a"}), attach("b")], 0),
        ([attach("a"), attach("b")], 1),
        ([attach("a"), attach("a")], 0),
        ([vhost("1"), ("vhost_delete_controller", {"ctrlr": "1"}), vhost("2")], 0),
        ([vhost("1"), vhost("2")], 1),
    ],
    ids=["one after the other", "two at once", "asked twice", "moved", "shown twice"],
)
def test_a_volume_that_a_dpu_has_twice_is_seen(told: list[Told], found: int) -> None:
    assert len(two_writers(log(*told), None, Disks)) == found


def test_a_target_that_was_started_anew_lets_nobody_in() -> None:
    told = log(CREATE, host("h.g1"), CREATE, host("h.g2"))
    assert two_writers(told, 1, Exports) == []
    assert two_writers(told, None, Exports) == ["v lets in ['h.g1', 'h.g2']"]


def test_a_host_that_another_followed_does_not_come_back_with_a_new_target() -> None:
    told = log(CREATE, host("h.g1"), host("h.g1", "remove"), host("h.g2"), CREATE, host("h.g1"))
    assert two_writers(told, 3, Exports) == ["v lets h.g1 in again, after h.g2"]


def test_two_attachments_of_a_volume_are_seen() -> None:
    assert attached_twice(["pv-1", "pv-2"]) == []
    assert attached_twice(["pv-1", "pv-2", "pv-1"]) == ["2 VolumeAttachments of pv-1"]


def test_every_call_is_met_by_every_fault_that_it_can_meet() -> None:
    export = Call("lvol", "spdk nvmf_subsystem_add_host", 1)
    met = [str(case) for case in cases({"create": [export]}) if case.phase == "create"]
    call = "lvol: spdk nvmf_subsystem_add_host #1"
    assert met == [
        *(f"create: {victim} killed {edge} {call}" for victim in ("lvol", "spdk-storage", CONTROLLER_MANAGER)
          for edge in ("before", "after")),
        f"create: kube-apiserver hangs for 30 s before {call}",
        f"create: kube-apiserver away for 30 s before {call}",
    ]  # fmt: skip


def test_a_verb_is_struck_at_whoever_wrote_it_down_and_at_whoever_carries_it_out() -> None:
    recorded = Call(common_name("api1"), "kube apply PowerState", 1)
    carried_out = Call("provider", "bmc GracefulShutdown", 1)
    met = {str(case) for case in cases({"restart": [recorded, carried_out]}) if case.phase == "restart"}
    call = f"{BM_API}: kube apply PowerState #1"
    assert {f"restart: {victim} killed before {call}" for victim in (BM_API, "kube-apiserver", "etcd")} < met
    call = "provider: bmc GracefulShutdown #1"
    assert {f"restart: {victim} killed after {call}" for victim in ("provider", "bmc-server0", "chassis-server0")} < met


def test_a_move_is_struck_at_both_dpus_and_under_writes() -> None:
    attached = Call("agent-dpu1", "spdk bdev_nvme_attach_controller", 1)
    met = [str(case) for case in cases({"move": [attached]}) if case.phase == "move"]
    call = "agent-dpu1: spdk bdev_nvme_attach_controller #1"
    assert {f"move: {victim} killed before {call}" for victim in ("agent-dpu1", "spdk-dpu1")} < set(met)
    assert {"move: dpu0 fenced", "move: dpu0 hangs for 10 s", "move: spdk-dpu0/disks killed"} < set(met)


def test_a_move_without_a_call_stands_in_one_table_with_those_at_calls() -> None:
    attached = Call("agent-dpu1", "spdk bdev_nvme_attach_controller", 1)
    results = [Result(case, "ok", 1.0) for case in cases({"move": [attached]}) if case.phase == "move"]
    told = markdown(results)
    assert told.startswith("| move: step ")
    assert all(f"| {row} " in told for row in ("dpu0", "server0", attached))
    assert told.endswith(f"\n{len(results)} ok, 0 failed, 0 not made\n")


def test_a_row_for_each_step_and_a_column_for_each_fault(tmp_path: Path) -> None:
    switch = Call("agent-dpu0", "ovsdb transact", 1)
    created = [
        Case("create", switch, "before", Fault("killed", victim)) for victim in ("agent-dpu0", "ovsdb-server-dpu0")
    ]
    failed = Case("create", switch, "before", Fault("killed", "ovs-vswitchd-dpu0"))
    written = Case("run", None, "before", Fault("hangs", "kube-apiserver", 30.0))
    results = [Result(case, "ok", 1.0) for case in created]
    results += [Result(failed, "FAILED", 1.0, "left over:\na port"), Result(written, "not made", 1.0, "no such call")]
    write(results, tmp_path / "faults.json")
    assert read(tmp_path / "faults.json") == results
    assert (tmp_path / "faults.md").read_text() == markdown(results)
    assert markdown(results).splitlines() == [
        "| create: step                  | caller killed before | called killed before                               |",
        "|-------------------------------|----------------------|----------------------------------------------------|",
        "| agent-dpu0: ovsdb transact #1 | ok                   | FAILED (ovs-vswitchd-dpu0); ok (ovsdb-server-dpu0) |",
        "",
        "| run: what is struck | hangs    |",
        "|---------------------|----------|",
        "| kube-apiserver      | not made |",
        "",
        "### create: ovs-vswitchd-dpu0 killed before agent-dpu0: ovsdb transact #1",
        "",
        "    left over:",
        "    a port",
        "",
        "### Not made",
        "",
        "- run: kube-apiserver hangs for 30 s: no such call",
        "",
        "2 ok, 1 failed, 1 not made",
    ]
