"""The gRPC face: checks requests as the CSI specification demands, calls the driver, and answers in CSI's terms."""

from collections.abc import Iterable
from importlib import metadata
from typing import Any

from google.protobuf import wrappers_pb2

from dpu_handler.lvol import DRIVER_NAME, names
from dpu_handler.lvol.driver import Driver
from dpu_handler.lvol.errors import InvalidRequest, NoSuchPage
from dpu_handler.lvol.interception import Context
from dpu_handler.lvol.volumes import SizeRange
from provider.api.names import INVENTORY_EXCLUSIVE, MANIFEST_INVENTORY
from provider.runtime.csi import csi_pb2, csi_pb2_grpc

PARAMETER_IMAGE_SHA256 = "imageSha256"
"""CreateVolume parameter: content of the image to clone. Images are no CSI content source, having no volume id."""

PARAMETER_IMAGE_SIZE_BYTES = "imageSizeBytes"
"""CreateVolume parameter that goes with it, for drivers that cannot know; this one asks its snapshot."""

_PARAMETERS = frozenset({PARAMETER_IMAGE_SHA256, PARAMETER_IMAGE_SIZE_BYTES})
_MANIFEST = {MANIFEST_INVENTORY: INVENTORY_EXCLUSIVE}
_SIDECARS = "csi.storage.k8s.io/"
"""Parameters of that prefix are csi-provisioner's own (``--extra-create-metadata``)."""

_MODE = csi_pb2.VolumeCapability.AccessMode
# None for readers only: SPDK exports no namespace read-only, and a promise that the storage does not keep is none.
_SUPPORTED_MODES = frozenset({_MODE.SINGLE_NODE_WRITER, _MODE.SINGLE_NODE_SINGLE_WRITER})
_RPC = csi_pb2.ControllerServiceCapability.RPC
_CAPABILITIES = (
    _RPC.CREATE_DELETE_VOLUME,
    _RPC.PUBLISH_UNPUBLISH_VOLUME,
    _RPC.EXPAND_VOLUME,
    _RPC.LIST_VOLUMES,
    _RPC.GET_CAPACITY,
)


class IdentityService(csi_pb2_grpc.IdentityServicer):
    """Who the driver is and whether it is ready."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def GetPluginInfo(self, request: Any, context: Context) -> csi_pb2.GetPluginInfoResponse:
        """Name and version, and that nobody beside its caller's cluster has volumes in the pool."""
        return csi_pb2.GetPluginInfoResponse(
            name=DRIVER_NAME, vendor_version=metadata.version("metalplane"), manifest=_MANIFEST
        )

    async def GetPluginCapabilities(self, request: Any, context: Context) -> csi_pb2.GetPluginCapabilitiesResponse:
        """A controller service, and growth of volumes that are in use."""
        capability = csi_pb2.PluginCapability
        service = capability(service=capability.Service(type=capability.Service.CONTROLLER_SERVICE))
        growth = capability(volume_expansion=capability.VolumeExpansion(type=capability.VolumeExpansion.ONLINE))
        return csi_pb2.GetPluginCapabilitiesResponse(capabilities=[service, growth])

    async def Probe(self, request: Any, context: Context) -> csi_pb2.ProbeResponse:
        """Ready once the pool is open."""
        return csi_pb2.ProbeResponse(ready=wrappers_pb2.BoolValue(value=self._driver.ready.is_set()))


