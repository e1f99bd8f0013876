"""One CSI driver: its controller service over gRPC. Every call has a deadline and a span, and may be made again.

All calls change something outside, so each asks for leadership right before it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import grpc.aio

from provider.api.names import INVENTORY_EXCLUSIVE, MANIFEST_INVENTORY
from provider.csi.errors import CSIError, from_grpc
from provider.runtime.csi import csi_pb2, csi_pb2_grpc
from provider.runtime.lease import Leadership
from provider.runtime.tracing import Tracer

T = TypeVar("T")

_DEADLINE_S = 60.0
_PROVISION_DEADLINE_S = 280.0
"""Importing an image copies all of it, once."""


@dataclass(frozen=True, slots=True)
class ProvisionedVolume:
    """What CreateVolume answered."""

    handle: str
    size_bytes: int
    attributes: Mapping[str, str]


class Driver:
    """A driver by name and endpoint. ``credentials``: None speaks plain text, as is right for a Unix socket."""

    def __init__(
        self,
        name: str,
        endpoint: str,
        tracer: Tracer,
        leader: Leadership,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self.name = name
        self._tracer = tracer
        self._leader = leader
        self._channel = (
            grpc.aio.insecure_channel(endpoint)
            if credentials is None
            else grpc.aio.secure_channel(endpoint, credentials)
        )
        self._identity = csi_pb2_grpc.IdentityStub(self._channel)
        self._controller = csi_pb2_grpc.ControllerStub(self._channel)

    async def create_volume(
        self, name: str, size_bytes: int, parameters: Mapping[str, str], *, block: bool
    ) -> ProvisionedVolume:
        """CreateVolume; the same name finds the same volume."""
        request = csi_pb2.CreateVolumeRequest(
            name=name,
            capacity_range=csi_pb2.CapacityRange(required_bytes=size_bytes),
            volume_capabilities=[_capability(block=block)],
            parameters=dict(parameters),
        )
        call = self._controller.CreateVolume
        answer = await self._call("CreateVolume", name, call, request, _PROVISION_DEADLINE_S)
        volume = answer.volume
        return ProvisionedVolume(volume.volume_id, volume.capacity_bytes or size_bytes, dict(volume.volume_context))

    async def delete_volume(self, handle: str) -> None:
        """DeleteVolume; gone already is fine."""
        request = csi_pb2.DeleteVolumeRequest(volume_id=handle)
        await self._call("DeleteVolume", handle, self._controller.DeleteVolume, request)

    async def delete_snapshot(self, handle: str) -> None:
        """DeleteSnapshot; gone already is fine, and so is a driver that keeps none."""
        request = csi_pb2.DeleteSnapshotRequest(snapshot_id=handle)
        try:
            await self._call("DeleteSnapshot", handle, self._controller.DeleteSnapshot, request)
        except CSIError as error:
            if not error.unimplemented:
                raise

    async def is_exclusive(self) -> bool:
        """Whether all that the driver has belongs to this cluster: others' volumes are not ours to miss an owner of."""
        call = self._identity.GetPluginInfo
        answer = await self._call("GetPluginInfo", self.name, call, csi_pb2.GetPluginInfoRequest())
        return bool(answer.manifest.get(MANIFEST_INVENTORY) == INVENTORY_EXCLUSIVE)

    async def list_volumes(self) -> dict[str, int]:
        """ListVolumes, all pages: size in bytes by handle."""
        found: dict[str, int] = {}
        token = ""
        while True:
            request = csi_pb2.ListVolumesRequest(starting_token=token)
            answer = await self._call("ListVolumes", self.name, self._controller.ListVolumes, request)
            found |= {each.volume.volume_id: each.volume.capacity_bytes for each in answer.entries}
            token = answer.next_token
            if not token:
                return found

    async def list_snapshots(self) -> dict[str, int]:
        """ListSnapshots: size in bytes by handle; none of a driver that keeps none."""
        call = self._controller.ListSnapshots
        try:
            answer = await self._call("ListSnapshots", self.name, call, csi_pb2.ListSnapshotsRequest())
        except CSIError as error:
            if not error.unimplemented:
                raise
            return {}
        return {each.snapshot.snapshot_id: each.snapshot.size_bytes for each in answer.entries}

    async def expand_volume(self, handle: str, size_bytes: int, *, block: bool) -> int:
        """ControllerExpandVolume; the size in bytes that the volume has afterwards."""
        request = csi_pb2.ControllerExpandVolumeRequest(
            volume_id=handle,
            capacity_range=csi_pb2.CapacityRange(required_bytes=size_bytes),
            volume_capability=_capability(block=block),
        )
        call = self._controller.ControllerExpandVolume
        answer = await self._call("ControllerExpandVolume", handle, call, request)
        return int(answer.capacity_bytes)

    async def publish_volume(
        self, handle: str, node_id: str, attributes: Mapping[str, str], *, block: bool
    ) -> dict[str, str]:
        """ControllerPublishVolume; the publish context."""
        request = csi_pb2.ControllerPublishVolumeRequest(
            volume_id=handle,
            node_id=node_id,
            volume_capability=_capability(block=block),
            volume_context=dict(attributes),
        )
        call = self._controller.ControllerPublishVolume
        answer = await self._call("ControllerPublishVolume", handle, call, request)
        return dict(answer.publish_context)

    async def unpublish_volume(self, handle: str, node_id: str) -> None:
        """ControllerUnpublishVolume; done already is fine."""
        request = csi_pb2.ControllerUnpublishVolumeRequest(volume_id=handle, node_id=node_id)
        call = self._controller.ControllerUnpublishVolume
        await self._call("ControllerUnpublishVolume", handle, call, request)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def _call(
        self,
        method: str,
        subject: str,
        call: Callable[..., Awaitable[T]],
        request: Any,
        deadline_s: float = _DEADLINE_S,
    ) -> T:
        attributes = {"rpc.system": "grpc", "rpc.service": self.name, "rpc.method": method}
        with self._tracer.span(f"csi {method}", kind="client", attributes=attributes) as span:
            try:
                metadata = (("traceparent", span.trace.traceparent),) if span.trace.parent_span_id else ()
                self._leader.check()
                return await call(request, timeout=deadline_s, metadata=metadata)
            except grpc.aio.AioRpcError as error:
                raise from_grpc(error, attempt=method, subject=subject, driver=self.name) from error


def _capability(*, block: bool) -> csi_pb2.VolumeCapability:
    capability = csi_pb2.VolumeCapability(
        access_mode=csi_pb2.VolumeCapability.AccessMode(mode=csi_pb2.VolumeCapability.AccessMode.SINGLE_NODE_WRITER)
    )
    if block:
        capability.block.SetInParent()
    else:
        capability.mount.SetInParent()
    return capability
