"""PersistentVolumes of our drivers: the volume behind one goes when its claim has gone, where the class says so."""

from collections.abc import Iterable, Mapping, Sequence

from provider.api.resources import PERSISTENTVOLUME, VOLUMEATTACHMENT
from provider.csi import finalizers, planning
from provider.csi.driver import Driver
from provider.csi.indexes import ATTACHMENTS_BY_VOLUME
from provider.csi.planning import DeleteVolume, LetGo, Nothing
from provider.runtime.context import Runtime
from provider.runtime.controller import Json, Key, Outcome, Settled, Watch

FIELD_MANAGER = "metalplane-csi-provisioner"


class VolumeController:
    """Reconciles PVs."""

    name = "metalplane-csi-volumes"
    resource = PERSISTENTVOLUME
    workers = 4
    watches: Sequence[Watch]

    def __init__(self, runtime: Runtime, drivers: Mapping[str, Driver]) -> None:
        self._runtime = runtime
        self._drivers = drivers
        self.watches = (Watch(VOLUMEATTACHMENT, _attached_volume),)

    async def reconcile(self, key: Key) -> Outcome:
        """Delete what nobody claims any more."""
        pv = self._runtime.cache.get(PERSISTENTVOLUME, key)
        driver = None if pv is None else self._drivers.get(pv["spec"].get("csi", {}).get("driver", ""))
        if pv is None or driver is None or self._attached(pv):
            return Settled()
        match planning.volume(pv):
            case DeleteVolume():
                await driver.delete_volume(pv["spec"]["csi"]["volumeHandle"])
                metadata = pv["metadata"]
                await self._runtime.client.delete(PERSISTENTVOLUME, metadata["name"], uid=metadata["uid"])
                await finalizers.lift(self._runtime.client, PERSISTENTVOLUME, await self._present(pv), FIELD_MANAGER)
            case LetGo():
                await finalizers.lift(self._runtime.client, PERSISTENTVOLUME, pv, FIELD_MANAGER)
            case Nothing():
                pass
        return Settled()

    async def _present(self, pv: Json) -> Json:
        return await self._runtime.client.get(PERSISTENTVOLUME, pv["metadata"]["name"])

    def _attached(self, pv: Json) -> bool:
        return bool(self._runtime.cache.by(ATTACHMENTS_BY_VOLUME, pv["metadata"]["name"]))


def _attached_volume(attachment: Json) -> Iterable[Key]:
    name = attachment["spec"]["source"].get("persistentVolumeName")
    return [Key(None, name)] if name else []
