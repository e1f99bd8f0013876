"""ListVolumes and ListSnapshots: all that the driver made and nothing else, page by page."""

from collections.abc import Iterator

import grpc
import pytest

from provider.runtime.csi import csi_pb2
from tests.integration.lvol.storage_node import TIMEOUT_S, StorageNode
from tests.waiting import wait_for

MIB = 1 << 20


def pages(node: StorageNode, max_entries: int) -> Iterator[csi_pb2.ListVolumesResponse]:
    token = ""
    while True:
        request = csi_pb2.ListVolumesRequest(max_entries=max_entries, starting_token=token)
        page = node.csi.ListVolumes(request, timeout=TIMEOUT_S)
        yield page
        token = page.next_token
        if not token:
            return


def sizes(node: StorageNode, max_entries: int = 0) -> dict[str, int]:
    entries = [entry.volume for page in pages(node, max_entries) for entry in page.entries]
    found = {volume.volume_id: volume.capacity_bytes for volume in entries}
    assert len(found) == len(entries), "none twice"
    return found


def snapshots(node: StorageNode, snapshot_id: str = "") -> list[str]:
    request = csi_pb2.ListSnapshotsRequest(snapshot_id=snapshot_id)
    return [each.snapshot.snapshot_id for each in node.csi.ListSnapshots(request, timeout=TIMEOUT_S).entries]


def test_every_volume_is_listed_whatever_the_size_of_a_page(storage_node: StorageNode, name: str) -> None:
    before = sizes(storage_node)
    made = {
        storage_node.create(f"{name}-{number}", size_bytes=number * MIB).volume_id: number * MIB
        for number in range(1, 6)
    }
    storage_node.spdk("bdev_lvol_create", lvol_name=f"by-hand-{name[-8:]}", lvs_name="lvs0", size_in_mib=1)
    assert sizes(storage_node) == before | made
    for max_entries in (1, 2, len(before | made)):
        assert sizes(storage_node, max_entries) == before | made
        assert all(len(page.entries) <= max_entries for page in pages(storage_node, max_entries))
    for volume in made:
        storage_node.delete(volume)
    assert sizes(storage_node) == before


def test_a_list_goes_on_after_a_volume_that_was_deleted_meanwhile(storage_node: StorageNode, name: str) -> None:
    made = sorted(storage_node.create(f"{name}-{number}", size_bytes=MIB).volume_id for number in range(3))
    storage_node.delete(made[0])
    request = csi_pb2.ListVolumesRequest(starting_token=made[0])
    rest = {entry.volume.volume_id for entry in storage_node.csi.ListVolumes(request, timeout=TIMEOUT_S).entries}
    assert set(made[1:]) <= rest


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (csi_pb2.ListVolumesRequest(starting_token="page-2"), grpc.StatusCode.ABORTED),
        (csi_pb2.ListVolumesRequest(max_entries=-1), grpc.StatusCode.INVALID_ARGUMENT),
    ],
    ids=["token of another list", "negative"],
)
def test_a_list_that_cannot_be_is_refused(
    storage_node: StorageNode, request_: csi_pb2.ListVolumesRequest, code: grpc.StatusCode
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        storage_node.csi.ListVolumes(request_, timeout=TIMEOUT_S)
    assert refused.value.code() is code


def test_an_image_is_listed_by_its_whole_digest_until_it_is_dropped(storage_node: StorageNode, name: str) -> None:
    sha256 = storage_node.image(name.encode())
    handle = f"image-{sha256}"
    assert snapshots(storage_node, handle) == []
    volume = storage_node.create(name, sha256=sha256).volume_id
    storage_node.kill_driver()
    storage_node.start_driver()
    assert snapshots(storage_node, handle) == [handle]
    assert handle in snapshots(storage_node)
    storage_node.delete_image(sha256)
    assert snapshots(storage_node, handle) == [], "it is there for its volume alone"
    storage_node.delete(volume)
    wait_for(
        lambda: not storage_node.lvols_of(sha256), "the driver's next look takes it away: later tests count requests"
    )
