"""PersistentVolumeClaims of our storage classes: provisioned, then grown when more is asked for.

A claim carries our finalizer from before its volume is made: one that is deleted before a PV names the volume stays
until what a killed process may have made for it is found and deleted.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence

from provider.api.machineimage import MachineImage
from provider.api.names import (
    ANNOTATION_PROVISIONING_ERROR,
    ANNOTATION_STORAGE_PROVISIONER,
    FINALIZER_CSI,
    LABEL_MACHINE_UID,
)
from provider.api.quantity import format_bytes
from provider.api.reasons import Reason
from provider.api.resources import MACHINEIMAGE, PERSISTENTVOLUME, PERSISTENTVOLUMECLAIM, STORAGECLASS
from provider.csi import finalizers, imagesnapshots, planning
from provider.csi.driver import Driver, ProvisionedVolume
from provider.csi.errors import CSIError, CSIUnavailable
from provider.csi.imagesnapshots import ImageSnapshot
from provider.csi.indexes import CLAIMS_BY_IMAGE
from provider.csi.planning import Abandon, Expand, Hold, LetGo, Nothing, Provision, Refuse, ReportSize
from provider.runtime.cache import Cache
from provider.runtime.context import Runtime
from provider.runtime.controller import Json, Key, Outcome, RequeueAfter, Settled, Watch
from provider.runtime.errors import AlreadyExists, NotFound

_LOG = logging.getLogger(__name__)

PARAMETER_IMAGE_SHA256 = "imageSha256"
"""CreateVolume parameter of drivers that clone golden images: the sha256 of the image's bytes."""

PARAMETER_IMAGE_SIZE_BYTES = "imageSizeBytes"

FIELD_MANAGER = "metalplane-csi-provisioner"
_REFUSED_RETRY_S = 10.0


