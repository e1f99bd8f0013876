"""What the verbs of devices decide of those that the next stop drops."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from provider.api.names import ANNOTATION_EPHEMERAL_DEVICES
from provider.api.powerstate import PowerState
from provider.apiserver import devices
from provider.apiserver.equipped import Equipped
from provider.apiserver.errors import InvalidOptions, Missing, StateForbids
from provider.apiserver.options import (
    AddNicOptions,
    AddVolumeOptions,
    ExpandOptions,
    RemoveNicOptions,
    RemoveVolumeOptions,
)
from provider.apiserver.stewardship import ARGOCD_TRACKING
from provider.apiserver.verdicts import Decision, NewRun
from tests.unit.apiserver.machines import NEW_RUN, Json, applied, equipped, machine, power_state

SCRATCH: Json = {"name": "scratch", "size": "5Gi"}
ETH1: Json = {"name": "eth1", "network": "blue"}
TRACKED = {ARGOCD_TRACKING: "racks:metalplane.io/BareMetalMachine:tenant-a/bm-01"}


def holding(run: str = "r1", *, marked: str | None = "r1", text: str | None = None, **lists: list[Json]) -> Equipped:
    """A machine of git's with an annotation, in the run ``marked``."""
    told = json.dumps({"run": run, **lists}) if text is None else text
    raw = machine(annotations={**TRACKED, ANNOTATION_EPHEMERAL_DEVICES: told})
    return equipped(raw, power_state(run=marked))


def written(decision: Decision) -> Json | None:
    """What the annotation says from now on."""
    assert decision.annotations.keys() == {ANNOTATION_EPHEMERAL_DEVICES}
    text = decision.annotations[ANNOTATION_EPHEMERAL_DEVICES]
    return None if text is None else json.loads(text)


def test_the_first_device_of_a_run_marks_the_run() -> None:
    seen = equipped(machine(annotations=TRACKED))
    decision = devices.add_volume(seen, AddVolumeOptions(name="scratch", size="5Gi", ephemeral=True))
    assert written(decision) == {"run": NEW_RUN, "disks": [SCRATCH]}
    assert decision.new_run == NewRun(NEW_RUN, "bm-01-power", "5")
    assert not decision.spec
    assert [disk["name"] for disk in decision.trial["disks"]] == ["root", "data", "scratch"]


def test_the_next_device_joins_the_run_that_is_marked() -> None:
    seen = holding(disks=[SCRATCH])
    decision = devices.add_nic(seen, AddNicOptions(name="eth1", network="blue", ephemeral=True))
    assert written(decision) == {"run": "r1", "disks": [SCRATCH], "networkInterfaces": [ETH1]}
    assert decision.new_run is None
    assert decision.trial.keys() == {"disks", "networkInterfaces"}


@pytest.mark.parametrize("marked", [None, "r2"])
def test_what_an_earlier_run_had_is_forgotten_at_the_next_write(marked: str | None) -> None:
    seen = holding(marked=marked, disks=[SCRATCH])
    decision = devices.add_nic(seen, AddNicOptions(name="eth1", network="blue", ephemeral=True))
    assert written(decision) == {"run": marked or NEW_RUN, "networkInterfaces": [ETH1]}
    with pytest.raises(Missing, match="there are root, data"):
        devices.remove_volume(replace(seen, disk_objects={}), RemoveVolumeOptions(name="scratch"))
    by_hand = equipped(machine(annotations={ANNOTATION_EPHEMERAL_DEVICES: '{"run":"r1"}'}), power_state(run=marked))
    grown = devices.expand(by_hand, ExpandOptions(name="data", size="11Gi"))
    assert grown.spec
    assert written(grown) is None


def test_an_edit_of_the_spec_leaves_the_devices_of_this_run_alone() -> None:
    raw = machine(annotations={ANNOTATION_EPHEMERAL_DEVICES: json.dumps({"run": "r1", "disks": [SCRATCH]})})
    decision = devices.expand(equipped(raw, power_state(run="r1")), ExpandOptions(name="data", size="11Gi"))
    assert decision.spec
    assert not decision.annotations


