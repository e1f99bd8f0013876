"""VirtualDisks: a volume's way to its DPU, or a seed's, and back."""

from provider.api.names import (
    FINALIZER_IN_USE,
    LABEL_MACHINE_UID,
    LABEL_NIC,
    dpu_namespace,
    emulated_disk,
    seed_secret,
    volume_attachment,
)
from provider.api.resources import (
    EMULATEDDISK,
    NAMESPACE,
    PERSISTENTVOLUME,
    PERSISTENTVOLUMECLAIM,
    POWERSTATE,
    SECRET,
    SERVER,
    SERVERCLAIM,
    VIRTUALDISK,
    VIRTUALNIC,
    VOLUME,
    VOLUMEATTACHMENT,
)
from provider.api.virtualdisk import SeedParameters, VirtualDisk
from provider.api.virtualnic import VirtualNIC
from provider.api.volume import Volume
from provider.controllers.agents import Agents
from provider.controllers.indexes import DISKS_BY_VOLUME, VOLUMES_BY_CLAIM, of_namespace
from provider.controllers.kind import ObjectKind
from provider.controllers.references import ReferenceField
from provider.controllers.routes import Routes, nobody
from provider.controllers.surroundings import Surroundings
from provider.planning.attachment import Storage
from provider.planning.seed import SeedNIC
from provider.planning.tenancy import Hold, NoHold
from provider.planning.virtualdisk import DiskPlan, SeedInputs, World, plan
from provider.planning.volume import claim_name
from provider.runtime.context import Runtime
from provider.runtime.controller import Json, Key, Watch
from provider.runtime.errors import NotFound
from provider.runtime.secrets import read_secret

USER_DATA_KEY = "userData"


