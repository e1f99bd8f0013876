"""What each verb of disks and interfaces decides."""

from collections.abc import Callable

import pytest

from provider.apiserver import devices
from provider.apiserver.errors import Missing, StateForbids
from provider.apiserver.options import (
    AddNicOptions,
    AddVolumeOptions,
    ExpandOptions,
    RemoveNicOptions,
    RemoveVolumeOptions,
)
from provider.apiserver.stewardship import ARGOCD_TRACKING, FIELD_MANAGER
from provider.apiserver.verdicts import Decision
from tests.unit.apiserver.machines import applied, equipped, machine


def test_a_disk_is_added_beside_the_others() -> None:
    decision = devices.add_volume(equipped(machine()), AddVolumeOptions(name="scratch", size="5Gi", keep=False))
    assert [disk["name"] for disk in decision.spec["disks"]] == ["root", "data", "scratch"]
    assert decision.spec["disks"][-1] == {"name": "scratch", "size": "5Gi", "keep": False}


def test_the_same_disk_twice_is_one_disk() -> None:
    assert devices.add_volume(equipped(machine()), AddVolumeOptions(name="data", size="10Gi")).changes_nothing


def test_another_disk_of_the_same_name_is_refused() -> None:
    with pytest.raises(StateForbids, match="another of that name"):
        devices.add_volume(equipped(machine()), AddVolumeOptions(name="data", size="11Gi"))


def test_an_interface_is_added_to_a_machine_without_any() -> None:
    bare = machine()
    del bare["spec"]["networkInterfaces"]
    decision = devices.add_nic(equipped(bare), AddNicOptions(name="eth0", network="tenant-a"))
    assert decision.spec == {"networkInterfaces": [{"name": "eth0", "network": "tenant-a"}]}


def test_a_disk_is_removed_and_its_volume_kept() -> None:
    decision = devices.remove_volume(equipped(machine()), RemoveVolumeOptions(name="data"))
    assert [disk["name"] for disk in decision.spec["disks"]] == ["root"]
    assert not decision.let_go
    assert "its volume is kept" in decision.message


def test_force_names_the_object_to_take() -> None:
    disk = devices.remove_volume(equipped(machine()), RemoveVolumeOptions(name="data", force=True))
    assert disk.let_go == ("VirtualDisk/bm-01-disk-data",)
    nic = devices.remove_nic(equipped(machine()), RemoveNicOptions(name="eth0", force=True))
    assert nic.let_go == ("VirtualNIC/bm-01-nic-eth0",)


def test_force_also_takes_what_was_asked_to_go_before_and_is_held_on_to() -> None:
    seen = equipped(machine(networkInterfaces=[]))
    disk = devices.remove_volume(seen, RemoveVolumeOptions(name="scratch", force=True))
    nic = devices.remove_nic(seen, RemoveNicOptions(name="eth0", force=True))
    assert disk == Decision("disk scratch is taken away by force", let_go=("VirtualDisk/bm-01-disk-scratch",))
    assert nic == Decision("network interface eth0 is taken away by force", let_go=("VirtualNIC/bm-01-nic-eth0",))
    assert not disk.changes_nothing


def test_what_was_asked_to_go_before_is_not_asked_again() -> None:
    seen = equipped(machine(annotations={ARGOCD_TRACKING: "app"}, networkInterfaces=[]))
    disk = devices.remove_volume(seen, RemoveVolumeOptions(name="scratch"))
    nic = devices.remove_nic(seen, RemoveNicOptions(name="eth0"))
    assert (disk.changes_nothing, nic.changes_nothing) == (True, True)
    assert "disk scratch is being taken away already" in disk.message


def test_nothing_is_pulled_out_of_a_machine_that_is_being_deleted() -> None:
    leaving = machine()
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    with pytest.raises(StateForbids, match="it is being deleted"):
        devices.remove_volume(equipped(leaving), RemoveVolumeOptions(name="scratch", force=True))


def test_the_boot_disk_stays() -> None:
    with pytest.raises(StateForbids, match="boots from it"):
        devices.remove_volume(equipped(machine()), RemoveVolumeOptions(name="root"))


def test_what_is_not_there_is_named_with_what_is() -> None:
    with pytest.raises(Missing, match="there are root, data"):
        devices.remove_volume(equipped(machine()), RemoveVolumeOptions(name="date"))


def test_a_disk_grows_where_it_stands() -> None:
    decision = devices.expand(equipped(machine()), ExpandOptions(name="root", size="2Gi"))
    assert decision.spec["disks"][0] == {"name": "root", "boot": True, "image": "tiny", "size": "2Gi"}
    assert decision.spec["disks"][1] == {"name": "data", "size": "10Gi"}
    assert devices.expand(equipped(machine()), ExpandOptions(name="data", size="10Gi")).changes_nothing


@pytest.mark.parametrize(
    "steward",
    [
        {"annotations": {ARGOCD_TRACKING: "racks:metalplane.io/BareMetalMachine:tenant-a/bm-01"}},
        {"managed": [applied("kubectl", "disks", "networkInterfaces")]},
    ],
)
def test_a_list_that_somebody_else_looks_after_is_not_edited(steward: dict[str, object]) -> None:
    held = equipped(machine(**steward))  # type: ignore[arg-type]
    verbs: list[Callable[[], Decision]] = [
        lambda: devices.add_volume(held, AddVolumeOptions(name="scratch", size="5Gi")),
        lambda: devices.remove_volume(held, RemoveVolumeOptions(name="data")),
        lambda: devices.expand(held, ExpandOptions(name="data", size="11Gi")),
        lambda: devices.add_nic(held, AddNicOptions(name="eth1", network="tenant-a")),
        lambda: devices.remove_nic(held, RemoveNicOptions(name="eth0")),
    ]
    for decide in verbs:
        with pytest.raises(StateForbids, match="edit the machine where") as refused:
            decide()
        assert refused.value.causes[0].reason == "FieldManagerConflict"


def test_an_edit_of_ours_or_of_a_person_keeps_nobody_out() -> None:
    by_hand = [applied("kubectl-edit", "disks", operation="Update"), applied(FIELD_MANAGER, "disks")]
    decision = devices.remove_volume(equipped(machine(managed=by_hand)), RemoveVolumeOptions(name="data"))
    assert decision.spec
