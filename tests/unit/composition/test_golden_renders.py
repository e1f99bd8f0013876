"""The golden renders are up to date and tell their stories; every example composes."""

import asyncio
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from provider.composition import render
from provider.composition.render import STORIES, Story, main, outputs
from tests.unit.composition.machines import MACHINE_UID

Json = dict[str, Any]

EXAMPLES = sorted((STORIES.parent / "examples").glob("*.yaml"))
NAMES = {path.name for path in STORIES.iterdir() if path.is_dir()}


def told(story: str) -> tuple[Json, dict[str, Json]]:
    """The committed output of a story: the machine, and the children by their resource names."""
    machine, *children = yaml.safe_load_all((STORIES / story / "output.yaml").read_text())
    return machine, {_resource_name(child): child for child in children}


def progressing(machine: Json) -> Json:
    found: Json = next(each for each in machine["status"]["conditions"] if each["type"] == "Progressing")
    return found


def test_committed_outputs_are_up_to_date() -> None:
    rendered = outputs(STORIES)
    assert {path: path.read_text() for path in rendered} == rendered


def test_check_names_each_stale_output_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "rendered"
    shutil.copytree(STORIES, copy)
    monkeypatch.setattr("provider.composition.render.STORIES", copy)
    assert main(["--check"]) == 0
    (copy / "halted" / "output.yaml").write_text("old")
    (copy / "one-disk" / "output.yaml").unlink()
    assert main(["--check"]) == 1
    said = capsys.readouterr().err
    assert "halted/output.yaml is out of date" in said
    assert "one-disk/output.yaml is out of date" in said
    assert "disks-and-nics" not in said
    assert main([]) == 0
    assert main(["--check"]) == 0


def test_the_stories_of_the_composition_are_all_told() -> None:
    begun = {"one-disk", "disks-and-nics", "server-by-selector", "kept-volumes"}
    lacking = {"image-missing", "instance-type-missing", "no-fitting-server", "disk-added-without-its-image"}
    on_the_way = {"volume-being-cloned", "started-and-silent", "no-network-interface", "running"}
    kept = {"image-deleted-while-running", "image-replaced", "instance-type-changed"}
    changed = {"disk-added", "disk-exchanged", "disk-grown"}
    passing = {f"ephemeral-devices-{each}" for each in ("added", "dropped", "unreadable")}
    at_rest = {"halted", "manual-and-off", "deleting"}
    in_trouble = {"failing-child", "paused-child", "agent-lost"}
    assert begun | lacking | on_the_way | kept | changed | passing | at_rest | in_trouble == NAMES


@pytest.mark.parametrize(
    ("story", "word", "reason", "ready"),
    [
        ("server-by-selector", "Pending", "Creating", "False"),
        ("instance-type-missing", "Pending", "InstanceTypeNotFound", "False"),
        ("no-fitting-server", "Unschedulable", "NoFittingServer", "False"),
        ("volume-being-cloned", "Provisioning", "Creating", "False"),
        ("failing-child", "Failed", "ProvisioningFailed", "False"),
        ("started-and-silent", "Starting", "WaitingForAnswer", "False"),
        ("no-network-interface", "Starting", "WaitingForAnswer", "False"),
        ("running", "Running", "Provisioned", "True"),
        ("image-replaced", "Running", "Provisioned", "True"),
        ("instance-type-changed", "Running", "Provisioned", "True"),
        ("disk-added", "Running", "Creating", "False"),
        ("disk-grown", "Running", "Creating", "False"),
        ("disk-added-without-its-image", "Running", "ImageNotFound", "False"),
        ("ephemeral-devices-added", "Running", "Creating", "False"),
        ("ephemeral-devices-dropped", "Starting", "Creating", "False"),
        ("ephemeral-devices-unreadable", "Running", "EphemeralDevicesUnreadable", "True"),
        ("paused-child", "Running", "ReconcilePaused", "True"),
        ("agent-lost", "Unknown", "AgentLost", "False"),
        ("manual-and-off", "Stopped", "Provisioned", "True"),
        ("deleting", "Deleting", "Deleting", "False"),
    ],
)
def test_what_each_story_comes_to(story: str, word: str, reason: str, ready: str) -> None:
    machine, _ = told(story)
    assert machine["status"]["printableStatus"] == word
    assert progressing(machine)["reason"] == reason
    assert next(each["status"] for each in machine["status"]["conditions"] if each["type"] == "Ready") == ready


def test_inputs_of_stories_read_in_crossplanes_own_renderer_too() -> None:
    inputs = [path for path in STORIES.glob("*/*.yaml") if path.name != "output.yaml"]
    assert {path.name for path in inputs} == {"xr.yaml", "observed.yaml", "required.yaml"}
    # It takes a comment above the first separator for a document with nothing in it, and refuses the file.
    assert [path for path in inputs if re.match(r"(#.*\n)+---", path.read_text())] == []


def test_one_disk_makes_claim_volume_disk_seed_and_power() -> None:
    _, children = told("one-disk")
    assert set(children) == {"claim", "volume-root", "disk-root", "seed", "power"}


def test_a_halted_machine_keeps_its_children_and_is_stopped() -> None:
    machine, children = told("halted")
    assert machine["status"]["printableStatus"] == "Stopped"
    assert children["power"]["spec"]["forProvider"]["state"] == "Off"
    assert set(children) == _observed("halted")


