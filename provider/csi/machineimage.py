"""MachineImages that were cloned: the snapshot behind one goes when no image names its content any more.

The image itself does not wait for the volumes that stand on the snapshot: machines may run for months, and whoever
deletes an image wants no new ones of it. The driver keeps the snapshot for them and deletes it with the last one.
"""

from collections.abc import Iterable, Mapping, Sequence

from provider.api.machineimage import MachineImage
from provider.api.reasons import Reason
from provider.api.resources import MACHINEIMAGE, PERSISTENTVOLUME, PERSISTENTVOLUMECLAIM
from provider.csi import finalizers, imagesnapshots, planning
from provider.csi.driver import Driver
from provider.csi.errors import CSIError, CSIUnavailable
from provider.csi.imagesnapshots import ImageSnapshot
from provider.csi.persistentvolumeclaim import claim_of_volume, driver_name, image_of, volume_name
from provider.csi.planning import AwaitClaims, DeleteSnapshot, HandOver, LetGo, Nothing
from provider.runtime.context import Runtime
from provider.runtime.controller import Json, Key, Outcome, RequeueAfter, Settled, Watch

FIELD_MANAGER = "metalplane-csi-images"
_REFUSED_RETRY_S = 10.0


class ImageController:
    """Reconciles MachineImages."""

    name = FIELD_MANAGER
    resource = MACHINEIMAGE
    workers = 1

    def __init__(self, runtime: Runtime, drivers: Mapping[str, Driver]) -> None:
        self._runtime = runtime
        self._drivers = drivers
        self.watches: Sequence[Watch] = (
            Watch(PERSISTENTVOLUMECLAIM, _image_of_claim),
            Watch(PERSISTENTVOLUME, self._image_of_volume),
        )

    async def reconcile(self, key: Key) -> Outcome:
        """Give up one snapshot that the image does not name any more; its own change brings the next."""
        image = self._runtime.cache.get(MACHINEIMAGE, key)
        if image is None:
            return Settled()
        client = self._runtime.client
        match await self._plan(MachineImage.parse(image)):
            case HandOver(snapshot=snapshot, heir=heir):
                await self._hand_over(snapshot, heir)
                await self._forget(image, snapshot)
            case AwaitClaims(claims=claims):
                self._say(image, Reason.WAITING_FOR_CLAIMS, f"volumes of it are being made: {', '.join(claims)}")
            case DeleteSnapshot(snapshot=snapshot):
                return await self._delete(image, snapshot)
            case LetGo():
                await finalizers.lift(client, MACHINEIMAGE, image, FIELD_MANAGER)
            case Nothing():
                pass
        return Settled()

    async def _plan(self, image: MachineImage) -> planning.ImageStep:
        if not imagesnapshots.outdated(image):
            return planning.machine_image(image, (), ())
        making = [str(key) for key in await self._making(image)]
        every = [MachineImage.parse(each) for each in self._runtime.cache.list(MACHINEIMAGE)]
        return planning.machine_image(image, every, making)

    async def _making(self, image: MachineImage) -> list[Key]:
        # An import that comes after the deletion would stay for ever: so the API server is asked, not the cache.
        claims = await self._runtime.client.list(PERSISTENTVOLUMECLAIM)
        return [Key.of(pvc) for pvc in claims if self._may_be_making(pvc, image)]

    def _may_be_making(self, pvc: Json, image: MachineImage) -> bool:
        if image_of(pvc) != image.metadata.name or driver_name(self._runtime.cache, pvc) not in self._drivers:
            return False
        recorded = self._runtime.cache.get(PERSISTENTVOLUME, Key(None, volume_name(pvc))) is not None
        return not recorded and planning.may_be_making(pvc, image)

    async def _delete(self, image: Json, snapshot: ImageSnapshot) -> Outcome:
        driver = self._drivers.get(snapshot.driver)
        if driver is None:
            unknown = f"the provider was not given CSI driver {snapshot.driver}, which has its snapshot: give it again"
            self._say(image, Reason.SNAPSHOT_NOT_DELETED, unknown)
            return Settled()
        try:
            await driver.delete_snapshot(snapshot.handle)
        except CSIUnavailable as error:
            self._say(image, Reason.DRIVER_UNAVAILABLE, str(error))
            raise
        except CSIError as error:
            self._say(image, Reason.SNAPSHOT_NOT_DELETED, str(error))
            return RequeueAfter(_REFUSED_RETRY_S)
        await self._forget(image, snapshot)
        return Settled()

    async def _hand_over(self, snapshot: ImageSnapshot, name: str) -> None:
        heir = await self._runtime.client.get(MACHINEIMAGE, name)
        await self._annotate(heir, imagesnapshots.with_one_more(MachineImage.parse(heir), snapshot))

    async def _forget(self, image: Json, snapshot: ImageSnapshot) -> None:
        await self._annotate(image, imagesnapshots.without(MachineImage.parse(image), snapshot))

    async def _annotate(self, image: Json, annotations: Mapping[str, str]) -> None:
        await finalizers.add(self._runtime.client, MACHINEIMAGE, image, FIELD_MANAGER, annotations=annotations)

    def _say(self, image: Json, reason: Reason, note: str) -> None:
        self._runtime.events.record(image, "Warning", reason, note)

    def _image_of_volume(self, pv: Json) -> Iterable[Key]:
        claims = (self._runtime.cache.get(PERSISTENTVOLUMECLAIM, key) for key in claim_of_volume(pv))
        return [key for pvc in claims if pvc is not None for key in _image_of_claim(pvc)]


def _image_of_claim(pvc: Json) -> Iterable[Key]:
    name = image_of(pvc)
    return [Key(None, name)] if name else []
