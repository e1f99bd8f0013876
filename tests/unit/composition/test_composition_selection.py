"""A machine that asks for a Composition which the engine has not is told so, and nothing is made or changed for it."""

from typing import Any

import pytest

from provider.api.names import FINALIZER_COMPOSITE
from provider.api.resources import BAREMETALMACHINE, POWERSTATE, VOLUME
from provider.composition.children import CHILD_KINDS
from provider.composition.controller import CompositionController
from provider.composition.errors import CompositionNotServed
from provider.composition.functions import FunctionRunner
from provider.composition.pipeline import Pipeline, packaged
from provider.composition.requirements import WATCHED_KINDS
from provider.composition.selection import check_selected
from provider.runtime.controller import Key, Settled
from tests.unit.composition.machines import composed, machine
from tests.unit.runtime.model_cluster import ModelCluster

OURS = "baremetalmachines.metalplane.io"
KEY = Key("tenant-a", "bm-01")
GOLD = {"matchLabels": {"tier": "gold"}}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another Composition": (
        {"compositionRef": {"name": "theirs"}},
        "cannot compose by theirs: the embedded engine has",
    ),
    "labels that ours lacks": ({"compositionSelector": GOLD}, "cannot compose by tier=gold: "),
    "a revision by hand": (
        {"compositionUpdatePolicy": "Manual", "compositionRevisionRef": {"name": "ours-abc"}},
        "cannot compose by ours-abc: the embedded engine keeps no revisions",
    ),
    "whatever revision, by hand": (
        {"compositionRef": {"name": OURS}, "compositionUpdatePolicy": "Manual"},
        "set spec.crossplane.compositionUpdatePolicy to Automatic",
    ),
    "labels of a revision": ({"compositionRevisionSelector": GOLD}, "cannot compose by a revision with tier=gold: "),
}
SERVED: dict[str, dict[str, Any]] = {
    "nothing": {},
    "ours": {"compositionRef": {"name": OURS}, "compositionUpdatePolicy": "Automatic"},
    "ours, beside a selector that is not asked": {"compositionRef": {"name": OURS}, "compositionSelector": GOLD},
    "the revision that Crossplane took last": {
        "compositionUpdatePolicy": "Automatic",
        "compositionRevisionRef": {"name": f"{OURS}-1234567"},
    },
}


class Unasked(FunctionRunner):
    """Fails the test when it is asked for anything."""

    async def run(self, *_: object) -> Any:
        raise AssertionError("the function was run")


def asking(crossplane: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    asked = machine(**metadata)
    asked["spec"]["crossplane"] = crossplane
    return asked


@pytest.mark.parametrize("case", SERVED)
def test_what_the_packaged_composition_is_is_served(case: str) -> None:
    check_selected(asking(SERVED[case]), packaged())


def test_a_selector_finds_the_composition_by_its_labels() -> None:
    golden = Pipeline(OURS, (), {"tier": "gold", "more": "yes"})
    check_selected(asking({"compositionSelector": GOLD, "compositionRevisionSelector": GOLD}), golden)
    with pytest.raises(CompositionNotServed):
        check_selected(asking({"compositionSelector": {"matchLabels": {"tier": "tin"}}}), golden)


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("running", [False, True], ids=["new", "running"])
async def test_what_is_not_served_is_named_and_nothing_changes(case: str, running: bool) -> None:
    crossplane, message = REFUSED[case]
    cluster = ModelCluster(BAREMETALMACHINE, *CHILD_KINDS, *WATCHED_KINDS)
    cluster.have(BAREMETALMACHINE, asking(crossplane, finalizers=[FINALIZER_COMPOSITE] if running else []))
    if running:
        cluster.have(VOLUME, composed("volume"))
    before = cluster.every(VOLUME)
    engine = CompositionController(cluster.runtime(), packaged(), Unasked({}))
    assert await engine.reconcile(KEY) == Settled()
    assert [(verb, kind) for verb, kind, *_ in cluster.writes] == [("apply status", "BareMetalMachine")]
    assert (cluster.every(VOLUME), cluster.every(POWERSTATE)) == (before, [])
    seen = cluster.now(BAREMETALMACHINE, "bm-01", "tenant-a")
    assert seen is not None
    assert seen["spec"]["crossplane"] == crossplane
    (synced,) = seen["status"]["conditions"]
    assert (synced["type"], synced["status"], synced["reason"]) == ("Synced", "False", "ReconcileError")
    assert message in synced["message"]
