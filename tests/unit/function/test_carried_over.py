"""What was resolved once is read back: nothing that a running machine needs is ever given up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.function.compose import answer
from tests.unit.function.scenes import (
    DATA,
    DIGEST,
    ETH0,
    OTHER_DIGEST,
    ROOT,
    Json,
    grown,
    image,
    instance_type,
    machine,
    observe,
)


def test_all_children_are_composed_together() -> None:
    composed = answer(observe(machine(disks=[ROOT, DATA]))).desired
    assert set(composed) == {
        "claim",
        "volume-root",
        "disk-root",
        "volume-data",
        "disk-data",
        "seed",
        "nic-eth0",
        "power",
    }


@pytest.mark.parametrize(
    ("images", "types", "reason"), [([], [instance_type()], "ImageNotFound"), ([image()], [], "InstanceTypeNotFound")]
)
def test_a_new_machine_that_lacks_something_gets_no_child_and_says_what_it_lacks(
    images: list[Json], types: list[Json], reason: str
) -> None:
    told = answer(observe(machine(), images=images, types=types))
    assert told.desired == {}
    assert told.status.printable_status == "Pending"
    assert (told.progressing.status, told.progressing.reason) == ("False", reason)
    assert {each.kind for each in told.asks} == {"MachineImage", "InstanceType"}


@pytest.mark.parametrize("missing", ["image", "type", "both"])
def test_children_stay_as_they_are_when_what_they_were_made_from_vanishes(missing: str) -> None:
    wanted = machine(disks=[ROOT, DATA])
    children = grown(wanted)
    whole = answer(observe(wanted, children))
    bereft = answer(
        observe(
            wanted,
            children,
            images=[image()] if missing == "type" else [],
            types=[instance_type()] if missing == "image" else [],
        )
    )
    assert bereft.desired == whole.desired
    assert bereft.status == whole.status
    assert bereft.asks == ()


def test_the_image_is_pinned_by_its_content_and_read_back_from_the_volume() -> None:
    wanted = machine()
    composed = answer(observe(wanted, grown(wanted), images=[image(sha256=OTHER_DIGEST)])).desired
    assert composed["volume-root"]["spec"]["forProvider"]["imageDigest"] == DIGEST


def test_a_volume_without_its_pin_yet_takes_the_image_as_it_is() -> None:
    wanted = machine()
    children = grown(wanted)
    del children["volume-root"]["spec"]["forProvider"]["imageDigest"]
    composed = answer(observe(wanted, children, images=[image(sha256=OTHER_DIGEST)])).desired
    assert composed["volume-root"]["spec"]["forProvider"]["imageDigest"] == OTHER_DIGEST


def test_a_changed_instance_type_moves_nobody() -> None:
    wanted = machine()
    composed = answer(observe(wanted, grown(wanted), types=[instance_type(cpus=64)])).desired
    assert composed["claim"]["spec"]["forProvider"]["cpus"] == 2


def test_a_child_goes_only_when_the_spec_drops_it() -> None:
    before = machine(disks=[ROOT, DATA], nics=[ETH0, ETH0 | {"name": "eth1"}])
    after = machine(disks=[ROOT], nics=[ETH0])
    children = grown(before)
    assert set(children) - set(answer(observe(after, children)).desired) == {"volume-data", "disk-data", "nic-eth1"}


def test_a_new_disk_whose_image_is_missing_does_not_cost_the_machine_its_others() -> None:
    children = grown(machine())
    told = answer(observe(machine(disks=[ROOT, DATA | {"image": "tomorrow"}]), children))
    assert set(told.desired) == set(children)
    assert told.progressing.reason == "ImageNotFound"


@pytest.mark.parametrize("strategy", ["Always", "Manual", "Halted"])
def test_the_run_strategy_changes_the_desired_power_and_no_child(strategy: str) -> None:
    children = grown(machine())
    composed = answer(observe(machine(runStrategy=strategy), children)).desired
    assert set(composed) == set(children)
    state = composed["power"]["spec"]["forProvider"].get("state")
    assert state == {"Always": "On", "Manual": None, "Halted": "Off"}[strategy]


@pytest.mark.parametrize(("keep", "boot", "kept"), [(None, True, False), (None, False, True), (False, False, False)])
def test_a_disk_that_is_kept_is_managed_without_delete(keep: bool | None, boot: bool, kept: bool) -> None:
    disk = ({} if keep is None else {"keep": keep}) | (ROOT if boot else DATA)
    disks = [disk] if boot else [ROOT, disk]
    volume = answer(observe(machine(disks=disks))).desired[f"volume-{disk['name']}"]
    assert ("Delete" not in volume["spec"].get("managementPolicies", ["Delete"])) == kept


names = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=6)


@given(first=names, second=names)
def test_a_disk_and_a_nic_keep_their_slots_when_others_come_and_go(first: list[str], second: list[str]) -> None:
    before, after = _with_devices(first), _with_devices(second)
    children = grown(before)
    composed = answer(observe(after, children)).desired
    slots = [child["spec"]["forProvider"]["slot"] for child in composed.values() if child["kind"] == "VirtualDisk"]
    assert len(slots) == len(set(slots))
    leaving = {name: child for name, child in children.items() if name not in composed}
    for name, child in composed.items():
        field = {"VirtualDisk": "slot", "VirtualNIC": "index"}.get(child["kind"])
        if field is None:
            continue
        place = child["spec"]["forProvider"][field]
        if name in children:
            assert place == children[name]["spec"]["forProvider"][field]
        assert place not in [
            other["spec"]["forProvider"][field] for other in leaving.values() if other["kind"] == child["kind"]
        ], "a slot is taken until what sits in it is gone"


def test_the_boot_disk_sits_in_slot_1_and_the_seed_in_slot_2() -> None:
    composed = answer(observe(machine(disks=[DATA, ROOT]))).desired
    placed = {name: composed[name]["spec"]["forProvider"]["slot"] for name in ("disk-root", "seed", "disk-data")}
    assert placed == {"disk-root": 1, "seed": 2, "disk-data": 3}
    assert composed["disk-root"]["spec"]["forProvider"]["bootIndex"] == 1
    assert "bootIndex" not in composed["disk-data"]["spec"]["forProvider"]


def _with_devices(letters: list[str]) -> Json:
    disks = [ROOT, *({"name": letter, "size": "1Gi"} for letter in letters)]
    return machine(disks=disks, nics=[{"name": letter, "network": "tenant-a"} for letter in letters])
