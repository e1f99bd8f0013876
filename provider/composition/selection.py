"""Which Composition a machine asks for, by Crossplane's fields, held against the one that this engine has. Pure.

Crossplane 2.3 takes ``compositionRef`` as it is, else any Composition with the labels of ``compositionSelector``, else
the XRD's default; with the update policy Manual it stays with the revision named in ``compositionRevisionRef``, with
Automatic it takes the latest, of those with the labels of ``compositionRevisionSelector``, which a revision has from
its Composition (``internal/controller/apiextensions/composite/api.go``). This engine has one Composition, of the
version that came with it. It says so of whatever it cannot give, and overwrites no choice.
"""

from collections.abc import Mapping
from typing import Any

from provider.composition.errors import CompositionNotServed
from provider.composition.pipeline import Pipeline

Json = dict[str, Any]


def check_selected(machine: Json, pipeline: Pipeline) -> None:
    """Raise ``CompositionNotServed`` if the machine asks for anything but ``pipeline``."""
    asked = machine["spec"].get("crossplane", {})
    name = asked.get("compositionRef", {}).get("name")
    if name is not None and name != pipeline.composition:
        raise _not_served(
            name,
            f"the embedded engine has the Composition {pipeline.composition} only",
            "write that name in spec.crossplane.compositionRef, or take the reference away",
        )
    if name is None and not _carries(pipeline.labels, asked.get("compositionSelector")):
        raise _not_served(
            _told(asked["compositionSelector"]),
            f"{pipeline.composition}, the only one of the embedded engine, lacks such labels",
            "take spec.crossplane.compositionSelector away",
        )
    _check_revision(asked, pipeline)


def _check_revision(asked: Json, pipeline: Pipeline) -> None:
    if asked.get("compositionUpdatePolicy") == "Manual":
        raise _not_served(
            asked.get("compositionRevisionRef", {}).get("name", "a revision that stays"),
            "the embedded engine keeps no revisions: its Composition is that of the provider's version",
            "set spec.crossplane.compositionUpdatePolicy to Automatic",
        )
    if not _carries(pipeline.labels, asked.get("compositionRevisionSelector")):
        raise _not_served(
            "a revision with " + _told(asked["compositionRevisionSelector"]),
            f"{pipeline.composition}, the only one of the embedded engine, lacks such labels",
            "take spec.crossplane.compositionRevisionSelector away",
        )


def _carries(labels: Mapping[str, str], selector: Json | None) -> bool:
    return selector is None or selector["matchLabels"].items() <= labels.items()


def _told(selector: Json) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(selector["matchLabels"].items()))


def _not_served(subject: str, cause: str, next_step: str) -> CompositionNotServed:
    return CompositionNotServed("compose by", subject=subject, cause=cause, next_step=next_step)
