"""EmulatedDisk: a volume or a seed, shown to the server as a PCIe disk."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from dpu_handler import seed
from dpu_handler.controllers.device import LOOK_AGAIN, Device, Fact, chain
from dpu_handler.execution.dpu import Dpu
from dpu_handler.execution.observation import observe_disks
from dpu_handler.planning import disk as planning
from dpu_handler.planning.disk import Backing, Disk, LocalVolume, SeedFile, UnknownPublishContext
from dpu_handler.planning.observed import Observed
from dpu_handler.southbound import SouthboundError
from provider.api.conditions import EXPORTED, PLUGGED, READY, REMOVED, STAGED
from provider.api.emulateddisk import EmulatedDisk, EmulatedDiskStatus
from provider.api.reasons import Reason
from provider.api.resources import EMULATEDDISK, SECRET
from provider.runtime.context import Runtime
from provider.runtime.controller import Json, Key, Outcome, Settled, Watch
from provider.runtime.errors import NotFound
from provider.runtime.secrets import read_secret

_SERIAL_LENGTH = 20


class EmulatedDiskController:
    """Reconciles the disks of one DPU."""

    name = "emulateddisk"
    resource = EMULATEDDISK
    workers = 4

    def __init__(self, runtime: Runtime, dpu: Dpu, state_dir: Path) -> None:
        self._runtime = runtime
        self._dpu = dpu
        self._seeds = state_dir / "seeds"
        self._device: Device[EmulatedDiskStatus] = Device(runtime, EMULATEDDISK, dpu)
        self.watches = (Watch(SECRET, self._disks_of_secret),)

    async def reconcile(self, key: Key) -> Outcome:
        """Bring one disk to what it should be, and report."""
        raw = self._runtime.cache.get(EMULATEDDISK, key)
        if raw is None:
            # It may have gone without its removal, and what is in a seed is no more anybody's to keep. A server that
            # has it open reads on.
            present = self._runtime.cache.list(EMULATEDDISK, key.namespace)
            seed.keep_only(self._seeds, {each["metadata"]["uid"] for each in present})
            return self._device.settled(key.name)
        obj = EmulatedDisk.parse(raw)
        try:
            disk = await self._desired(obj)
        except (UnknownPublishContext, NotFound) as error:
            self._device.tell(raw, str(error))
            return await self._cannot(obj, raw, str(error))
        try:
            return await self._remove(obj, raw, disk) if obj.metadata.deleting else await self._make(obj, raw, disk)
        except SouthboundError as error:
            return await self._cannot(obj, raw, str(error))

    async def _make(self, obj: EmulatedDisk, raw: Json, disk: Disk) -> Outcome:
        seen = await observe_disks(self._dpu)
        plan = planning.plan(disk, seen)
        problem = ""
        if plan:
            problem = await self._device.carry_out(raw, plan)
            seen = await observe_disks(self._dpu)
        if isinstance(disk.backing, SeedFile) and not problem:
            seed.remove(self._seeds, obj.metadata.uid, keep=Path(disk.backing.path))
        made = self._made(disk, seen)
        ready = all(done for _, done in made) and not planning.plan(disk, seen)
        problem = problem or planning.obstacle(disk, seen)
        facts = chain(made, problem)
        facts.append(Fact(READY, "True", Reason.AVAILABLE) if ready else Fact(READY, "False", Reason.CREATING, problem))
        await self._device.report(obj, raw, self._status(disk, seen), facts)
        name = obj.metadata.name
        return self._device.settled(name) if ready else self._device.try_again(name)

    async def _remove(self, obj: EmulatedDisk, raw: Json, disk: Disk) -> Outcome:
        if not self._device.awaits_removal(obj):
            return Settled()
        seen = await observe_disks(self._dpu)
        problem = await self._device.carry_out(raw, planning.undo(disk, seen, force=obj.spec.force_unplug))
        seen = await observe_disks(self._dpu)
        if planning.undo(disk, seen):
            facts = self._device.not_removed(obj, problem, held=planning.is_held(disk, seen))
            await self._device.report(obj, raw, self._status(disk, seen), facts)
            return self._device.try_again(obj.metadata.name)
        seed.remove(self._seeds, obj.metadata.uid)
        _remove_left_socket(disk)
        facts = [Fact(REMOVED, "True", Reason.AVAILABLE), Fact(READY, "False", Reason.DELETING)]
        await self._device.report(obj, raw, EmulatedDiskStatus(), facts)
        return self._device.settled(obj.metadata.name)

    async def _desired(self, obj: EmulatedDisk) -> Disk:
        controller = f"mp-{obj.metadata.uid}"
        return Disk(
            controller=controller,
            vhost_socket=str(self._dpu.vhost_dir / controller),
            slot=obj.spec.slot,
            boot_index=obj.spec.boot_index,
            read_only=obj.spec.read_only or obj.spec.source.seed is not None,
            backing=await self._backing(obj),
        )

    async def _backing(self, obj: EmulatedDisk) -> Backing:
        if obj.spec.source.csi is not None:
            return self._volume(obj, obj.spec.source.csi.publish_context)
        name = f"seed-{obj.metadata.uid}"
        if obj.metadata.deleting or obj.spec.source.seed is None:
            # Its content matters no more, and the Secret may be gone already.
            return SeedFile(name, "")
        content = await read_secret(
            self._runtime.client, obj.spec.source.seed.secret_ref.name, obj.metadata.namespace or ""
        )
        path = seed.path_of(self._seeds, obj.metadata.uid, content)
        await asyncio.to_thread(seed.build, path, content)
        return SeedFile(name, str(path))

    @staticmethod
    def _volume(obj: EmulatedDisk, publish_context: Mapping[str, str]) -> Backing:
        try:
            return planning.backing_of(publish_context)
        except UnknownPublishContext:
            if not obj.metadata.deleting:
                raise
            # Nothing was ever attached for it, and its removal must not wait for a context that nobody will mend.
            return LocalVolume(obj.metadata.uid)

    async def _cannot(self, obj: EmulatedDisk, raw: Json, message: str) -> Outcome:
        facts = [Fact(READY, "Unknown", Reason.UNAVAILABLE, message)]
        await self._device.report(obj, raw, obj.status, facts)
        return LOOK_AGAIN

    def _made(self, disk: Disk, seen: Observed) -> list[tuple[str, bool]]:
        controller = seen.vhost.get(disk.controller)
        function = seen.functions.get(disk.slot)
        return [
            (STAGED, planning.bdev_of(disk, seen) is not None),
            (EXPORTED, controller is not None and controller.bdev is not None),
            (PLUGGED, function is not None and function.backing == disk.vhost_socket and not function.unplugging),
        ]

    def _status(self, disk: Disk, seen: Observed) -> EmulatedDiskStatus:
        bdev = planning.bdev_of(disk, seen)
        controller = seen.vhost.get(disk.controller)
        plugged = disk.slot in seen.functions
        return EmulatedDiskStatus(
            bdev=None if bdev is None else bdev.name,
            serial=None if bdev is None else bdev.name[:_SERIAL_LENGTH],
            size_bytes=None if bdev is None else bdev.size_bytes,
            controller=None if controller is None else controller.name,
            sessions=None if controller is None else controller.sessions,
            function_id=f"slot-{disk.slot}" if plugged else None,
        )

    def _disks_of_secret(self, secret: Json) -> list[Key]:
        name = secret["metadata"]["name"]
        return [
            Key.of(raw)
            for raw in self._runtime.cache.list(EMULATEDDISK, secret["metadata"]["namespace"])
            if raw["spec"]["source"].get("seed", {}).get("secretRef", {}).get("name") == name
        ]


def _remove_left_socket(disk: Disk) -> None:
    """A target that was killed left its socket, and its successor knows nothing of it."""
    Path(disk.vhost_socket).unlink(missing_ok=True)
