"""What is committed is what the models say, and it keeps to Kubernetes' and Crossplane's rules."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from provider.api.generation import crds, definition
from provider.api.generation.__main__ import TREE, main, stale_files
from provider.api.generation.output import generated_files
from provider.api.generation.xrd import derive_crd

Json = dict[str, Any]

ALL = {crd["spec"]["names"]["kind"]: crd for crd in crds()}
MACHINE = ALL["BareMetalMachine"]


def schemas(node: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from schemas(child, f"{path}.{name}")
    if "items" in node:
        yield from schemas(node["items"], f"{path}[]")
    if "additionalProperties" in node:
        yield from schemas(node["additionalProperties"], f"{path}{{}}")


def schema(kind: str, *path: str) -> Json:
    node: Json = ALL[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for name in path:
        node = node["items"] if name == "[]" else node["properties"][name]
    return node


def test_committed_files_are_up_to_date() -> None:
    assert stale_files(TREE) == {}


def test_check_names_each_stale_file_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, text in generated_files().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.setattr("provider.api.generation.__main__.TREE", tmp_path)
    assert main(["--check"]) == 0
    (tmp_path / "docs/api.md").write_text("old")
    (tmp_path / "deploy/crds/gone.yaml").write_text("a kind that is no more")
    assert main(["--check"]) == 1
    assert "docs/api.md" in (said := capsys.readouterr().err)
    assert "gone.yaml" in said
    assert main([]) == 0
    assert main(["--check"]) == 0


@pytest.mark.parametrize("kind", sorted(ALL))
def test_schema_is_structural(kind: str) -> None:
    for path, node in schemas(schema(kind)):
        assert "type" in node, f"{kind}{path} has no type"
        assert not {"$ref", "$defs", "title", "anyOf", "const", "allOf"} & set(node), f"{kind}{path}: {sorted(node)}"


@pytest.mark.parametrize("kind", sorted(ALL))
def test_every_field_of_ours_is_described(kind: str) -> None:
    for part in ("spec", "status"):
        if part not in schema(kind)["properties"]:
            continue
        for path, node in schemas(schema(kind, part), part):
            if path.startswith(("spec.crossplane.", "status.conditions[]")) or path.endswith(("[]", "{}")):
                continue
            assert node.get("description"), f"{kind}: {path} has no description"


@pytest.mark.parametrize("kind", ["ServerClaim", "Volume", "VirtualDisk", "VirtualNIC", "PowerState", "EmulatedDisk"])
def test_an_unseen_object_is_born_unsettled(kind: str) -> None:
    assert schema(kind, "status")["default"] == {"observedGeneration": -1}


def test_machine_crd_is_derived_from_the_committed_xrd() -> None:
    committed = yaml.safe_load((TREE / "compositions/definition.yaml").read_text())
    assert committed == definition()
    assert derive_crd(committed) == MACHINE


def test_machine_crd_keeps_crossplanes_rules() -> None:
    version = MACHINE["spec"]["versions"][0]
    columns = [column["name"] for column in version["additionalPrinterColumns"] if not column.get("priority")]
    assert columns == ["STATUS", "SERVER", "IP", "SYNCED", "READY", "COMPOSITION", "AGE"]
    assert MACHINE["spec"]["names"]["categories"] == ["claim", "metalplane", "composite"]
    assert "default" not in schema("BareMetalMachine", "spec")
    assert "default" not in schema("BareMetalMachine", "status")
    assert "selectableFields" not in version
    assert set(schema("BareMetalMachine", "spec", "crossplane")["properties"]) == {
        "compositionRef",
        "compositionSelector",
        "compositionRevisionRef",
        "compositionRevisionSelector",
        "compositionUpdatePolicy",
        "resourceRefs",
    }
    # Crossplane's conditions replace ours: they have no enum for status.
    condition = schema("BareMetalMachine", "status", "conditions", "[]")
    assert condition["properties"]["status"] == {"type": "string"}


def test_labels_and_annotations_reach_the_crd_as_crossplane_carries_them() -> None:
    xrd = definition()
    xrd["metadata"] |= {"labels": {"a": "xrd", "b": "xrd"}, "annotations": {"stays": "on the XRD"}}
    xrd["spec"]["metadata"] = {"labels": {"b": "spec"}, "annotations": {"from": "spec"}}
    metadata = derive_crd(xrd)["metadata"]
    assert metadata["labels"] == {"a": "xrd", "b": "spec"}
    assert metadata["annotations"] == {"from": "spec"}


def test_reference_names_every_field_of_every_kind() -> None:
    page = (TREE / "docs/api.md").read_text()
    for kind in ALL:
        section = page.split(f"\n## {kind}\n")[1].split("\n## ")[0]
        for path, _ in schemas(schema(kind, "spec"), "spec"):
            if "crossplane" not in path and not path.endswith(("[]", "{}")):
                assert f"`{path}`" in section, f"{kind}: {path} is not in docs/api.md"