@pytest.mark.parametrize(
    "story",
    [
        *("running", "started-and-silent", "no-network-interface", "no-fitting-server", "volume-being-cloned"),
        *(
            "ephemeral-devices-unreadable",
            "image-replaced",
            "instance-type-changed",
            "manual-and-off",
            "paused-child",
            "agent-lost",
            "failing-child",
        ),
    ],
)
def test_what_changes_around_a_machine_changes_no_child(story: str) -> None:
    _, children = told(story)
    seen = {_resource_name(each): each["spec"] for each in _documents(story)}
    assert {name: child["spec"] for name, child in children.items()} == seen


def test_a_server_by_selector_asks_for_labels_and_no_size() -> None:
    _, children = told("server-by-selector")
    wanted = children["claim"]["spec"]["forProvider"]
    assert wanted["serverSelector"] == {"matchLabels": {"rack": "r1", "gpu": "yes"}}
    assert not {"cpus", "memory", "instanceType"} & set(wanted)


def test_volumes_are_kept_as_asked_and_data_volumes_unasked() -> None:
    _, children = told("kept-volumes")
    policies = {
        name: children[f"volume-{name}"]["spec"].get("managementPolicies") for name in ("root", "data", "scratch")
    }
    without_delete = ["Observe", "Create", "Update", "LateInitialize"]
    assert policies == {"root": without_delete, "data": without_delete, "scratch": None}


def test_a_disk_that_is_added_takes_a_free_slot_and_moves_no_other() -> None:
    _, children = told("disk-added")
    slots = {name: child["spec"]["forProvider"].get("slot") for name, child in children.items()}
    assert (slots["disk-root"], slots["seed"], slots["disk-extra"]) == (1, 2, 3)


def test_a_disk_that_is_exchanged_does_not_get_the_slot_of_the_one_that_leaves() -> None:
    _, children = told("disk-exchanged")
    assert _observed("disk-exchanged") - set(children) == {"volume-old", "disk-old"}
    (leaving,) = [each for each in _documents("disk-exchanged") if _resource_name(each) == "disk-old"]
    assert children["disk-new"]["spec"]["forProvider"]["slot"] != leaving["spec"]["forProvider"]["slot"]


def test_devices_for_one_run_come_beside_those_of_the_spec_and_go_with_the_run() -> None:
    passing = {"volume-scratch", "disk-scratch", "nic-eth1"}
    _, added = told("ephemeral-devices-added")
    assert set(added) - _observed("ephemeral-devices-added") == passing
    assert {name for name, child in added.items() if "metalplane.io/run" in child["metadata"]["labels"]} == passing
    assert "managementPolicies" not in added["volume-scratch"]["spec"]
    _, dropped = told("ephemeral-devices-dropped")
    assert _observed("ephemeral-devices-dropped") - set(dropped) == passing


def test_a_disk_without_its_image_is_the_only_child_that_is_not_made() -> None:
    _, children = told("disk-added-without-its-image")
    assert set(children) == _observed("disk-added-without-its-image")


def test_a_machine_that_is_deleted_composes_nothing_and_names_what_is_left() -> None:
    machine, children = told("deleting")
    assert children == {}
    assert "spec" not in machine
    assert progressing(machine)["message"].startswith("Volume volume-root: ")


def test_a_missing_image_composes_nothing_and_is_named() -> None:
    machine, children = told("image-missing")
    assert children == {}
    assert machine["status"]["printableStatus"] == "Pending"
    assert progressing(machine)["reason"] == "ImageNotFound"
    assert "MachineImage tomorrow" in progressing(machine)["message"]


def test_a_running_machine_outlives_its_image() -> None:
    machine, children = told("image-deleted-while-running")
    assert machine["status"]["printableStatus"] == "Running"
    assert set(children) == _observed("image-deleted-while-running")
    seen = {_resource_name(each): each for each in _documents("image-deleted-while-running")}
    assert {name: each["spec"] for name, each in children.items()} == {
        name: each["spec"] for name, each in seen.items()
    }


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_every_example_is_composed_whole(path: Path) -> None:
    machine = yaml.safe_load(path.read_text())
    machine["metadata"] |= {"uid": MACHINE_UID, "generation": 1}
    written, *children = asyncio.run(render.render(Story(machine, required=tuple(_cluster(machine)))))
    disks, nics = machine["spec"]["disks"], machine["spec"].get("networkInterfaces", [])
    expected = {"claim", "seed", "power"} | {f"nic-{nic['name']}" for nic in nics}
    expected |= {f"{kind}-{disk['name']}" for disk in disks for kind in ("volume", "disk")}
    assert {_resource_name(child) for child in children} == expected
    assert written["status"]["printableStatus"] == "Pending"


def _cluster(machine: Json) -> list[Json]:
    spec = machine["spec"]
    image: Json = {"sha256": "a" * 64, "sizeBytes": 1, "allowedNamespaces": ["*"]}
    images = [_object("MachineImage", disk["image"], image) for disk in spec["disks"] if "image" in disk]
    types = (
        [_object("InstanceType", spec["instanceType"], {"cpus": 2, "memory": "4Gi"})] if "instanceType" in spec else []
    )
    return [*images, *types]


def _object(kind: str, name: str, spec: Json) -> Json:
    return {"apiVersion": "metalplane.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _documents(story: str) -> list[Json]:
    return list(yaml.safe_load_all((STORIES / story / "observed.yaml").read_text()))


def _observed(story: str) -> set[str]:
    return {_resource_name(each) for each in _documents(story)}


def _resource_name(child: Json) -> str:
    name: str = child["metadata"]["annotations"]["crossplane.io/composition-resource-name"]
    return name