class ClaimController:
    """Reconciles PVCs."""

    name = FIELD_MANAGER
    resource = PERSISTENTVOLUMECLAIM
    workers = 4

    def __init__(self, runtime: Runtime, drivers: Mapping[str, Driver]) -> None:
        self._runtime = runtime
        self._drivers = drivers
        self._recording = asyncio.Lock()
        self.watches: Sequence[Watch] = (
            Watch(PERSISTENTVOLUME, claim_of_volume),
            Watch(STORAGECLASS, self._all_claims),
            Watch(MACHINEIMAGE, self._claims_of_image),
        )

    async def reconcile(self, key: Key) -> Outcome:
        """Serve one PVC."""
        pvc = self._runtime.cache.get(PERSISTENTVOLUMECLAIM, key)
        if pvc is None:
            return Settled()
        driver = self._driver(pvc)
        if driver is None:
            if "deletionTimestamp" in pvc["metadata"]:
                # Held from its birth, of a class that is not there or not ours: nothing was made for it.
                await self._let_go(pvc)
            return Settled()
        try:
            return await self._serve(pvc, driver)
        except CSIUnavailable as error:
            await self._say(pvc, f"{Reason.DRIVER_UNAVAILABLE}: {error}")
            raise
        except CSIError as error:
            await self._say(pvc, f"{Reason.PROVISIONING_FAILED}: {error}")
            return RequeueAfter(_REFUSED_RETRY_S)

    async def _serve(self, pvc: Json, driver: Driver) -> Outcome:
        step = self._plan(pvc)
        if isinstance(step, Hold):
            pvc = await finalizers.add(self._runtime.client, PERSISTENTVOLUMECLAIM, pvc, FIELD_MANAGER)
            step = self._plan(pvc)
        match step:
            case Refuse(reason=reason, message=message):
                await self._say(pvc, f"{reason}: {message}")
                return Settled()
            case LetGo():
                await self._let_go(pvc)
            case Abandon(made_as=made_as):
                await self._abandon(made_as, pvc, driver)
            case Provision():
                if planning.refused(pvc):
                    # While a refusal stands there, nobody looks for a volume when the claim goes.
                    pvc = await self._say(pvc, None)
                await self._provision(step, pvc, driver)
            case Expand(size_bytes=size_bytes):
                await self._expand(size_bytes, pvc, driver)
            case ReportSize(capacity=capacity):
                await self._report_size(pvc, capacity)
            case Hold() | Nothing():
                pass
        if "deletionTimestamp" not in pvc["metadata"]:
            await self._say(pvc, None)
        return Settled()

    def _plan(self, pvc: Json) -> planning.ClaimStep:
        name = pvc["spec"].get("volumeName")
        # What is bound was recorded once; that its PV is gone by now is no reason to touch the data behind it.
        recorded = self._runtime.cache.get(PERSISTENTVOLUME, Key(None, volume_name(pvc))) is not None
        made = recorded or name == volume_name(pvc)
        return planning.claim(pvc, self._volume(name) if name else None, self._image(pvc), made=made)

    async def _provision(self, step: Provision, pvc: Json, driver: Driver) -> None:
        volume = await self._create_volume(step, pvc, driver)
        body = _persistent_volume(pvc, self._class(pvc), driver.name, volume)
        try:
            await self._runtime.client.create(PERSISTENTVOLUME, body, field_manager=FIELD_MANAGER)
            self._runtime.events.record(pvc, "Normal", "ProvisioningSucceeded", f"made volume {volume.handle}")
        except AlreadyExists:
            # Made before a crash: its name tells whose it is, and kube-controller-manager binds it.
            pass

    async def _abandon(self, made_as: Provision, pvc: Json, driver: Driver) -> None:
        """Whether a volume was made is known to the driver only, and by no other call than the same again."""
        if not await self._is_recorded(pvc):
            try:
                volume = await self._create_volume(made_as, pvc, driver)
            except CSIError as error:
                if not error.nothing_exists:
                    raise
                _LOG.warning("no volume to delete for claim=%s error=%s", Key.of(pvc), error)
            else:
                await driver.delete_volume(volume.handle)
                await self._drop_unnamed(made_as, driver)
        await self._let_go(pvc)

    async def _drop_unnamed(self, made_as: Provision, driver: Driver) -> None:
        """The same call again may have imported an image that is gone by now, and that nobody else would drop."""
        every = (MachineImage.parse(each) for each in self._runtime.cache.list(MACHINEIMAGE))
        if made_as.image_sha256 is not None and imagesnapshots.named_by(every, made_as.image_sha256) is None:
            await driver.delete_snapshot(ImageSnapshot(driver.name, made_as.image_sha256).handle)

    async def _is_recorded(self, pvc: Json) -> bool:
        # Data goes by this answer, so it is the API server's and not the cache's.
        try:
            await self._runtime.client.get(PERSISTENTVOLUME, volume_name(pvc))
        except NotFound:
            return False
        return True

    async def _create_volume(self, step: Provision, pvc: Json, driver: Driver) -> ProvisionedVolume:
        parameters = dict(self._class(pvc).get("parameters", {}))
        if step.image_sha256 is not None:
            await self._record_snapshot(pvc, ImageSnapshot(driver.name, step.image_sha256))
            parameters[PARAMETER_IMAGE_SHA256] = step.image_sha256
        if step.image_bytes is not None:
            parameters[PARAMETER_IMAGE_SIZE_BYTES] = str(step.image_bytes)
        return await driver.create_volume(volume_name(pvc), step.size_bytes, parameters, block=_is_block(pvc))

    async def _record_snapshot(self, pvc: Json, snapshot: ImageSnapshot) -> None:
        """The image answers for the snapshot from before there may be one."""
        image = self._image(pvc)
        if image is None or snapshot in imagesnapshots.recorded(image):
            return
        # One at a time, of what is there now: many claims come at once, and the first clone of each finds no record.
        async with self._recording:
            latest = await self._runtime.client.get(MACHINEIMAGE, image.metadata.name)
            image = MachineImage.parse(latest)
            # One that goes takes no finalizer any more; what was begun for it is abandoned by the claim itself.
            takes = not image.metadata.deleting or planning.held(latest)
            if takes and snapshot not in imagesnapshots.recorded(image):
                wider = imagesnapshots.with_one_more(image, snapshot)
                client = self._runtime.client
                await finalizers.add(client, MACHINEIMAGE, latest, FIELD_MANAGER, annotations=wider)

    async def _let_go(self, pvc: Json) -> None:
        # Making a volume takes its time; the claim may have changed meanwhile.
        latest = self._runtime.cache.get(PERSISTENTVOLUMECLAIM, Key.of(pvc))
        if latest is not None:
            await finalizers.lift(self._runtime.client, PERSISTENTVOLUMECLAIM, latest, FIELD_MANAGER)

    async def _expand(self, size_bytes: int, pvc: Json, driver: Driver) -> None:
        pv = self._volume(pvc["spec"]["volumeName"])
        if pv is None:
            return
        grown = await driver.expand_volume(pv["spec"]["csi"]["volumeHandle"], size_bytes, block=_is_block(pvc))
        capacity = {"capacity": {"storage": format_bytes(grown)}}
        await self._runtime.client.patch(
            PERSISTENTVOLUME, pv["metadata"]["name"], None, {"spec": capacity}, field_manager=FIELD_MANAGER
        )
        await self._report_size(pvc, capacity["capacity"]["storage"])

    async def _report_size(self, pvc: Json, capacity: str) -> None:
        metadata = pvc["metadata"]
        await self._runtime.client.patch(
            PERSISTENTVOLUMECLAIM,
            metadata["name"],
            metadata["namespace"],
            {"status": {"capacity": {"storage": capacity}}},
            subresource="status",
            field_manager=FIELD_MANAGER,
        )

    async def _say(self, pvc: Json, problem: str | None) -> Json:
        """Leave one sentence for whoever made the claim, or take it away; the claim as it then is."""
        metadata = pvc["metadata"]
        if metadata.get("annotations", {}).get(ANNOTATION_PROVISIONING_ERROR) == problem:
            return pvc
        if problem is not None:
            self._runtime.events.record(pvc, "Warning", "ProvisioningFailed", problem)
        return await self._runtime.client.patch(
            PERSISTENTVOLUMECLAIM,
            metadata["name"],
            metadata["namespace"],
            {"metadata": {"annotations": {ANNOTATION_PROVISIONING_ERROR: problem}}},
            field_manager=FIELD_MANAGER,
        )

    def _driver(self, pvc: Json) -> Driver | None:
        return self._drivers.get(driver_name(self._runtime.cache, pvc) or "")

    def _class(self, pvc: Json) -> Json:
        return self._runtime.cache.get(STORAGECLASS, Key(None, pvc["spec"]["storageClassName"])) or {}

    def _volume(self, name: str) -> Json | None:
        return self._runtime.cache.get(PERSISTENTVOLUME, Key(None, name))

    def _image(self, pvc: Json) -> MachineImage | None:
        name = image_of(pvc)
        image = None if name is None else self._runtime.cache.get(MACHINEIMAGE, Key(None, name))
        return None if image is None else MachineImage.parse(image)

    def _all_claims(self, _: Json) -> Iterable[Key]:
        return [Key.of(pvc) for pvc in self._runtime.cache.list(PERSISTENTVOLUMECLAIM)]

    def _claims_of_image(self, image: Json) -> Iterable[Key]:
        return [Key.of(pvc) for pvc in self._runtime.cache.by(CLAIMS_BY_IMAGE, image["metadata"]["name"])]