class ControllerService(csi_pb2_grpc.ControllerServicer):
    """Volumes and their exports."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def CreateVolume(
        self, request: csi_pb2.CreateVolumeRequest, context: Context
    ) -> csi_pb2.CreateVolumeResponse:
        """A blank volume, or a clone of the image that the parameters name."""
        _require(request, "name", "volume_capabilities")
        _check_capabilities(request.volume_capabilities)
        if request.HasField("volume_content_source"):
            raise InvalidRequest("volume_content_source is not supported: name an image in parameter imageSha256")
        _check_parameters(request.parameters)
        sha256 = request.parameters.get(PARAMETER_IMAGE_SHA256)
        volume = await self._driver.create(request.name, _size_range(request.capacity_range), sha256)
        return csi_pb2.CreateVolumeResponse(
            volume=csi_pb2.Volume(volume_id=volume.uuid, capacity_bytes=volume.size_bytes)
        )

    async def DeleteVolume(
        self, request: csi_pb2.DeleteVolumeRequest, context: Context
    ) -> csi_pb2.DeleteVolumeResponse:
        """Delete a volume that nobody holds."""
        _require(request, "volume_id")
        await self._driver.delete(request.volume_id)
        return csi_pb2.DeleteVolumeResponse()

    async def ControllerPublishVolume(
        self, request: csi_pb2.ControllerPublishVolumeRequest, context: Context
    ) -> csi_pb2.ControllerPublishVolumeResponse:
        """Open the volume to exactly one DPU, under a host NQN of its own."""
        _require(request, "volume_id", "node_id", "volume_capability")
        _check_capabilities([request.volume_capability])
        if request.readonly:
            raise InvalidRequest("readonly is not supported: the driver has no capability PUBLISH_READONLY")
        published = await self._driver.publish(request.volume_id, request.node_id)
        return csi_pb2.ControllerPublishVolumeResponse(publish_context=published)

    async def ControllerUnpublishVolume(
        self, request: csi_pb2.ControllerUnpublishVolumeRequest, context: Context
    ) -> csi_pb2.ControllerUnpublishVolumeResponse:
        """Close it again, and see that nobody is connected."""
        _require(request, "volume_id")
        await self._driver.unpublish(request.volume_id, request.node_id)
        return csi_pb2.ControllerUnpublishVolumeResponse()

    async def ControllerExpandVolume(
        self, request: csi_pb2.ControllerExpandVolumeRequest, context: Context
    ) -> csi_pb2.ControllerExpandVolumeResponse:
        """Grow the volume; the server sees it by itself."""
        _require(request, "volume_id", "capacity_range")
        size = _size_range(request.capacity_range)
        if not size.required_bytes and not size.limit_bytes:
            raise InvalidRequest("capacity_range has neither required_bytes nor limit_bytes: say how large")
        size_bytes = await self._driver.expand(request.volume_id, size)
        return csi_pb2.ControllerExpandVolumeResponse(capacity_bytes=size_bytes, node_expansion_required=False)

    async def DeleteSnapshot(
        self, request: csi_pb2.DeleteSnapshotRequest, context: Context
    ) -> csi_pb2.DeleteSnapshotResponse:
        """The snapshot of an image, ``image-<sha256>``: gone for whoever asks, though volumes may stand on it yet.

        Not announced as CREATE_DELETE_SNAPSHOT, which promises snapshots of volumes too. Who sends ``imageSha256`` to
        CreateVolume knows of it.
        """
        _require(request, "snapshot_id")
        sha256 = names.image_of_handle(request.snapshot_id)
        if sha256 is not None:
            await self._driver.drop_image(sha256)
        return csi_pb2.DeleteSnapshotResponse()

    async def ListVolumes(self, request: csi_pb2.ListVolumesRequest, context: Context) -> csi_pb2.ListVolumesResponse:
        """All volumes, a page at a time; a token is the id of the last volume of the page before."""
        if request.max_entries < 0:
            raise InvalidRequest("max_entries cannot be negative")
        if request.starting_token and not names.is_volume_id(request.starting_token):
            raise NoSuchPage(f"starting_token {request.starting_token!r} is of no list of this driver: begin anew")
        rest = [each for each in await self._driver.volumes() if each.uuid > request.starting_token]
        page = rest[: request.max_entries or None]
        entry = csi_pb2.ListVolumesResponse.Entry
        volumes = (csi_pb2.Volume(volume_id=each.uuid, capacity_bytes=each.size_bytes) for each in page)
        return csi_pb2.ListVolumesResponse(
            entries=[entry(volume=volume) for volume in volumes],
            next_token=page[-1].uuid if len(page) < len(rest) else "",
        )

    async def ListSnapshots(
        self, request: csi_pb2.ListSnapshotsRequest, context: Context
    ) -> csi_pb2.ListSnapshotsResponse:
        """The snapshots of images, all at once. As ``DeleteSnapshot``, for who knows of them: not announced."""
        if request.source_volume_id or request.starting_token:
            return csi_pb2.ListSnapshotsResponse()
        snapshots = [
            csi_pb2.Snapshot(size_bytes=each.size_bytes, snapshot_id=names.image_handle(sha256), ready_to_use=True)
            for sha256, each in (await self._driver.images()).items()
            if request.snapshot_id in ("", names.image_handle(sha256))
        ]
        entry = csi_pb2.ListSnapshotsResponse.Entry
        return csi_pb2.ListSnapshotsResponse(entries=[entry(snapshot=each) for each in snapshots])

    async def ValidateVolumeCapabilities(
        self, request: csi_pb2.ValidateVolumeCapabilitiesRequest, context: Context
    ) -> csi_pb2.ValidateVolumeCapabilitiesResponse:
        """Whether the volume can be used as asked."""
        _require(request, "volume_id", "volume_capabilities")
        await self._driver.get(request.volume_id)
        response = csi_pb2.ValidateVolumeCapabilitiesResponse()
        try:
            _check_capabilities(request.volume_capabilities)
        except InvalidRequest as error:
            response.message = str(error)
        else:
            response.confirmed.volume_capabilities.extend(request.volume_capabilities)
        return response

    async def GetCapacity(self, request: csi_pb2.GetCapacityRequest, context: Context) -> csi_pb2.GetCapacityResponse:
        """Bytes of the pool that no volume has taken yet: none for volumes that cannot be made."""
        try:
            _check_capabilities(request.volume_capabilities)
        except InvalidRequest:
            return csi_pb2.GetCapacityResponse(available_capacity=0)
        store = await self._driver.room()
        return csi_pb2.GetCapacityResponse(available_capacity=store.free_bytes)

    async def ControllerGetCapabilities(
        self, request: Any, context: Context
    ) -> csi_pb2.ControllerGetCapabilitiesResponse:
        """What the services above are."""
        capability = csi_pb2.ControllerServiceCapability
        return csi_pb2.ControllerGetCapabilitiesResponse(
            capabilities=[capability(rpc=capability.RPC(type=type_)) for type_ in _CAPABILITIES]
        )


def _require(request: Any, *fields: str) -> None:
    missing = [name for name in fields if not _is_set(request, name)]
    if missing:
        raise InvalidRequest(f"{type(request).__name__} lacks {', '.join(missing)}")


def _is_set(request: Any, name: str) -> bool:
    value = getattr(request, name)
    return request.HasField(name) if hasattr(value, "HasField") else bool(value)


def _check_capabilities(capabilities: Iterable[csi_pb2.VolumeCapability]) -> None:
    # Block or mount is the node's affair: to the driver a volume is blocks either way.
    for capability in capabilities:
        if capability.WhichOneof("access_type") is None:
            raise InvalidRequest("a volume capability lacks block or mount")
        if capability.access_mode.mode not in _SUPPORTED_MODES:
            name = _MODE.Mode.Name(capability.access_mode.mode)
            raise InvalidRequest(f"access mode {name} is not supported: a volume has one node at a time")


def _check_parameters(parameters: Iterable[str]) -> None:
    unknown = sorted(name for name in parameters if name not in _PARAMETERS and not name.startswith(_SIDECARS))
    if unknown:
        raise InvalidRequest(
            f"unknown parameters {', '.join(unknown)}: those known are {', '.join(sorted(_PARAMETERS))}"
        )


def _size_range(capacity: csi_pb2.CapacityRange) -> SizeRange:
    required, limit = capacity.required_bytes, capacity.limit_bytes
    if required < 0 or limit < 0:
        raise InvalidRequest("a capacity range cannot be negative")
    if limit and required > limit:
        raise InvalidRequest(f"required_bytes {required} is more than limit_bytes {limit}")
    return SizeRange(required, limit)
