"""Volumes through CSI: what a clone costs, one snapshot for each image, sizes, deletion."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from dpu_handler.lvol import names
from tests.conformance.spdk.wire import Refused
from tests.integration.lvol.storage_node import GIB, IMAGE_BYTES, MIB, StorageNode


def in_the_pool(node: StorageNode, size_bytes: int, sha256: str) -> str:
    """A sparse image that was imported before; to read 100 GiB of holes takes minutes and shows nothing."""
    node.spdk("bdev_lvol_create", lvs_name="lvs0", lvol_name="big", size_in_mib=size_bytes // MIB, thin_provision=True)
    node.spdk("bdev_lvol_snapshot", lvol_name="lvs0/big", snapshot_name=names.image_snapshot(sha256))
    node.spdk("bdev_lvol_delete", name="lvs0/big")
    return sha256


def test_a_clone_costs_the_same_for_1_gib_as_for_100_gib(storage_node: StorageNode, name: str) -> None:
    costs = []
    for size_bytes, sha256 in ((GIB, "1" * 64), (100 * GIB, "2" * 64)):
        in_the_pool(storage_node, size_bytes, sha256)
        before = len(storage_node.changes())
        volume = storage_node.create(f"{name}-{size_bytes}", size_bytes=size_bytes, sha256=sha256)
        seen = storage_node.lvol(volume.volume_id)
        assert (volume.capacity_bytes, seen["size_bytes"], seen["clone"]) == (size_bytes, size_bytes, True)
        costs.append((storage_node.changes()[before:], seen["num_allocated_clusters"]))
    assert costs[0] == costs[1] == (["bdev_lvol_clone", "bdev_lvol_resize"], 0)


def test_an_image_is_imported_once_and_leaves_one_snapshot(storage_node: StorageNode, name: str) -> None:
    sha256 = storage_node.image(name.encode())
    before = len(storage_node.changes())
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda number: storage_node.create(f"{name}-{number}", sha256=sha256), range(4)))
    parents = {storage_node.lvol(volume.volume_id)["base_snapshot"] for volume in made}
    assert parents == {names.image_snapshot(sha256)}
    changes = storage_node.changes()[before:]
    assert [changes.count(method) for method in ("bdev_lvol_decouple_parent", "bdev_lvol_snapshot")] == [1, 1]
    for leftover in (names.image_bdev(sha256), f"lvs0/{names.image_staging(sha256)}"):
        with pytest.raises(Refused, match="No such device"):
            storage_node.spdk("bdev_get_bdevs", name=leftover)


def test_a_snapshot_holds_its_image_without_the_file(storage_node: StorageNode, name: str) -> None:
    sha256 = storage_node.image(name.encode())
    storage_node.create(name, sha256=sha256)
    snapshot = storage_node.lvol(f"lvs0/{names.image_snapshot(sha256)}")
    assert (snapshot["snapshot"], snapshot["esnap_clone"]) == (True, False)
    assert snapshot["num_allocated_clusters"] == IMAGE_BYTES // MIB


def test_the_same_request_again_is_the_same_volume(storage_node: StorageNode, name: str) -> None:
    first = storage_node.create(name, size_bytes=GIB)
    before = len(storage_node.changes())
    assert storage_node.create(name, size_bytes=GIB) == first
    assert storage_node.changes()[before:] == []
    with pytest.raises(grpc.RpcError) as refused:
        storage_node.create(name, size_bytes=2 * GIB)
    assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS


def test_an_image_that_is_not_there_is_not_found(storage_node: StorageNode, name: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        storage_node.create(name, sha256="f" * 64)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_volume_grows_and_never_shrinks(storage_node: StorageNode, name: str) -> None:
    volume = storage_node.create(name, size_bytes=64 * MIB).volume_id
    assert storage_node.expand(volume, 128 * MIB) == 128 * MIB
    before = len(storage_node.changes())
    assert storage_node.expand(volume, 64 * MIB) == 128 * MIB
    assert storage_node.changes()[before:] == []
    assert storage_node.lvol(volume)["size_bytes"] == 128 * MIB


def test_a_deleted_volume_is_gone_and_its_image_stays(storage_node: StorageNode, name: str) -> None:
    sha256 = storage_node.image(name.encode())
    volume = storage_node.create(name, sha256=sha256).volume_id
    for _ in range(2):
        storage_node.delete(volume)
    with pytest.raises(Refused, match="No such device"):
        storage_node.spdk("bdev_get_bdevs", name=volume)
    assert storage_node.lvol(f"lvs0/{names.image_snapshot(sha256)}")["snapshot"]
