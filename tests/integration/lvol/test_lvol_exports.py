"""Exports through CSI: one host for each volume, a new one at each attach, and all of them back after a crash."""

import uuid

import grpc
import pytest

from tests.integration.lvol.storage_node import MIB, StorageNode
from tests.waiting import wait_for

NODE, OTHER = str(uuid.uuid4()), str(uuid.uuid4())


def test_a_volume_is_published_to_exactly_one_host(storage_node: StorageNode, name: str) -> None:
    volume = storage_node.create(name, size_bytes=64 * MIB).volume_id
    context = storage_node.publish(volume, NODE)
    assert storage_node.hosts(context["subnqn"]) == [context["hostnqn"]]
    assert NODE in context["hostnqn"]
    assert (context["protocol"], context["uuid"]) == ("nvmf-tcp", volume)
    with pytest.raises(grpc.RpcError) as refused:
        storage_node.publish(volume, OTHER)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert storage_node.hosts(context["subnqn"]) == [context["hostnqn"]]


def test_publishing_again_changes_nothing(storage_node: StorageNode, name: str) -> None:
    volume = storage_node.create(name, size_bytes=64 * MIB).volume_id
    context = storage_node.publish(volume, NODE)
    before = len(storage_node.changes())
    assert storage_node.publish(volume, NODE) == context
    assert storage_node.changes()[before:] == []


def test_a_publication_takes_as_few_requests_as_spdk_needs(storage_node: StorageNode, name: str) -> None:
    volume = storage_node.create(name, size_bytes=64 * MIB).volume_id
    before = len(storage_node.changes())
    storage_node.publish(volume, NODE)
    assert storage_node.changes()[before:] == [
        *("nvmf_create_subsystem", "nvmf_subsystem_add_ns", "nvmf_subsystem_add_host", "nvmf_subsystem_add_listener")
    ]


def test_each_attach_is_a_host_of_its_own(storage_node: StorageNode, name: str) -> None:
    volume = storage_node.create(name, size_bytes=64 * MIB).volume_id
    first = storage_node.publish(volume, NODE)
    for _ in range(2):
        storage_node.unpublish(volume, NODE)
    assert storage_node.hosts(first["subnqn"]) == []
    second = storage_node.publish(volume, NODE)
    assert second["hostnqn"] != first["hostnqn"]
    assert storage_node.hosts(second["subnqn"]) == [second["hostnqn"]]


def test_a_published_volume_is_not_deleted(storage_node: StorageNode, name: str) -> None:
    volume = storage_node.create(name, size_bytes=64 * MIB).volume_id
    context = storage_node.publish(volume, NODE)
    with pytest.raises(grpc.RpcError) as refused:
        storage_node.delete(volume)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert storage_node.hosts(context["subnqn"]) == [context["hostnqn"]]
    storage_node.unpublish(volume, NODE)
    storage_node.delete(volume)


def test_a_published_volume_grows_before_its_node_has_read_its_size(storage_node: StorageNode, name: str) -> None:
    volume = storage_node.create(name, size_bytes=64 * MIB).volume_id
    context = storage_node.publish(volume, NODE)
    assert storage_node.expand(volume, 128 * MIB) == 128 * MIB
    assert storage_node.lvol(volume)["size_bytes"] == 128 * MIB
    assert storage_node.hosts(context["subnqn"]) == [context["hostnqn"]]


def test_a_volume_whose_node_may_be_cut_off_does_not_grow(storage_node: StorageNode, name: str) -> None:
    volume = storage_node.create(name, size_bytes=64 * MIB).volume_id
    context = storage_node.publish(volume, NODE)
    storage_node.kill_driver()  # the next one does not know whether the node was ever connected
    storage_node.start_driver()
    with pytest.raises(grpc.RpcError) as refused:
        storage_node.expand(volume, 128 * MIB)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert f"node {NODE} holds it and is not connected" in (refused.value.details() or "")
    assert storage_node.lvol(volume)["size_bytes"] == 64 * MIB
    assert storage_node.expand(volume, 64 * MIB) == 64 * MIB
    assert storage_node.hosts(context["subnqn"]) == [context["hostnqn"]]
    storage_node.unpublish(volume, NODE)
    assert storage_node.expand(volume, 128 * MIB) == 128 * MIB


def test_a_target_that_comes_back_empty_gets_its_exports_again(storage_node: StorageNode, name: str) -> None:
    published = storage_node.create(f"{name}-1", size_bytes=64 * MIB).volume_id
    closed = storage_node.create(f"{name}-2", size_bytes=64 * MIB).volume_id
    context = storage_node.publish(published, NODE)
    taken_back = storage_node.publish(closed, NODE)
    storage_node.unpublish(closed, NODE)
    storage_node.target.kill()
    storage_node.target.start()
    wait_for(lambda: storage_node.hosts(context["subnqn"]) != [], "the export is there again")
    assert storage_node.hosts(context["subnqn"]) == [context["hostnqn"]]
    assert storage_node.hosts(taken_back["subnqn"]) == []
    assert storage_node.lvol(published)["size_bytes"] == 64 * MIB


def test_a_driver_that_was_killed_knows_who_holds_a_volume(storage_node: StorageNode, name: str) -> None:
    volume = storage_node.create(name, size_bytes=64 * MIB).volume_id
    context = storage_node.publish(volume, NODE)
    storage_node.kill_driver()
    storage_node.start_driver()
    assert storage_node.publish(volume, NODE) == context
    with pytest.raises(grpc.RpcError) as refused:
        storage_node.publish(volume, OTHER)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
