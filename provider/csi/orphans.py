"""What the storage has and no object names: volumes without a PersistentVolume, snapshots of images that are gone.

Looked for at drivers that say that all they have is this cluster's (``metalplane.io/inventory: exclusive`` in their
manifest). At any other, what has no owner here may have one elsewhere.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from provider.api.machineimage import MachineImage
from provider.api.orphanreport import OrphanKey, Thing
from provider.api.resources import MACHINEIMAGE, PERSISTENTVOLUME, PERSISTENTVOLUMECLAIM
from provider.csi import imagesnapshots, planning
from provider.csi.driver import Driver
from provider.csi.errors import CSIError
from provider.csi.imagesnapshots import ImageSnapshot
from provider.csi.persistentvolumeclaim import driver_name, volume_name
from provider.runtime.context import Runtime
from provider.runtime.controller import Json, Key
from provider.runtime.orphans import CannotLook, OrphanController, OrphanStays, Ownerless, Rhythm

FIELD_MANAGER = "metalplane-csi-orphans"
RHYTHM = Rhythm(look_every_s=60.0, settles_s=60.0)
"""A volume has no PersistentVolume for the moment in which it is made: no longer, or its claim is in trouble."""

_MIB = 1 << 20


def build(runtime: Runtime, drivers: Mapping[str, Driver], namespace: str) -> OrphanController:
    """The controller of the storage's report, which is in ``namespace``."""
    return OrphanController(FIELD_MANAGER, runtime, namespace, StorageOrphans(runtime, drivers), rhythm=RHYTHM)


class StorageOrphans:
    """Looks at what drivers have."""

    def __init__(self, runtime: Runtime, drivers: Mapping[str, Driver]) -> None:
        self._runtime = runtime
        self._drivers = drivers

    async def look(self, *, fresh: bool) -> Sequence[Ownerless]:
        """See ``Source``."""
        found: list[Ownerless] = []
        try:
            for driver in self._drivers.values():
                if await driver.is_exclusive():
                    found += await self._of_driver(driver, fresh=fresh)
        except CSIError as error:
            raise CannotLook(str(error)) from error
        return found

    async def remove(self, key: OrphanKey) -> None:
        """See ``Source``. The driver itself keeps a volume that a node holds, and a snapshot that volumes stand on."""
        name, _, handle = key.name.partition("/")
        driver, cache = self._drivers[name], self._runtime.cache
        if handle in _named(driver, cache.list(PERSISTENTVOLUME), cache.list(MACHINEIMAGE)):
            raise OrphanStays("an object names it by now")
        try:
            if key.kind == "Volume":
                await driver.delete_volume(handle)
            else:
                await driver.delete_snapshot(handle)
        except CSIError as error:
            raise OrphanStays(str(error)) from error

    async def _of_driver(self, driver: Driver, *, fresh: bool) -> Iterable[Ownerless]:
        volumes, snapshots = await driver.list_volumes(), await driver.list_snapshots()
        client, cache = self._runtime.client, self._runtime.cache
        # Claims before volumes: what has its PersistentVolume when claims are read is found among those.
        making = self._making(driver, await client.list(PERSISTENTVOLUMECLAIM)) if fresh else []
        named = set(_named(driver, cache.list(PERSISTENTVOLUME), cache.list(MACHINEIMAGE)))
        if fresh:
            named |= set(_named(driver, await client.list(PERSISTENTVOLUME), await client.list(MACHINEIMAGE)))
        held = f"volumes are being made, and it may be one of them: {', '.join(making)}" if making else ""
        return [
            *_ownerless(driver, "Volume", volumes, named, held),
            *_ownerless(driver, "ImageSnapshot", snapshots, named, ""),
        ]

    def _making(self, driver: Driver, claims: Iterable[Json]) -> list[str]:
        """Claims that may have a volume which no PersistentVolume names yet."""
        cache = self._runtime.cache
        return [
            str(Key.of(pvc))
            for pvc in claims
            if planning.held(pvc)
            and driver_name(cache, pvc) == driver.name
            and cache.get(PERSISTENTVOLUME, Key(None, volume_name(pvc))) is None
        ]


def _named(driver: Driver, volumes: Iterable[Json], images: Iterable[Json]) -> Iterator[str]:
    """Handles of the driver that objects name."""
    for pv in volumes:
        csi = pv["spec"].get("csi", {})
        if csi.get("driver") == driver.name:
            yield csi["volumeHandle"]
    for each in images:
        image = MachineImage.parse(each)
        yield ImageSnapshot(driver.name, image.spec.sha256).handle
        yield from (snapshot.handle for snapshot in imagesnapshots.recorded(image) if snapshot.driver == driver.name)


def _ownerless(
    driver: Driver, kind: Thing, there: Mapping[str, int], named: set[str], held_by: str
) -> Iterator[Ownerless]:
    for handle, size_bytes in sorted(there.items()):
        if handle not in named:
            key = OrphanKey("storage", kind, f"{driver.name}/{handle}")
            yield Ownerless(key, f"{size_bytes // _MIB} MiB", held_by)
