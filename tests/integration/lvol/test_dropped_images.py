"""DeleteSnapshot on an image: gone at once, or with the last volume on it, though the driver is killed in between."""

import pytest

from dpu_handler.lvol import names
from tests.conformance.spdk.wire import Refused
from tests.integration.lvol.storage_node import IMAGE_BYTES, StorageNode
from tests.waiting import wait_for


def clusters_free(node: StorageNode) -> int:
    (store,) = node.spdk("bdev_lvol_get_lvstores")
    free: int = store["free_clusters"]
    return free


def test_an_image_that_no_volume_stands_on_is_gone_and_its_room_is_free(storage_node: StorageNode, name: str) -> None:
    sha256, before = storage_node.image(name.encode()), clusters_free(storage_node)
    storage_node.delete(storage_node.create(name, sha256=sha256).volume_id)
    assert storage_node.lvols_of(sha256) == [names.image_snapshot(sha256)]
    assert clusters_free(storage_node) < before
    for _ in range(2):
        storage_node.delete_image(sha256)
        assert storage_node.lvols_of(sha256) == []
    assert clusters_free(storage_node) == before


def test_volumes_keep_the_image_that_they_stand_on_and_the_last_one_takes_it_along(
    storage_node: StorageNode, name: str
) -> None:
    sha256 = storage_node.image(name.encode())
    first, second = (storage_node.create(f"{name}-{number}", sha256=sha256).volume_id for number in range(2))
    storage_node.delete_image(sha256)
    storage_node.kill_driver()
    storage_node.start_driver()
    storage_node.delete(first)
    standing = storage_node.lvol(second)
    assert (standing["base_snapshot"], standing["clone"]) == (names.image_snapshot(sha256), True)
    storage_node.delete(second)
    wait_for(lambda: not storage_node.lvols_of(sha256), "the snapshot is gone")


def test_an_image_that_was_deleted_can_be_cloned_again(storage_node: StorageNode, name: str) -> None:
    sha256 = storage_node.image(name.encode())
    storage_node.delete(storage_node.create(f"{name}-1", sha256=sha256).volume_id)
    storage_node.delete_image(sha256)
    again = storage_node.create(f"{name}-2", sha256=sha256)
    assert again.capacity_bytes == IMAGE_BYTES
    assert storage_node.lvols_of(sha256) == [names.image_snapshot(sha256)]


def test_an_import_that_a_killed_driver_left_behind_goes_with_the_image(storage_node: StorageNode, name: str) -> None:
    sha256 = storage_node.image(name.encode())
    storage_node.kill_driver()
    raw = names.image_bdev(sha256)
    file = str(storage_node.image_file(sha256))
    uuid = names.image_bdev_uuid(sha256)
    storage_node.spdk("bdev_aio_create", name=raw, filename=file, block_size=512, readonly=True, uuid=uuid)
    storage_node.spdk("bdev_lvol_clone_bdev", bdev=raw, lvs_name="lvs0", clone_name=names.image_staging(sha256))
    storage_node.start_driver()
    storage_node.delete_image(sha256)
    assert storage_node.lvols_of(sha256) == []
    with pytest.raises(Refused, match="No such device"):
        storage_node.spdk("bdev_get_bdevs", name=raw)


@pytest.mark.parametrize("snapshot", ["img-" + "0" * 40, "image-" + "0" * 63, "image-../../" + "0" * 58])
def test_what_is_no_image_is_gone_already_and_touches_nothing(storage_node: StorageNode, snapshot: str) -> None:
    before = len(storage_node.changes())
    storage_node.delete_image(snapshot.removeprefix("image-"))
    assert storage_node.changes()[before:] == []