def volume_name(pvc: Json) -> str:
    """Name of the volume and its PV: from the claim's UID, so that a repeated step finds it."""
    return f"pvc-{pvc['metadata']['uid']}"


def image_of(pvc: Json) -> str | None:
    """Name of the MachineImage that the claim is made from."""
    source = pvc["spec"].get("dataSourceRef") or {}
    return source["name"] if source.get("kind") == MACHINEIMAGE.kind else None


def driver_name(cache: Cache, pvc: Json) -> str | None:
    """The driver that is to serve the claim, as its annotation or else its class says."""
    annotation: str | None = pvc["metadata"].get("annotations", {}).get(ANNOTATION_STORAGE_PROVISIONER)
    if annotation is not None:
        return annotation
    class_ = cache.get(STORAGECLASS, Key(None, pvc["spec"].get("storageClassName") or ""))
    return None if class_ is None else class_["provisioner"]


def claim_of_volume(pv: Json) -> Iterable[Key]:
    """The claim that the PV is meant for."""
    ref = pv["spec"].get("claimRef")
    return [Key(ref["namespace"], ref["name"])] if ref else []


def _is_block(pvc: Json) -> bool:
    return bool(pvc["spec"].get("volumeMode") == "Block")


def _persistent_volume(pvc: Json, class_: Json, driver: str, volume: ProvisionedVolume) -> Json:
    metadata, spec = pvc["metadata"], pvc["spec"]
    machine = metadata.get("labels", {}).get(LABEL_MACHINE_UID)
    return {
        "metadata": {
            "name": volume_name(pvc),
            "finalizers": [FINALIZER_CSI],
            "labels": {LABEL_MACHINE_UID: machine} if machine else {},
            "annotations": {"pv.kubernetes.io/provisioned-by": driver},
        },
        "spec": {
            "capacity": {"storage": format_bytes(volume.size_bytes)},
            "accessModes": spec["accessModes"],
            "volumeMode": spec.get("volumeMode", "Filesystem"),
            "storageClassName": spec["storageClassName"],
            "persistentVolumeReclaimPolicy": class_.get("reclaimPolicy", "Delete"),
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "csi": {
                "driver": driver,
                "volumeHandle": volume.handle,
                "volumeAttributes": dict(volume.attributes),
            },
        },
    }
