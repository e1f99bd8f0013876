"""What the driver refuses, and how, by the CSI specification 1.x: arguments, capabilities, ids that are none."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from dpu_handler.lvol import names
from provider.runtime.csi import csi_pb2
from tests.integration.lvol.storage_node import CAPABILITY, GIB, MIB, TIMEOUT_S, StorageNode

NODE = str(uuid.uuid4())
NOT_IDS = ["../pool", "no-such-volume", "x" * 300, "6F9619FF-8B86-4011-B42D-00C04FC964FF"]


@contextmanager
def refused(code: grpc.StatusCode, *, saying: str = "") -> Iterator[None]:
    with pytest.raises(grpc.RpcError) as error:
        yield
    assert error.value.code() is code
    assert saying in (error.value.details() or "")


def create(node: StorageNode, name: str, **fields: Any) -> csi_pb2.Volume:
    request = csi_pb2.CreateVolumeRequest(name=name, volume_capabilities=[CAPABILITY], **fields)
    made: csi_pb2.Volume = node.csi.CreateVolume(request, timeout=TIMEOUT_S).volume
    return made


def capability(mode: csi_pb2.VolumeCapability.AccessMode.Mode) -> csi_pb2.VolumeCapability:
    return csi_pb2.VolumeCapability(
        block=csi_pb2.VolumeCapability.BlockVolume(), access_mode=csi_pb2.VolumeCapability.AccessMode(mode=mode)
    )


@pytest.mark.parametrize("volume", NOT_IDS)
def test_what_is_no_volume_is_gone_already_and_touches_nothing(storage_node: StorageNode, volume: str) -> None:
    before = storage_node.records()
    storage_node.delete(volume)
    storage_node.unpublish(volume, NODE)
    assert storage_node.records() == before
    with refused(grpc.StatusCode.NOT_FOUND):
        storage_node.publish(volume, NODE)
    with refused(grpc.StatusCode.NOT_FOUND):
        storage_node.expand(volume, GIB)


def test_a_volume_that_is_held_is_not_deleted_by_another_of_its_names(storage_node: StorageNode, name: str) -> None:
    volume = storage_node.create(name, size_bytes=64 * MIB).volume_id
    context = storage_node.publish(volume, NODE)
    storage_node.delete(f"lvs0/{names.volume(name)}")
    assert storage_node.lvol(volume)["uuid"] == volume
    assert storage_node.hosts(context["subnqn"]) == [context["hostnqn"]]


def test_an_image_is_no_volume(storage_node: StorageNode, name: str) -> None:
    sha256 = storage_node.image(name.encode())
    storage_node.create(name, sha256=sha256)
    image = storage_node.lvol(f"lvs0/{names.image_snapshot(sha256)}")["uuid"]
    for call in (storage_node.delete, lambda volume: storage_node.publish(volume, NODE)):
        with refused(grpc.StatusCode.NOT_FOUND):
            call(image)
    assert storage_node.lvol(image)["snapshot"]


@pytest.mark.parametrize(("limit_bytes", "size_bytes"), [(512 * MIB, 512 * MIB), (MIB + 1, MIB), (2 * GIB, GIB)])
def test_a_limit_alone_is_kept(storage_node: StorageNode, name: str, limit_bytes: int, size_bytes: int) -> None:
    made = create(storage_node, name, capacity_range=csi_pb2.CapacityRange(limit_bytes=limit_bytes))
    assert made.capacity_bytes == size_bytes == storage_node.lvol(made.volume_id)["size_bytes"]


@pytest.mark.parametrize("size", [{"limit_bytes": MIB - 1}, {"required_bytes": (1 << 63) - 1}], ids=["small", "large"])
def test_a_size_that_no_volume_can_have_is_out_of_range(
    storage_node: StorageNode, name: str, size: dict[str, int]
) -> None:
    with refused(grpc.StatusCode.OUT_OF_RANGE):
        create(storage_node, name, capacity_range=csi_pb2.CapacityRange(**size))


def test_an_unknown_parameter_is_refused_and_those_of_csi_provisioner_are_not(
    storage_node: StorageNode, name: str
) -> None:
    with refused(grpc.StatusCode.INVALID_ARGUMENT, saying="unknown parameters imageSHA256"):
        create(storage_node, name, parameters={"imageSHA256": "a" * 64})
    create(storage_node, name, parameters={"csi.storage.k8s.io/pvc/name": name})


def test_what_the_storage_cannot_keep_read_only_is_not_promised_to_be(storage_node: StorageNode, name: str) -> None:
    volume = storage_node.create(name, size_bytes=64 * MIB).volume_id
    request = csi_pb2.ControllerPublishVolumeRequest(
        volume_id=volume, node_id=NODE, volume_capability=CAPABILITY, readonly=True
    )
    with refused(grpc.StatusCode.INVALID_ARGUMENT, saying="readonly"):
        storage_node.csi.ControllerPublishVolume(request, timeout=TIMEOUT_S)
    readers = capability(csi_pb2.VolumeCapability.AccessMode.SINGLE_NODE_READER_ONLY)
    with refused(grpc.StatusCode.INVALID_ARGUMENT, saying="SINGLE_NODE_READER_ONLY"):
        storage_node.csi.CreateVolume(
            csi_pb2.CreateVolumeRequest(name=f"{name}-2", volume_capabilities=[readers]), timeout=TIMEOUT_S
        )


def test_growth_to_no_size_at_all_is_refused(storage_node: StorageNode, name: str) -> None:
    volume = storage_node.create(name, size_bytes=64 * MIB).volume_id
    with refused(grpc.StatusCode.INVALID_ARGUMENT, saying="capacity_range"):
        storage_node.expand(volume, 0)


def test_there_is_no_room_for_volumes_that_cannot_be_made(storage_node: StorageNode) -> None:
    shared = capability(csi_pb2.VolumeCapability.AccessMode.MULTI_NODE_MULTI_WRITER)
    room = [
        storage_node.csi.GetCapacity(
            csi_pb2.GetCapacityRequest(volume_capabilities=[each]), timeout=TIMEOUT_S
        ).available_capacity
        for each in (CAPABILITY, shared)
    ]
    assert room[0] > 0
    assert room[1] == 0
