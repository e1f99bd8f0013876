"""VolumeAttachments of our drivers: published to the node that they name, and closed before they go.

Only those that metalplane made (``mp-…``): attachments for Pods are the affair of whoever runs Pods.
"""

from collections.abc import Iterable, Mapping, Sequence

from provider.api.names import ANNOTATION_NODE_ID
from provider.api.resources import CSINODE, PERSISTENTVOLUME, VOLUMEATTACHMENT
from provider.csi import finalizers, planning
from provider.csi.driver import Driver
from provider.csi.errors import CSIError, CSIUnavailable
from provider.csi.indexes import ATTACHMENTS_BY_NODE, ATTACHMENTS_BY_VOLUME
from provider.csi.planning import Hold, Nothing, Publish, Unpublish
from provider.runtime.cache import Index
from provider.runtime.context import Runtime
from provider.runtime.controller import Json, Key, Outcome, RequeueAfter, Settled, Watch
from provider.runtime.errors import NotFound
from provider.runtime.lease import micro_time

PREFIX = "mp-"
FIELD_MANAGER = "metalplane-csi-attacher"
_REFUSED_RETRY_S = 5.0


class AttachmentController:
    """Reconciles VolumeAttachments."""

    name = FIELD_MANAGER
    resource = VOLUMEATTACHMENT
    workers = 4

    def __init__(self, runtime: Runtime, drivers: Mapping[str, Driver]) -> None:
        self._runtime = runtime
        self._drivers = drivers
        self.watches: Sequence[Watch] = (
            Watch(PERSISTENTVOLUME, self._attachments_of_volume),
            Watch(CSINODE, self._attachments_of_node),
        )

    async def reconcile(self, key: Key) -> Outcome:
        """Serve one attachment."""
        attachment = self._runtime.cache.get(VOLUMEATTACHMENT, key)
        driver = None if attachment is None else self._drivers.get(attachment["spec"]["attacher"])
        if attachment is None or driver is None or not key.name.startswith(PREFIX):
            return Settled()
        try:
            await self._carry_out(attachment, driver)
        except CSIError as error:
            await self._report_error(attachment, str(error))
            if isinstance(error, CSIUnavailable):
                raise
            return RequeueAfter(_REFUSED_RETRY_S)
        return Settled()

    async def _carry_out(self, attachment: Json, driver: Driver) -> None:
        match planning.attachment(attachment):
            case Hold():
                await self._hold(attachment, driver)
            case Publish():
                await self._publish(attachment, driver)
            case Unpublish():
                await self._unpublish(attachment, driver)
            case Nothing():
                pass

    async def _hold(self, attachment: Json, driver: Driver) -> None:
        node_id = self._node_id(attachment)
        if node_id is None:
            # CSINodes are watched: it goes on when the node has one.
            return
        held = await finalizers.add(
            self._runtime.client, VOLUMEATTACHMENT, attachment, FIELD_MANAGER, annotations={ANNOTATION_NODE_ID: node_id}
        )
        await self._publish(held, driver)

    async def _publish(self, attachment: Json, driver: Driver) -> None:
        volume = self._volume(attachment)
        if volume is None:
            # PVs are watched: it goes on when this one appears.
            return
        csi = volume["spec"]["csi"]
        context = await driver.publish_volume(
            csi["volumeHandle"],
            _held_for(attachment),
            csi.get("volumeAttributes", {}),
            block=volume["spec"].get("volumeMode") == "Block",
        )
        # The publish context is no secret: it names the volume and who may connect, and the storage checks that.
        await self._patch_status(attachment, {"attached": True, "attachmentMetadata": context, "attachError": None})

    async def _unpublish(self, attachment: Json, driver: Driver) -> None:
        volume = self._volume(attachment)
        if volume is not None:
            await driver.unpublish_volume(volume["spec"]["csi"]["volumeHandle"], _held_for(attachment))
        await finalizers.lift(self._runtime.client, VOLUMEATTACHMENT, attachment, FIELD_MANAGER)

    async def _report_error(self, attachment: Json, message: str) -> None:
        leaving = "deletionTimestamp" in attachment["metadata"]
        field = "detachError" if leaving else "attachError"
        if attachment.get("status", {}).get(field, {}).get("message") == message:
            return
        error = {"time": micro_time()[:19] + "Z", "message": message}
        attached = bool(attachment.get("status", {}).get("attached"))
        await self._patch_status(attachment, {"attached": attached, field: error})

    async def _patch_status(self, attachment: Json, body: Json) -> None:
        try:
            await self._runtime.client.patch(
                VOLUMEATTACHMENT,
                attachment["metadata"]["name"],
                None,
                {"status": body},
                subresource="status",
                field_manager=FIELD_MANAGER,
            )
        except NotFound:
            return

    def _volume(self, attachment: Json) -> Json | None:
        name = attachment["spec"]["source"].get("persistentVolumeName")
        return self._runtime.cache.get(PERSISTENTVOLUME, Key(None, name)) if name else None

    def _node_id(self, attachment: Json) -> str | None:
        node = self._runtime.cache.get(CSINODE, Key(None, attachment["spec"]["nodeName"]))
        for driver in (node or {}).get("spec", {}).get("drivers", ()):
            if driver["name"] == attachment["spec"]["attacher"]:
                node_id: str = driver["nodeID"]
                return node_id
        return None

    def _attachments_of_volume(self, pv: Json) -> Iterable[Key]:
        return self._keys(ATTACHMENTS_BY_VOLUME, pv)

    def _attachments_of_node(self, node: Json) -> Iterable[Key]:
        return self._keys(ATTACHMENTS_BY_NODE, node)

    def _keys(self, index: Index, obj: Json) -> list[Key]:
        return [Key.of(each) for each in self._runtime.cache.by(index, obj["metadata"]["name"])]


def _held_for(attachment: Json) -> str:
    """Id of the node that the volume was opened to; the node may have another by now. Empty: any node (CSI spec)."""
    node_id: str = attachment["metadata"].get("annotations", {}).get(ANNOTATION_NODE_ID, "")
    return node_id