@pytest.mark.parametrize(
    "power", [power_state("Off"), power_state(None), power_state("Unknown"), power_state("On", wanted="Off")]
)
def test_only_a_machine_that_is_on_can_be_given_one(power: PowerState) -> None:
    with pytest.raises(StateForbids, match="start it first"):
        devices.add_volume(equipped(machine(), power), AddVolumeOptions(name="scratch", size="5Gi", ephemeral=True))


def test_a_machine_without_power_yet_can_not_be_given_one() -> None:
    seen = Equipped(machine(), {}, {}, None, NEW_RUN)
    with pytest.raises(StateForbids, match="not started yet"):
        devices.add_volume(seen, AddVolumeOptions(name="scratch", size="5Gi", ephemeral=True))


@pytest.mark.parametrize("until_stop", [True, False])
@pytest.mark.parametrize("name", ["data", "scratch"])
def test_a_name_is_unique_in_spec_and_annotation_together(name: str, until_stop: bool) -> None:
    with pytest.raises(StateForbids, match="another of that name"):
        devices.add_volume(
            holding(disks=[SCRATCH]), AddVolumeOptions(name=name, size="7Gi", image="tiny", ephemeral=until_stop)
        )


def test_the_same_device_twice_is_one_device() -> None:
    again = AddVolumeOptions(name="scratch", size="5Gi", ephemeral=True)
    assert devices.add_volume(holding(disks=[SCRATCH]), again).changes_nothing


def test_a_list_of_gits_is_not_edited_and_says_what_can_be_done() -> None:
    with pytest.raises(StateForbids, match="or add it with ephemeral"):
        devices.add_volume(equipped(machine(annotations=TRACKED)), AddVolumeOptions(name="scratch", size="5Gi"))


def test_one_is_removed_though_git_owns_the_list_and_the_last_takes_the_annotation_along() -> None:
    both = holding(disks=[SCRATCH], networkInterfaces=[ETH1])
    first = devices.remove_volume(both, RemoveVolumeOptions(name="scratch", force=True))
    assert written(first) == {"run": "r1", "networkInterfaces": [ETH1]}
    assert first.let_go == ("VirtualDisk/bm-01-disk-scratch",)
    assert "its volume is deleted" in first.message
    last = devices.remove_nic(holding(networkInterfaces=[ETH1]), RemoveNicOptions(name="eth1"))
    assert written(last) is None
    assert not last.spec


def test_what_is_in_both_is_the_specs() -> None:
    seen = holding(disks=[{"name": "data", "size": "5Gi"}])
    with pytest.raises(StateForbids, match="Argo CD"):
        devices.remove_volume(seen, RemoveVolumeOptions(name="data"))


def test_one_grows_and_does_not_shrink() -> None:
    seen = holding(disks=[SCRATCH])
    larger = devices.expand(seen, ExpandOptions(name="scratch", size="6Gi"))
    assert written(larger) == {"run": "r1", "disks": [{"name": "scratch", "size": "6Gi"}]}
    assert larger.trial["disks"][-1]["size"] == "6Gi"
    assert devices.expand(seen, ExpandOptions(name="scratch", size="5Gi")).changes_nothing
    with pytest.raises(InvalidOptions, match="cannot shrink"):
        devices.expand(seen, ExpandOptions(name="scratch", size="4Gi"))
    assert devices.expand(seen, ExpandOptions(name="scratch", size="big")).trial["disks"][-1]["size"] == "big"


def test_an_annotation_that_makes_no_sense_is_not_written_over() -> None:
    seen = holding(text='{"run":"r1","disks":"all"}')
    verbs: list[Callable[[], Decision]] = [
        lambda: devices.add_volume(seen, AddVolumeOptions(name="scratch", size="5Gi", ephemeral=True)),
        lambda: devices.remove_volume(seen, RemoveVolumeOptions(name="scratch")),
    ]
    for decide in verbs:
        with pytest.raises(StateForbids, match="take it away"):
            decide()


def test_an_annotation_that_somebody_applies_is_his() -> None:
    entry = applied("flux")
    entry["fieldsV1"] = {"f:metadata": {"f:annotations": {f"f:{ANNOTATION_EPHEMERAL_DEVICES}": {}}}}
    seen = equipped(machine(managed=[entry]))
    with pytest.raises(StateForbids, match="field manager flux looks after annotation"):
        devices.add_volume(seen, AddVolumeOptions(name="scratch", size="5Gi", ephemeral=True))