class VirtualDiskKind(ObjectKind[VirtualDisk]):
    """The external resource is an EmulatedDisk in the DPU's namespace, and what it needs."""

    resource = VIRTUALDISK
    references: tuple[ReferenceField, ...] = (
        ReferenceField("serverClaim", SERVERCLAIM),
        ReferenceField("volume", VOLUME),
    )

    def __init__(self, runtime: Runtime, surroundings: Surroundings, agents: Agents) -> None:
        super().__init__(runtime)
        self._surroundings = surroundings
        self._agents = agents
        routes = Routes(runtime.cache, VIRTUALDISK)
        self.watches = [
            *routes.by_machine(SERVERCLAIM, VOLUME, VIRTUALNIC, POWERSTATE, EMULATEDDISK),
            *routes.by_machine(PERSISTENTVOLUMECLAIM, PERSISTENTVOLUME, VOLUMEATTACHMENT),
            Watch(VOLUMEATTACHMENT, self._waiting_for),
            Watch(SERVER, routes.by_server),
            routes.by_leaving_machine(),
            Watch(NAMESPACE, nobody),
        ]

    def _waiting_for(self, attachment: Json) -> list[Key]:
        """Disks of the volume, of whatever machine: one that waits has it as soon as this hold of another ends."""
        name = attachment["spec"]["source"].get("persistentVolumeName")
        volume = self._cache.get(PERSISTENTVOLUME, Key(None, name)) if name else None
        claim = (volume or {}).get("spec", {}).get("claimRef")
        if not claim:
            return []
        volumes = self._cache.by(VOLUMES_BY_CLAIM, of_namespace(claim["namespace"], claim["name"]))
        return [Key.of(disk) for each in volumes for disk in self._cache.by(DISKS_BY_VOLUME, _identity(each))]

    def parse(self, raw: Json) -> VirtualDisk:
        """The model of an object."""
        return VirtualDisk.parse(raw)

    def external_name(self, obj: VirtualDisk) -> str:
        """Name of the EmulatedDisk."""
        return emulated_disk(obj.metadata.uid)

    async def observe(self, obj: VirtualDisk) -> World:
        """Hold, storage or seed, device, and what stands in the way."""
        hold = self._surroundings.hold(obj.metadata, obj.spec.for_provider.server_claim_ref)
        dpu_name = hold.dpu_name if isinstance(hold, Hold) else obj.status.at_provider.dpu_name
        device = self._device(obj, dpu_name)
        if device is not None:
            dpu_name = device["metadata"]["namespace"].removeprefix(dpu_namespace(""))
        return World(
            disk=obj,
            hold=hold,
            storage=self._storage(obj),
            seed=await self._seed(obj, hold, dpu_name),
            device=device,
            slot_taken_by=self._slot_taken_by(obj, dpu_name) if device is None else None,
            agent_lost=self._agents.lost(dpu_name) if dpu_name else None,
            departure=self._surroundings.departure(obj.metadata),
            trace=self._trace(),
        )

    def plan(self, world: World) -> DiskPlan:
        """What to do about it."""
        return plan(world)

    def _device(self, obj: VirtualDisk, dpu_name: str | None) -> Json | None:
        name = emulated_disk(obj.metadata.uid)
        if dpu_name is not None:
            device = self._cache.get(EMULATEDDISK, Key(dpu_namespace(dpu_name), name))
            if device is not None:
                return device
        # Wherever it is: claim and status may both be lost, and the device must still be found and taken away.
        return self._anywhere(obj, name)

    def _anywhere(self, obj: VirtualDisk, name: str) -> Json | None:
        labels = {LABEL_MACHINE_UID: obj.metadata.controller_uid or ""}
        found = self._cache.list(EMULATEDDISK, None, labels)
        return next((device for device in found if device["metadata"]["name"] == name), None)

    def _slot_taken_by(self, obj: VirtualDisk, dpu_name: str | None) -> str | None:
        if dpu_name is None:
            return None
        slot = obj.spec.for_provider.slot
        devices = self._cache.list(EMULATEDDISK, dpu_namespace(dpu_name))
        return next((device["metadata"]["name"] for device in devices if device["spec"]["slot"] == slot), None)

    def _storage(self, obj: VirtualDisk) -> Storage | None:
        reference = obj.spec.for_provider.volume_ref
        raw = self._cache.get(VOLUME, Key(obj.metadata.namespace, reference.name)) if reference else None
        if raw is None:
            return self._storage_left(obj)
        claim = self._cache.get(PERSISTENTVOLUMECLAIM, Key(obj.metadata.namespace, claim_name(Volume.parse(raw))))
        name = (claim or {}).get("spec", {}).get("volumeName")
        volume = self._cache.get(PERSISTENTVOLUME, Key(None, name)) if name else None
        if volume is None:
            return Storage(claim)
        attachment = self._cache.get(VOLUMEATTACHMENT, Key(None, volume_attachment(volume["metadata"]["uid"])))
        return Storage(claim, volume, attachment)

    def _storage_left(self, obj: VirtualDisk) -> Storage | None:
        """The Volume is gone (its data was to be kept, say): what this disk holds of it is found by its own record."""
        name = obj.status.at_provider.volume_attachment
        attachment = self._cache.get(VOLUMEATTACHMENT, Key(None, name)) if name else None
        if attachment is None:
            return self._protected_in_vain(obj) if obj.metadata.deleting else None
        volume = self._cache.get(PERSISTENTVOLUME, Key(None, attachment["spec"]["source"]["persistentVolumeName"]))
        reference = (volume or {}).get("spec", {}).get("claimRef")
        key = Key(obj.metadata.namespace, reference["name"]) if reference else None
        claim = self._cache.get(PERSISTENTVOLUMECLAIM, key) if key else None
        return Storage(claim, volume, attachment)

    def _protected_in_vain(self, obj: VirtualDisk) -> Storage | None:
        """A PVC of the machine that only our finalizer still calls used: its Volume and its attachment are gone."""
        namespace = obj.metadata.namespace
        wanted = {claim_name(Volume.parse(raw)) for raw in self._cache.list(VOLUME, namespace)}
        labels = {LABEL_MACHINE_UID: obj.metadata.controller_uid or ""}
        attached = {each["spec"]["source"].get("persistentVolumeName") for each in self._cache.list(VOLUMEATTACHMENT)}
        for claim in self._cache.list(PERSISTENTVOLUMECLAIM, namespace, labels):
            used = claim["metadata"]["name"] in wanted or claim["spec"].get("volumeName") in attached
            if FINALIZER_IN_USE in claim["metadata"].get("finalizers", ()) and not used:
                return Storage(claim)
        return None

    async def _seed(self, obj: VirtualDisk, hold: Hold | NoHold, dpu_name: str | None) -> SeedInputs | None:
        seed = obj.spec.for_provider.seed
        if seed is None:
            return None
        secret = await self._seed_secret(obj, dpu_name)
        if obj.metadata.deleting or not isinstance(hold, Hold):
            return SeedInputs(secret=secret)
        present = [VirtualNIC.parse(raw) for raw in self._surroundings.siblings(obj.metadata, VIRTUALNIC)]
        nics = [nic for nic in present if not nic.metadata.deleting]
        nics.sort(key=lambda nic: nic.spec.for_provider.index)
        pending = [f"VirtualNIC {nic.metadata.name}" for nic in nics if not nic.status.at_provider.addresses]
        missing = hold.claim.spec.for_provider.nics - len(nics)
        if missing > 0:
            pending.append(f"{missing} VirtualNICs that do not exist yet")
        user_data, fault = (None, None) if secret is not None else await self._user_data(obj, seed)
        return SeedInputs(tuple(map(_seed_nic, nics)), tuple(pending), user_data, fault, secret)

    async def _seed_secret(self, obj: VirtualDisk, dpu_name: str | None) -> Json | None:
        if dpu_name is None:
            return None
        try:
            return await self._runtime.client.get(SECRET, seed_secret(obj.metadata.uid), dpu_namespace(dpu_name))
        except NotFound:
            return None

    async def _user_data(self, obj: VirtualDisk, seed: SeedParameters) -> tuple[bytes | None, str | None]:
        if seed.user_data_secret_ref is None:
            return None, None
        name = seed.user_data_secret_ref.name
        try:
            secret = await read_secret(self._runtime.client, name, obj.metadata.namespace or "")
        except NotFound:
            return None, f"Secret {name} with the user data does not exist: make it, with key {USER_DATA_KEY}"
        if USER_DATA_KEY not in secret:
            return None, f"Secret {name} has no key {USER_DATA_KEY}: put the user data there"
        return secret[USER_DATA_KEY], None


def _identity(obj: Json) -> str:
    return of_namespace(obj["metadata"]["namespace"], obj["metadata"]["name"])


def _seed_nic(nic: VirtualNIC) -> SeedNIC:
    seen = nic.status.at_provider
    return SeedNIC(
        name=nic.metadata.labels.get(LABEL_NIC, f"eth{nic.spec.for_provider.index}"),
        mac=seen.mac_address or "",
        addresses=tuple(seen.addresses),
        gateway=seen.gateway,
        name_servers=tuple(seen.name_servers),
        mtu=seen.mtu,
    )
