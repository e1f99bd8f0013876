"""The Composition as the engine reads it: a sequence of steps, each a function to call. Pure.

Source: ``apiextensions.crossplane.io/v1`` Composition, mode Pipeline.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import yaml

from provider.composition.errors import InvalidComposition

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One call of the pipeline."""

    name: str
    function: str
    input: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A Composition's name, steps and labels."""

    composition: str
    steps: tuple[Step, ...]
    labels: Mapping[str, str] = field(default_factory=dict)


def packaged() -> Pipeline:
    """The Composition that comes with the package."""
    text = resources.files("compositions").joinpath("composition.yaml").read_text()
    return parse(yaml.safe_load(text))


def parse(composition: Json) -> Pipeline:
    """The pipeline of a Composition. Raises ``InvalidComposition``."""
    name = composition["metadata"]["name"]
    spec = composition["spec"]
    if spec.get("mode", "Pipeline") != "Pipeline" or not spec.get("pipeline"):
        raise InvalidComposition(
            "read Composition", subject=name, cause="it has no pipeline", next_step="set mode: Pipeline and its steps"
        )
    steps = tuple(Step(step["step"], step["functionRef"]["name"], step.get("input", {})) for step in spec["pipeline"])
    return Pipeline(name, steps, composition["metadata"].get("labels", {}))
