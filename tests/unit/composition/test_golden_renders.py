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
    assert {"one-disk", "disks-and-nics", "halted", "image-missing", "image-deleted-while-running"} == NAMES


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
