"""Names, owners, field managers and garbage of composed resources, by Crossplane's rules."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.api.names import child_name
from provider.composition import children
from provider.composition.children import Desired
from provider.composition.errors import InvalidComposition
from tests.unit.composition.machines import MACHINE_UID, Json, composed, machine, manifest


def desired(resource_name: str = "disk", body: Json | None = None) -> Desired:
    return Desired(resource_name, body or manifest(), ready=False)


def test_the_known_pair_of_owner_and_resource_gives_the_known_suffix() -> None:
    child = children.render(machine(), desired(), None)
    assert child.manifest["metadata"]["name"] == "bm-01-618b3e7956f7"


@given(st.text("abcdefghij-", min_size=1, max_size=253), st.uuids().map(str), st.text(max_size=40))
def test_a_name_fits_a_label_and_keeps_its_suffix(prefix: str, uid: str, resource_name: str) -> None:
    name = child_name(prefix, uid, resource_name)
    suffix = hashlib.sha256((uid + resource_name).encode()).hexdigest()[:12]
    assert len(name) <= 63
    assert name.endswith(f"-{suffix}")
    assert prefix.startswith(name.removesuffix(f"-{suffix}"))


def test_a_name_begins_with_the_composites_label_where_it_has_one() -> None:
    labelled = machine(labels={"crossplane.io/composite": "the-claim"})
    child = children.render(labelled, desired(), None)
    assert child.manifest["metadata"]["name"] == "the-claim-618b3e7956f7"
    assert child.manifest["metadata"]["labels"]["crossplane.io/composite"] == "the-claim"


def test_a_child_that_exists_keeps_its_name() -> None:
    existing = composed("disk", name="as-it-was-called")
    assert children.render(machine(), desired(), existing).manifest["metadata"]["name"] == "as-it-was-called"


@pytest.mark.parametrize(
    ("existing", "asked", "expected"),
    [
        (None, {}, ("bm-01-618b3e7956f7", "bm-01-")),
        (None, {"name": "chosen"}, ("chosen", None)),
        (None, {"generateName": "root-"}, ("root-618b3e7956f7", "root-")),
        (None, {"generateName": "root"}, ("root-618b3e7956f7", "root")),
        (None, {"generateName": "root--"}, ("root--618b3e7956f7", "root--")),
        ({"name": "old"}, {"name": "chosen", "generateName": "root-"}, ("old", None)),
        ({"name": "old", "generateName": "o-"}, {}, ("old", "o-")),
    ],
)
def test_names_are_first_those_it_has_then_the_functions_then_derived(
    existing: Json | None, asked: Json, expected: tuple[str, str | None]
) -> None:
    found = composed("disk", **existing) if existing else None
    named = children.render(machine(), desired(body=manifest() | {"metadata": asked}), found).manifest["metadata"]
    assert (named["name"], named.get("generateName")) == expected


def test_a_child_is_controlled_by_its_machine_and_carries_no_status() -> None:
    body = manifest() | {"status": {"from": "the function"}, "metadata": {"labels": {"mine": "1"}}}
    child = children.render(machine(), desired(body=body), None).manifest
    (owner,) = child["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == (MACHINE_UID, True, True)
    assert child["metadata"]["namespace"] == "tenant-a"
    assert child["metadata"]["annotations"]["crossplane.io/composition-resource-name"] == "disk"
    assert child["metadata"]["labels"] == {"mine": "1", "crossplane.io/composite": "bm-01"}
    assert "status" not in child


def test_the_field_manager_of_children_is_crossplanes() -> None:
    digest = hashlib.sha256(b"bm-01BareMetalMachine.metalplane.io").hexdigest()
    assert children.field_manager(machine()) == f"apiextensions.crossplane.io/composed/{digest}"


def test_what_another_machine_controls_is_neither_observed_nor_garbage() -> None:
    ours, theirs = composed("a"), composed("b", owner="another-machine")
    seen = children.observed(machine(), [ours, theirs])
    assert seen == {"a": ours}
    assert children.garbage(seen, []) == [ours]


def test_an_owner_that_does_not_control_is_no_parent() -> None:
    held = composed("a")
    held["metadata"]["ownerReferences"][0]["controller"] = False
    assert children.observed(machine(), [held]) == {}


def test_an_object_without_a_resource_name_is_left_alone() -> None:
    assert children.observed(machine(), [composed("a", annotations={})]) == {}


@given(st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef")))
def test_garbage_is_exactly_what_is_seen_and_no_longer_desired(seen: set[str], wanted: set[str]) -> None:
    objects = children.observed(machine(), [composed(name) for name in seen])
    left = children.garbage(objects, [desired(name) for name in wanted])
    assert {
        each["metadata"]["annotations"]["crossplane.io/composition-resource-name"] for each in left
    } == seen - wanted


def test_references_are_in_a_stable_order() -> None:
    pair = [
        children.render(machine(), desired(name, manifest(kind)), None)
        for name, kind in (("b", "Volume"), ("a", "PowerState"))
    ]
    forward, backward = children.references(pair), children.references(reversed(pair))
    assert forward == backward
    assert [each["kind"] for each in forward] == ["PowerState", "Volume"]


@pytest.mark.parametrize(
    ("version", "kind"), [("v1", "ConfigMap"), ("metalplane.io/v1alpha1", "Server"), ("v1", "Volume")]
)
def test_a_kind_that_the_engine_does_not_watch_is_refused_by_name(version: str, kind: str) -> None:
    with pytest.raises(InvalidComposition, match=f"{kind} of {version}"):
        children.render(machine(), desired(body=manifest(kind) | {"apiVersion": version}), None)
