"""The image recipes agree with what is around them: they are not built here, for that needs a container engine."""

import re

import pytest

from sandbox.paths import SOURCE
from tests.integration.deploy.helm import Helm, example
from tests.integration.deploy.test_wheel import PROGRAMS

RECIPES = SOURCE / "deploy" / "images"


def recipe(part: str) -> str:
    return (RECIPES / f"Containerfile.{part}").read_text()


@pytest.mark.parametrize("part", ["provider", "agent"])
def test_a_recipe_installs_its_parts_extra_and_runs_as_nobody(part: str) -> None:
    text = recipe(part)
    assert re.findall(r"\.whl\)\[(\w+)\]", text) == [part]
    assert "USER 65532:65532" in text
    assert "--locked" in text
    assert "--constraint requirements.lock" in text


@pytest.mark.parametrize("part", ["provider", "agent"])
def test_a_recipe_copies_what_the_wheel_is_built_from(part: str) -> None:
    copied = {
        path for line in re.findall(r"^COPY (?!--from)(.+) \S+$", recipe(part), re.MULTILINE) for path in line.split()
    }
    assert copied >= {
        "pyproject.toml",
        "Cargo.toml",
        "Cargo.lock",
        "README.md",
        "LICENSE",
        "native",
        "requirements.lock",
    }
    assert copied >= {"provider", "dpu_handler", "bmctl", "sandbox", "compositions"}
    for path in copied:
        assert (SOURCE / path).exists()


def test_recipes_differ_in_nothing_but_the_part() -> None:
    def steps(part: str) -> list[str]:
        lines = [line for line in recipe(part).splitlines() if not line.startswith("#")]
        return [line for line in lines if "whl" not in line and not line.startswith("CMD")]

    assert steps("provider") == steps("agent")


def test_every_pod_runs_a_program_that_its_image_has(helm: Helm) -> None:
    run = set()
    for obj in helm.template(example("full")):
        if obj["kind"] in ("Deployment", "DaemonSet"):
            (container,) = obj["spec"]["template"]["spec"]["containers"]
            part = re.split("[:@]", container["image"])[0].rsplit("/", 1)[1]
            python, option, module = container["command"]
            assert (python, option) == ("python", "-m")
            run.add((part, module))
    assert run == {(part, module) for part in ("provider", "agent") for module in PROGRAMS[part]}
