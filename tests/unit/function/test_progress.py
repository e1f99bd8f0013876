"""Readiness, what is waited for, and the times of the steps."""

import pytest

from provider.function.compose import answer
from tests.unit.function.scenes import MADE_AT, ROOT, Json, grown, machine, observe, unready


def test_a_child_without_a_status_counts_as_in_progress() -> None:
    wanted = machine()
    children = grown(wanted)
    del children["disk-root"]["status"]
    told = answer(observe(wanted, children))
    assert told.ready["disk-root"] is False
    assert (told.progressing.status, told.progressing.reason) == ("True", "Creating")
    assert told.progressing.message == "VirtualDisk disk-root: not looked at yet"


def test_a_machine_without_a_status_is_pending_until_its_children_are_seen() -> None:
    told = answer(observe(machine()))
    assert told.status.printable_status == "Pending"
    assert not any(told.ready.values())
    assert told.progressing.status == "True"


def test_ready_for_an_earlier_generation_is_not_ready() -> None:
    wanted = machine()
    children = grown(wanted)
    children["volume-root"]["metadata"]["generation"] = 2
    told = answer(observe(wanted, children))
    assert told.ready["volume-root"] is False
    assert (told.progressing.reason, told.progressing.message) == (
        "Creating",
        "Volume volume-root: not looked at yet",
    )


@pytest.mark.parametrize(
    ("change", "changed"),
    [({"disks": [ROOT | {"size": "2Gi"}]}, "Volume volume-root"), ({"runStrategy": "Halted"}, "PowerState power")],
    ids=["grown", "halted"],
)
def test_a_child_that_is_yet_to_be_changed_is_not_ready(change: Json, changed: str) -> None:
    children = grown(machine())
    told = answer(observe(machine(**change), children))
    assert [name for name, ready in told.ready.items() if not ready] == [changed.split()[1]]
    assert (told.progressing.reason, told.progressing.message) == ("Creating", f"{changed} is being changed")


def test_what_others_filled_in_beside_it_does_not_make_a_child_another() -> None:
    wanted = machine()
    children = grown(wanted)
    children["disk-root"]["spec"]["forProvider"] |= {"bus": "virtio-blk", "volumeRef": {"name": "found"}}
    assert all(answer(observe(wanted, children)).ready.values())


def test_a_failure_is_told_before_what_is_only_waited_for() -> None:
    wanted = machine()
    children = grown(wanted)
    unready(children["volume-root"], "Creating", "not bound yet")
    unready(children["power"], "BMCAuthenticationFailed", "the BMC refused the password", synced=False)
    told = answer(observe(wanted, children)).progressing
    assert (told.status, told.reason) == ("False", "BMCAuthenticationFailed")
    assert told.message == "PowerState power: the BMC refused the password"


def test_of_several_children_the_first_in_the_order_of_a_provisioning_is_told() -> None:
    wanted = machine()
    children = grown(wanted)
    for name in ("power", "disk-root", "volume-root"):
        unready(children[name], "Creating", f"{name} is slow")
    assert answer(observe(wanted, children)).progressing.message == "Volume volume-root: volume-root is slow"


def test_a_machine_that_is_on_waits_for_its_answer_and_is_not_ready_before() -> None:
    wanted = machine()
    children = grown(wanted)
    children["nic-eth0"]["status"]["atProvider"]["reachability"]["state"] = "Unreachable"
    told = answer(observe(wanted, children))
    assert told.progressing.reason == "WaitingForAnswer"
    assert told.ready["power"] is False
    assert [name for name, ready in told.ready.items() if not ready] == ["power"]


def test_a_halted_machine_that_is_off_is_ready_and_stopped() -> None:
    wanted = machine(runStrategy="Halted")
    children = grown(wanted)
    children["power"]["status"]["atProvider"]["state"] = "Off"
    children["nic-eth0"]["status"]["atProvider"]["reachability"]["state"] = "Unreachable"
    told = answer(observe(wanted, children))
    assert all(told.ready.values())
    assert (told.status.printable_status, told.progressing.reason) == ("Stopped", "Stopped")


def test_the_timeline_takes_each_step_from_its_children_and_never_goes_back() -> None:
    wanted = machine()
    children = grown(wanted)
    at = [each.step for each in answer(observe(wanted, children)).status.timeline]
    assert at == ["ServerBound", "VolumesReady", "NICsReady", "DisksReady", "PoweredOn", "Answering"]
    children["volume-root"]["status"]["conditions"][0] = children["volume-root"]["status"]["conditions"][0] | {
        "lastTransitionTime": "2026-01-01T10:00:30Z"
    }
    times = [each.at for each in answer(observe(wanted, children)).status.timeline]
    assert times == sorted(times)


def test_a_step_that_was_told_stays_as_it_was() -> None:
    told = {"timeline": [{"step": "ServerBound", "at": "2026-01-01T09:00:00Z"}]}
    wanted = machine(status=told)
    children = grown(wanted)
    unready(children["claim"], "Creating")
    first = answer(observe(wanted, children)).status.timeline[0].to_json()
    assert first == {"step": "ServerBound", "at": "2026-01-01T09:00:00Z"}


def test_a_step_is_not_told_before_the_ones_ahead_of_it() -> None:
    wanted = machine()
    children = grown(wanted)
    unready(children["volume-root"], "Creating")
    assert [each.step for each in answer(observe(wanted, children)).status.timeline] == ["ServerBound"]


@pytest.mark.parametrize("field", ["serverName", "addresses", "powerState", "traceId"])
def test_the_status_repeats_what_the_children_tell(field: str) -> None:
    wanted = machine()
    status = answer(observe(wanted, grown(wanted))).status.to_json()
    expected = {
        "serverName": "server-1",
        "addresses": ["10.20.0.11/24"],
        "powerState": "On",
        "traceId": "11111111222233334444555555555555",
    }
    assert status[field] == expected[field]


def test_a_machine_that_goes_says_so_whatever_else_is_wrong() -> None:
    wanted = machine(disks=[ROOT])
    wanted["metadata"]["deletionTimestamp"] = MADE_AT
    told = answer(observe(wanted, {}, images=[]))
    assert told.status.printable_status == "Deleting"
    assert told.progressing.reason == "Deleting"


def test_a_machine_that_goes_names_the_child_that_goes_next_and_what_it_waits_for() -> None:
    going = machine()
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    children = grown(going)
    unready(children["power"], "PoweringOff", "the server has until 10:00:00Z to shut down")
    told = answer(observe(going, children)).progressing
    assert (told.reason, told.message) == ("Deleting", "PowerState power: the server has until 10:00:00Z to shut down")
    del children["power"]
    unready(children["seed"], "WaitingForGuest", "the server still uses it")
    assert answer(observe(going, children)).progressing.message == "VirtualDisk seed: the server still uses it"
