"""Volumes: their PVC, the PV behind it, and the disks that use them."""

from collections.abc import Iterable

from provider.api.machineimage import MachineImage
from provider.api.names import volume_attachment
from provider.api.providerconfig import ClusterProviderConfig
from provider.api.resources import (
    CLUSTERPROVIDERCONFIG,
    MACHINEIMAGE,
    PERSISTENTVOLUME,
    PERSISTENTVOLUMECLAIM,
    STORAGECLASS,
    VIRTUALDISK,
    VOLUME,
    VOLUMEATTACHMENT,
)
from provider.api.volume import Volume
from provider.controllers.indexes import DISKS_BY_VOLUME, VOLUMES_BY_CLAIM, of_namespace
from provider.controllers.kind import ObjectKind
from provider.controllers.provisioner import failure
from provider.controllers.routes import Routes
from provider.controllers.surroundings import Surroundings
from provider.planning.volume import VolumePlan, World, claim_name, plan
from provider.runtime.attribution import machine_uid_of
from provider.runtime.context import Runtime
from provider.runtime.controller import Json, Key, Watch


class VolumeKind(ObjectKind[Volume]):
    """The external resource is a PVC; its name may be set, to adopt one of the same namespace."""

    resource = VOLUME

    def __init__(self, runtime: Runtime, surroundings: Surroundings) -> None:
        super().__init__(runtime)
        self._surroundings = surroundings
        routes = Routes(runtime.cache, VOLUME)
        self.watches = [
            Watch(PERSISTENTVOLUMECLAIM, self._of_claim),
            Watch(VOLUME, self._of_same_claim),
            *routes.by_machine(PERSISTENTVOLUME, VOLUMEATTACHMENT, VIRTUALDISK),
            Watch(CLUSTERPROVIDERCONFIG, self._unclaimed),
            Watch(MACHINEIMAGE, self._unclaimed),
            Watch(STORAGECLASS, self._unbound),
        ]

    def parse(self, raw: Json) -> Volume:
        """The model of an object."""
        return Volume.parse(raw)

    def external_name(self, obj: Volume) -> str:
        """Name of the PVC."""
        return claim_name(obj)

    def external_name_fault(self, obj: Volume) -> str | None:
        """Any PVC of the namespace may be adopted, but a volume does not change its PVC."""
        known, given = obj.status.at_provider.persistent_volume_claim, claim_name(obj)
        if known is None or known == given:
            return None
        return f"this Volume is PersistentVolumeClaim {known}: set its external-name back to that, not {given!r}"

    async def observe(self, obj: Volume) -> World:
        """PVC, PV, VolumeAttachment, and what the PVC is to be made of."""
        claim = self._cache.get(PERSISTENTVOLUMECLAIM, Key(obj.metadata.namespace, claim_name(obj)))
        volume = self._persistent_volume(claim)
        storage_class = self._storage_class(obj)
        attachment = None
        if volume is not None:
            attachment = self._cache.get(VOLUMEATTACHMENT, Key(None, volume_attachment(volume["metadata"]["uid"])))
        return World(
            volume=obj,
            claim=claim,
            persistent_volume=volume,
            attachment=attachment,
            storage_class=storage_class,
            storage_class_exists=self._cache.get(STORAGECLASS, Key(None, storage_class or "")) is not None,
            digest=self._digest(obj),
            users=tuple(self._users(obj)),
            rivals=frozenset(self._rivals(obj)),
            failure=failure(claim),
        )

    def plan(self, world: World) -> VolumePlan:
        """What to do about it."""
        return plan(world)

    def _persistent_volume(self, claim: Json | None) -> Json | None:
        name = (claim or {}).get("spec", {}).get("volumeName")
        return self._cache.get(PERSISTENTVOLUME, Key(None, name)) if name else None

    def _storage_class(self, obj: Volume) -> str | None:
        if obj.spec.for_provider.storage_class_name is not None:
            return obj.spec.for_provider.storage_class_name
        raw = self._cache.get(CLUSTERPROVIDERCONFIG, Key(None, obj.spec.provider_config_ref.name))
        return None if raw is None else ClusterProviderConfig.parse(raw).spec.storage_class_name

    def _digest(self, obj: Volume) -> str | None:
        """The pin; a volume made by hand without one takes the image as it is now."""
        parameters = obj.spec.for_provider
        if parameters.image_digest is not None or parameters.image is None:
            return parameters.image_digest
        raw = self._cache.get(MACHINEIMAGE, Key(None, parameters.image))
        return None if raw is None else MachineImage.parse(raw).spec.sha256

    def _users(self, obj: Volume) -> Iterable[str]:
        for disk in self._cache.by(DISKS_BY_VOLUME, of_namespace(obj.metadata.namespace, obj.metadata.name)):
            yield f"VirtualDisk {disk['metadata']['name']}"

    def _rivals(self, obj: Volume) -> Iterable[str]:
        for raw in self._cache.by(VOLUMES_BY_CLAIM, of_namespace(obj.metadata.namespace, claim_name(obj))):
            machine = machine_uid_of(raw)
            if machine is not None and raw["metadata"]["uid"] != obj.metadata.uid and not _going(raw):
                yield machine

    def _of_same_claim(self, raw: Json) -> list[Key]:
        """Those that may have the PVC for themselves once this one goes."""
        if not _going(raw):
            return []
        name = of_namespace(raw["metadata"]["namespace"], claim_name(Volume.parse(raw)))
        return [Key.of(volume) for volume in self._cache.by(VOLUMES_BY_CLAIM, name)]

    def _of_claim(self, claim: Json) -> list[Key]:
        # An adopted PVC may carry no label yet, so the name decides.
        name = of_namespace(claim["metadata"]["namespace"], claim["metadata"]["name"])
        return [Key.of(volume) for volume in self._cache.by(VOLUMES_BY_CLAIM, name)]

    def _unbound(self, _: Json) -> list[Key]:
        return [
            Key.of(volume)
            for volume in self._cache.list(VOLUME)
            if not volume.get("status", {}).get("atProvider", {}).get("persistentVolume")
        ]

    def _unclaimed(self, _: Json) -> list[Key]:
        return [
            Key.of(volume)
            for volume in self._cache.list(VOLUME)
            if not volume.get("status", {}).get("atProvider", {}).get("persistentVolumeClaim")
        ]


def _going(volume: Json) -> bool:
    return "deletionTimestamp" in volume["metadata"]
