"""The cache: the newest version wins, what is gone stays gone, and owners and labels find their objects."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.api.resources import NAMESPACE, SECRET, VOLUME
from provider.runtime.cache import Cache, Index
from provider.runtime.controller import Json, Key


def obj(
    name: str = "a", version: int = 1, *, uid: str | None = None, owner: str | None = None, **metadata: Any
) -> Json:
    known: Json = {"name": name, "namespace": "ns", "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    if owner is not None:
        known["ownerReferences"] = [{"uid": owner}]
    return {"kind": "Volume", "metadata": known | metadata}


KEY = Key("ns", "a")


@pytest.fixture
def cache() -> Cache:
    made = Cache()
    made.track(VOLUME)
    return made


@pytest.fixture
def heard(cache: Cache) -> list[str]:
    told: list[str] = []
    cache.subscribe(lambda _, each: told.append(f"{each['metadata']['name']}@{each['metadata']['resourceVersion']}"))
    return told


@given(st.lists(st.integers(1, 99), min_size=1))
def test_in_whatever_order_versions_arrive_the_newest_is_kept(versions: list[int]) -> None:
    cache = Cache()
    cache.track(VOLUME)
    for version in versions:
        cache.observe(VOLUME, obj(version=version))
    known = cache.get(VOLUME, KEY)
    assert known is not None
    assert known["metadata"]["resourceVersion"] == str(max(versions))


def test_versions_are_compared_as_numbers(cache: Cache) -> None:
    cache.observe(VOLUME, obj(version=9))
    cache.observe(VOLUME, obj(version=10))
    assert cache.get(VOLUME, KEY) == obj(version=10)


def test_changes_are_announced_once(cache: Cache, heard: list[str]) -> None:
    for version in (1, 1, 2, 1):
        cache.observe(VOLUME, obj(version=version))
    cache.forget(VOLUME, obj(version=3))
    cache.forget(VOLUME, obj(version=3))
    assert heard == ["a@1", "a@2", "a@3"]


def test_what_is_gone_does_not_rise_from_a_late_answer(cache: Cache) -> None:
    cache.observe(VOLUME, obj(version=1))
    cache.forget(VOLUME, obj(version=2))
    cache.observe(VOLUME, obj(version=5))
    assert cache.get(VOLUME, KEY) is None


def test_a_namesake_is_another_object(cache: Cache) -> None:
    cache.observe(VOLUME, obj(version=1))
    cache.forget(VOLUME, obj(version=2))
    cache.observe(VOLUME, obj(version=3, uid="another"))
    cache.forget(VOLUME, obj(version=4))
    known = cache.get(VOLUME, KEY)
    assert known is not None
    assert known["metadata"]["uid"] == "another"


def test_lifting_the_last_finalizer_of_a_deleted_object_is_its_end(cache: Cache) -> None:
    cache.observe(VOLUME, obj(version=1, deletionTimestamp="t", finalizers=["f"]))
    assert cache.get(VOLUME, KEY) is not None
    cache.observe(VOLUME, obj(version=2, deletionTimestamp="t"))
    assert cache.get(VOLUME, KEY) is None


def test_a_namespace_that_ends_stays_until_its_own_finalizers_are_lifted(cache: Cache) -> None:
    cache.track(NAMESPACE)
    ending = obj(version=1, deletionTimestamp="t", namespace=None)
    cache.observe(NAMESPACE, ending | {"spec": {"finalizers": ["kubernetes"]}})
    assert cache.get(NAMESPACE, Key(None, "a")) is not None


def test_a_full_list_finds_what_the_stream_missed_and_spares_what_is_newer_than_it(
    cache: Cache, heard: list[str]
) -> None:
    for name, version in (("stale", 5), ("kept", 6), ("newer", 50)):
        cache.observe(VOLUME, obj(name, version))
    heard.clear()
    cache.replace(VOLUME, [obj("kept", 6), obj("found", 20)], "30", None)
    assert [each["metadata"]["name"] for each in cache.list(VOLUME)] == ["found", "kept", "newer"]
    assert sorted(heard) == ["found@20", "stale@5"]


def test_a_list_of_one_namespace_says_nothing_of_others(cache: Cache) -> None:
    cache.observe(VOLUME, obj("elsewhere", 1, namespace="other"))
    cache.replace(VOLUME, [], "30", "ns")
    assert len(cache.list(VOLUME)) == 1


def test_objects_are_found_by_owner_and_follow_a_change_of_owner(cache: Cache) -> None:
    cache.observe(VOLUME, obj("b", 1, owner="m1"))
    cache.observe(VOLUME, obj("a", 1, owner="m1"))
    assert [each["metadata"]["name"] for each in cache.by_owner(VOLUME, "m1")] == ["a", "b"]
    cache.observe(VOLUME, obj("b", 2, owner="m2"))
    assert [each["metadata"]["name"] for each in cache.by_owner(VOLUME, "m1")] == ["a"]
    cache.forget(VOLUME, obj("b", 3))
    assert cache.by_owner(VOLUME, "m2") == []


def test_a_list_narrows_by_namespace_and_by_all_labels(cache: Cache) -> None:
    cache.observe(VOLUME, obj("both", labels={"x": "1", "y": "2"}))
    cache.observe(VOLUME, obj("one", labels={"x": "1"}))
    cache.observe(VOLUME, obj("abroad", labels={"x": "1", "y": "2"}, namespace="other"))
    assert [each["metadata"]["name"] for each in cache.list(VOLUME, "ns", {"x": "1", "y": "2"})] == ["both"]
    assert len(cache.list(VOLUME, labels={"x": "1"})) == 3


def test_touching_announces_what_is_there_and_nothing_else(cache: Cache, heard: list[str]) -> None:
    cache.observe(VOLUME, obj())
    heard.clear()
    cache.touch(VOLUME, KEY)
    cache.touch(VOLUME, Key("ns", "nobody"))
    assert heard == ["a@1"]


def test_a_kind_that_nobody_watches_is_a_defect_to_read_and_passes_by_when_written(cache: Cache) -> None:
    cache.observe(SECRET, obj())
    with pytest.raises(LookupError, match="Secret is not watched"):
        cache.get(SECRET, KEY)


def test_an_index_made_late_knows_what_is_there_and_follows_what_comes(cache: Cache) -> None:
    sizes = Index(VOLUME, lambda each: each["metadata"].get("annotations", {}).get("sizes", "").split())
    cache.observe(VOLUME, obj("a", annotations={"sizes": "small large"}))
    assert [each["metadata"]["name"] for each in cache.by(sizes, "large")] == ["a"]
    cache.observe(VOLUME, obj("b", annotations={"sizes": "large"}))
    cache.observe(VOLUME, obj("a", 2, annotations={"sizes": "small"}))
    assert [each["metadata"]["name"] for each in cache.by(sizes, "large")] == ["b"]
    cache.forget(VOLUME, obj("b"))
    assert cache.by(sizes, "large") == []
    assert [each["metadata"]["name"] for each in cache.by(sizes, "small")] == ["a"]
