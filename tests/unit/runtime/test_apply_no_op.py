"""Whether an apply would change anything, told from managedFields: a no-op is never sent, and a change always is."""

from typing import Any

import pytest

from provider.runtime.apply import compact, holds

Json = dict[str, Any]

DESIRED: Json = {
    "metadata": {"name": "x", "namespace": "ns", "labels": {"a": "1"}, "finalizers": ["ours"]},
    "spec": {"size": 1, "conditions": [{"type": "Ready", "status": "True"}]},
}
FIELDS: Json = {
    "f:metadata": {"f:labels": {"f:a": {}}, "f:finalizers": {".": {}, 'v:"ours"': {}}},
    "f:spec": {"f:size": {}, "f:conditions": {'k:{"type":"Ready"}': {".": {}, "f:type": {}, "f:status": {}}}},
}


def current(fields: Json | None = None, *, manager: str = "me", subresource: str = "") -> Json:
    entry = {"manager": manager, "operation": "Apply", "fieldsV1": FIELDS if fields is None else fields}
    if subresource:
        entry["subresource"] = subresource
    return {
        "metadata": {
            "name": "x",
            "namespace": "ns",
            "uid": "u",
            "labels": {"a": "1", "theirs": "2"},
            "finalizers": ["theirs", "ours"],
            "managedFields": [entry],
        },
        "spec": {"size": 1, "theirs": 3, "conditions": [{"type": "Other"}, {"type": "Ready", "status": "True"}]},
    }


def is_no_op(seen: Json, desired: Json = DESIRED, **known: Any) -> bool:
    return holds(seen, desired, **({"field_manager": "me"} | known))


def test_what_we_own_and_desire_already_is_a_no_op_whatever_others_own_beside_it() -> None:
    assert is_no_op(current())


@pytest.mark.parametrize(
    "spec",
    [
        {"size": 2, "conditions": DESIRED["spec"]["conditions"]},
        {"size": 1, "conditions": [{"type": "Ready", "status": "False"}]},
        {"size": 1, "conditions": []},
        {"size": 1, "conditions": DESIRED["spec"]["conditions"], "more": 1},
        {"size": 1},
    ],
    ids=["value", "value in a list", "item gone", "field more", "field less"],
)
def test_any_difference_is_sent(spec: Json) -> None:
    assert not is_no_op(current(), DESIRED | {"spec": spec})


def test_a_field_that_somebody_changed_is_put_back() -> None:
    changed = current()
    changed["spec"]["size"] = 5
    assert not is_no_op(changed)


def test_a_field_that_we_own_and_no_longer_desire_is_taken_away() -> None:
    more = FIELDS | {"f:spec": FIELDS["f:spec"] | {"f:old": {}}}
    assert not is_no_op(current(more))


def test_a_finalizer_that_was_taken_off_is_put_on_again() -> None:
    bare = current()
    bare["metadata"]["finalizers"] = ["theirs"]
    assert not is_no_op(bare)


@pytest.mark.parametrize("other", [{"manager": "somebody"}, {"subresource": "status"}])
def test_what_another_manager_or_subresource_owns_is_not_ours(other: Json) -> None:
    assert not is_no_op(current(**other))


def test_the_status_is_compared_with_what_we_own_of_the_status() -> None:
    seen = current({"f:status": {"f:phase": {}}}, subresource="status") | {"status": {"phase": "x"}}
    desired = {"metadata": {"name": "x", "namespace": "ns", "uid": "u"}, "status": {"phase": "x"}}
    assert is_no_op(seen, desired, subresource="status")
    assert not is_no_op(seen, desired | {"status": {"phase": "y"}}, subresource="status")


@pytest.mark.parametrize(
    ("status", "no_op"),
    [
        ({"more": 0, "orphans": []}, True),
        ({"more": 0}, False),
        ({"more": 0, "orphans": [{"name": "theirs"}]}, False),
    ],
    ids=["empty", "not there", "not empty"],
)
def test_of_a_list_by_keys_that_is_empty_nobody_owns_anything(status: Json, no_op: bool) -> None:
    seen = current({"f:status": {"f:more": {}}}, subresource="status") | {"status": status}
    desired = {"metadata": {"name": "x"}, "status": {"more": 0, "orphans": []}}
    assert is_no_op(seen, desired, subresource="status") is no_op


def test_it_is_told_from_an_object_as_the_cache_keeps_it_too() -> None:
    kept = compact(current())
    assert is_no_op(kept)
    assert not is_no_op(kept, DESIRED | {"spec": {"size": 1}})
    assert compact(kept) == kept


def test_the_cache_keeps_no_fields_of_updates_and_leaves_the_object_that_it_was_given_as_it_is() -> None:
    updated = {"manager": "kubectl", "operation": "Update", "fieldsV1": FIELDS}
    seen = current()
    seen["metadata"]["managedFields"].append(updated)
    entries = compact(seen)["metadata"]["managedFields"]
    assert [type(entry.get("fieldsV1")) for entry in entries] == [str, type(None)]
    assert seen["metadata"]["managedFields"][1] is updated
    assert updated["fieldsV1"] is FIELDS
