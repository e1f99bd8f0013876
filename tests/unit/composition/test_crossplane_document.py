"""What docs/crossplane.md tells an operator to write is what the Composition, the function and the provider need."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from provider.__main__ import arguments as provider_arguments
from provider.api import GROUP
from provider.api.resources import INSTANCETYPE, MACHINEIMAGE
from provider.composition.children import CHILD_KINDS
from provider.composition.pipeline import packaged
from provider.function.__main__ import arguments as function_arguments

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "crossplane.md").read_text()


def blocks(language: str) -> Iterator[str]:
    """The code blocks of a language, without the indentation that a list gives them."""
    for indent, body in re.findall(rf"^( *)```{language}\n(.*?)^ *```$", TEXT, re.MULTILINE | re.DOTALL):
        yield re.sub(rf"^{indent}", "", body, flags=re.MULTILINE)


def documents(kind: str) -> list[Json]:
    found = [each for block in blocks("yaml") for each in yaml.safe_load_all(block)]
    return [each for each in found if each["kind"] == kind]


def rights() -> dict[str, set[str]]:
    (role,) = documents("ClusterRole")
    assert role["metadata"]["labels"] == {"rbac.crossplane.io/aggregate-to-crossplane": "true"}
    assert all(rule["apiGroups"] == [GROUP] for rule in role["rules"])
    return {resource: set(rule["verbs"]) for rule in role["rules"] for resource in rule["resources"]}


def test_crossplane_may_do_what_composing_takes_and_no_more() -> None:
    read = {"get", "list", "watch"}
    # It updates a child before it deletes it: to take its label off.
    composed = {kind.plural: read | {"create", "update", "patch", "delete"} for kind in CHILD_KINDS}
    assert rights() == composed | {kind.plural: read for kind in (MACHINEIMAGE, INSTANCETYPE)}


def test_package_and_installation_name_the_function_that_the_composition_calls() -> None:
    described, installed = documents("Function")
    (step,) = packaged().steps
    assert described["metadata"]["name"] == installed["metadata"]["name"] == step.function
    # Without it Crossplane takes the Composition's pipeline for invalid.
    assert described["spec"]["capabilities"] == ["composition"]
    (runtime,) = documents("DeploymentRuntimeConfig")
    assert installed["spec"]["runtimeConfigRef"]["name"] == runtime["metadata"]["name"]


def test_the_function_takes_the_arguments_that_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    (runtime,) = documents("DeploymentRuntimeConfig")
    (container,) = runtime["spec"]["deploymentTemplate"]["spec"]["template"]["spec"]["containers"]
    monkeypatch.setattr("sys.argv", ["function", *container["args"]])
    parsed = function_arguments()
    assert (parsed.address, parsed.insecure) == ("0.0.0.0:9443", False)


def test_commands_name_what_is_there() -> None:
    (start,) = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("python -m provider")]
    assert provider_arguments(start.split()[3:]).engine == "off"
    named = {path for block in blocks("sh") for path in re.findall(r"compositions/\S+\.yaml", block)}
    assert named == {"compositions/definition.yaml", "compositions/composition.yaml"}
    assert all((ROOT / path).is_file() for path in named)
    assert (ROOT / "deploy/crds/baremetalmachines.metalplane.io.yaml").is_file()
