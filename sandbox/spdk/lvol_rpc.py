"""Methods about lvstores and logical volumes. Answers as recorded; SPDK `module/bdev/lvol`."""

from __future__ import annotations

import errno
import uuid

from pydantic import Field

from sandbox.spdk.aio import AioBdev
from sandbox.spdk.bdevs import FILE_EXISTS, NO_SUCH_DEVICE, Bdev, BdevRegistry, Opening
from sandbox.spdk.data_path import DataPath, VolumeFiles
from sandbox.spdk.dispatch import INTERNAL_ERROR, INVALID_ARGUMENT, INVALID_PARAMS, Json, MethodTable, Params, RpcError
from sandbox.spdk.lvstore import NO_SPACE, LvolBdev, LvolRecord, Lvstore

DEFAULT_CLUSTER_BYTES = 4 << 20
_MIB = 1 << 20
_GROWABLE_CLUSTERS = 32728
"""Recorded alike for stores of 64 MiB and of 8 GiB: what one page of the blobstore's cluster mask can tell."""
_NAME_TAKEN = RpcError.from_errno(errno.EEXIST, INVALID_PARAMS)
_NOT_PERMITTED = RpcError.from_errno(errno.EPERM, INTERNAL_ERROR)


class CreateLvstore(Params):
    bdev_name: str
    lvs_name: str
    cluster_sz: int = Field(default=0, ge=0)
    clear_method: str | None = None
    num_md_pages_per_cluster_ratio: int | None = None


class NameLvstore(Params):
    uuid: str | None = None
    lvs_name: str | None = None


class CreateLvol(Params):
    lvol_name: str
    size_in_mib: int = Field(ge=0)
    thin_provision: bool = False
    uuid: str | None = None
    lvs_name: str | None = None
    clear_method: str | None = None


class Snapshot(Params):
    lvol_name: str
    snapshot_name: str


class Clone(Params):
    snapshot_name: str
    clone_name: str


class CloneBdev(Params):
    bdev: str
    lvs_name: str
    clone_name: str


class Name(Params):
    name: str


class Resize(Params):
    name: str
    size_in_mib: int = Field(ge=0)


class LvolRpc:
    """All lvstores of a target. `daemon` opens the files that `files` makes."""

    def __init__(self, registry: BdevRegistry, daemon: DataPath, files: VolumeFiles) -> None:
        self._registry = registry
        self._daemon = daemon
        self._files = files
        self._stores: list[Lvstore] = []
        self._bases: dict[str, Opening] = {}
        registry.on_register(self._examine)

    def add_to(self, table: MethodTable) -> None:
        table.add("bdev_lvol_create_lvstore", CreateLvstore, self.create_lvstore)
        table.add("bdev_lvol_delete_lvstore", NameLvstore, self.delete_lvstore)
        table.add("bdev_lvol_get_lvstores", NameLvstore, self.get_lvstores, optional=True)
        table.add("bdev_lvol_get_lvols", NameLvstore, self.get_lvols, optional=True)
        table.add("bdev_lvol_create", CreateLvol, self.create)
        table.add("bdev_lvol_snapshot", Snapshot, self.snapshot)
        table.add("bdev_lvol_clone", Clone, self.clone)
        table.add("bdev_lvol_clone_bdev", CloneBdev, self.clone_bdev)
        table.add("bdev_lvol_decouple_parent", Name, self.decouple)
        table.add("bdev_lvol_resize", Resize, self.resize)
        table.add("bdev_lvol_delete", Name, self.delete)

    async def create_lvstore(self, params: CreateLvstore) -> Json:
        bdev = self._registry.get(params.bdev_name)
        if self._store(params.lvs_name) is not None:
            raise FILE_EXISTS
        if bdev.claim is not None or not isinstance(bdev, AioBdev):
            raise RpcError.from_errno(errno.EPERM)
        cluster_bytes = params.cluster_sz or DEFAULT_CLUSTER_BYTES
        store = Lvstore.create(bdev.name, bdev.path, params.lvs_name, cluster_bytes, self._files)
        self._enter(store, bdev)
        return store.record.uuid

    async def delete_lvstore(self, params: NameLvstore) -> Json:
        store = self._named(params)
        for lvol in list(store.record.lvols):
            await self._registry.unregister(self._registry.get(lvol.uuid))
        self._stores.remove(store)
        base = self._registry.get(store.base_bdev)
        base.claim = None
        base.close(self._bases.pop(store.record.uuid))
        store.destroy()
        return True

    async def get_lvstores(self, params: NameLvstore) -> Json:
        stores = self._stores if params == NameLvstore() else [self._named(params)]
        return [_describe_store(store) for store in stores]

    async def get_lvols(self, params: NameLvstore) -> Json:
        stores = self._stores if params == NameLvstore() else [self._named(params)]
        return [_describe_lvol(store, lvol) for store in stores for lvol in store.record.lvols]

    async def create(self, params: CreateLvol) -> Json:
        store = self._named(NameLvstore(uuid=params.uuid, lvs_name=params.lvs_name))
        if store.by_name(params.lvol_name) is not None:
            raise FILE_EXISTS
        clusters = store.clusters(params.size_in_mib * _MIB)
        if not params.thin_provision and clusters > store.free_clusters:
            raise NO_SPACE
        lvol = LvolRecord(params.lvol_name, str(uuid.uuid4()), clusters, params.thin_provision)
        await store.add(lvol, full=not params.thin_provision)
        return await self._register(store, lvol)

    async def snapshot(self, params: Snapshot) -> Json:
        bdev = self._lvol(params.lvol_name)
        if bdev.store.by_name(params.snapshot_name) is not None:
            raise _NAME_TAKEN
        if bdev.in_use:
            # The stand-in cannot put a snapshot under an open volume; a real target can.
            raise RpcError.from_errno(errno.EBUSY, INVALID_PARAMS)
        taken = await bdev.store.snapshot(bdev.lvol, params.snapshot_name)
        self._count_clones_of(taken.esnap)
        return await self._register(bdev.store, taken)

    async def clone(self, params: Clone) -> Json:
        bdev = self._lvol(params.snapshot_name)
        if not bdev.lvol.snapshot:
            raise INVALID_ARGUMENT
        if bdev.store.by_name(params.clone_name) is not None:
            raise _NAME_TAKEN
        lvol = LvolRecord(params.clone_name, str(uuid.uuid4()), bdev.lvol.clusters, True, parent=bdev.lvol.uuid)
        await bdev.store.add(lvol)
        return await self._register(bdev.store, lvol)

    async def clone_bdev(self, params: CloneBdev) -> Json:
        store = self._store(params.lvs_name)
        source = self._registry.find(params.bdev)
        if source is None:
            raise RpcError(INVALID_PARAMS, "bdev does not exist")
        if store is None:
            raise RpcError(INVALID_PARAMS, "lvs does not exist")
        if isinstance(source, LvolBdev) and source.store is store:
            raise RpcError(INVALID_PARAMS, "bdev is an lvol in same lvs as clone; use bdev_lvol_clone instead")
        if store.by_name(params.clone_name) is not None:
            raise _NAME_TAKEN
        odd = source.size_bytes % store.record.cluster_bytes
        if odd or source.block_size != 512 or not isinstance(source, AioBdev):
            raise INVALID_ARGUMENT
        clusters = source.size_bytes // store.record.cluster_bytes
        lvol = LvolRecord(params.clone_name, str(uuid.uuid4()), clusters, True)
        lvol.esnap, lvol.esnap_file = source.uuid, str(source.path)
        await store.add(lvol)
        self._count_clones_of(lvol.esnap)
        return await self._register(store, lvol)

    async def decouple(self, params: Name) -> Json:
        bdev = self._lvol(params.name)
        if bdev.lvol.parent is None and bdev.lvol.esnap is None:
            raise INVALID_ARGUMENT
        if bdev.in_use:
            raise RpcError.from_errno(errno.EBUSY, INVALID_PARAMS)
        esnap = bdev.lvol.esnap
        await bdev.store.decouple(bdev.lvol)
        self._count_clones_of(esnap)
        return True

    async def resize(self, params: Resize) -> Json:
        bdev = self._lvol(params.name)
        store, lvol = bdev.store, bdev.lvol
        clusters = store.clusters(params.size_in_mib * _MIB)
        if lvol.snapshot:
            raise RpcError.from_errno(errno.EPERM, INVALID_PARAMS)
        grown = clusters - lvol.clusters
        if not lvol.thin and grown > store.free_clusters:
            raise NO_SPACE
        if bdev.in_use and grown < 0:
            raise RpcError.from_errno(errno.EBUSY, INVALID_PARAMS)
        # An NBD export has one size for life: who is connected is cut off and comes back by itself.
        async with self._registry.set_aside(bdev):
            await bdev.resize(clusters)
            await self._registry.resized(bdev, clusters * store.record.cluster_bytes // bdev.block_size)
        return True

    async def delete(self, params: Name) -> Json:
        bdev = self._lvol(params.name)
        if len(bdev.store.clones(bdev.lvol)) > 1:
            raise _NOT_PERMITTED
        await self._registry.unregister(bdev)
        esnap = bdev.lvol.esnap
        await bdev.store.remove(bdev.lvol)
        self._count_clones_of(esnap)
        return True

    async def _examine(self, bdev: Bdev) -> None:
        """A bdev that an lvstore lies on brings its volumes along."""
        store = (
            Lvstore.load(bdev.name, bdev.path, self._files)
            if isinstance(bdev, AioBdev) and not bdev.read_only
            else None
        )
        if store is None or self._store(store.record.name) is not None:
            return
        self._enter(store, bdev)
        for lvol in store.record.lvols:
            await self._register(store, lvol)

    def _enter(self, store: Lvstore, base: Bdev) -> None:
        base.claim = "exclusive_write"
        self._stores.append(store)
        self._bases[store.record.uuid] = base.open(lambda: self._base_gone(store), _never_resized)

    async def _base_gone(self, store: Lvstore) -> None:
        """The volumes go with the bdev that their lvstore lies on, and whoever serves them is left with none."""
        self._stores.remove(store)
        del self._bases[store.record.uuid]
        for lvol in store.record.lvols:
            await self._registry.unregister(self._registry.get(lvol.uuid))

    async def _register(self, store: Lvstore, lvol: LvolRecord) -> str:
        await self._registry.register(LvolBdev(self._daemon, store, lvol))
        return lvol.uuid

    def _count_clones_of(self, esnap: str | None) -> None:
        """See who stands on an external snapshot: a snapshot takes its origin's place there, a merge gives it on."""
        parent = self._registry.find(esnap) if esnap is not None else None
        if isinstance(parent, AioBdev):
            lvols = [lvol for store in self._stores for lvol in store.record.lvols]
            parent.clones = {lvol.uuid for lvol in lvols if lvol.esnap == esnap}
            parent.clone_left.set()
            parent.claim = "read_many_write_none" if parent.clones else None

    def _store(self, name: str | None) -> Lvstore | None:
        return next((store for store in self._stores if store.record.name == name), None)

    def _named(self, params: NameLvstore) -> Lvstore:
        for store in self._stores:
            if store.record.name == params.lvs_name or store.record.uuid == params.uuid:
                return store
        raise NO_SUCH_DEVICE

    def _lvol(self, name: str) -> LvolBdev:
        bdev = self._registry.get(name)
        if not isinstance(bdev, LvolBdev):
            raise NO_SUCH_DEVICE
        return bdev


async def _never_resized(_: int) -> None:
    """A file that holds an lvstore keeps its size."""


def _describe_store(store: Lvstore) -> Json:
    return {
        "uuid": store.record.uuid,
        "name": store.record.name,
        "base_bdev": store.base_bdev,
        "total_data_clusters": store.total_clusters,
        "free_clusters": store.free_clusters,
        "block_size": 512,
        "cluster_size": store.record.cluster_bytes,
        "max_growable_size": max(_GROWABLE_CLUSTERS, store.total_clusters) * store.record.cluster_bytes,
    }


def _describe_lvol(store: Lvstore, lvol: LvolRecord) -> Json:
    return {
        "alias": f"{store.record.name}/{lvol.name}",
        "uuid": lvol.uuid,
        "name": lvol.name,
        "is_thin_provisioned": lvol.thin,
        "is_snapshot": lvol.snapshot,
        "is_clone": lvol.parent is not None and not lvol.snapshot,
        "is_esnap_clone": lvol.esnap is not None,
        "is_degraded": False,
        "num_allocated_clusters": store.allocated(lvol),
        "lvs": {"name": store.record.name, "uuid": store.record.uuid},
    }
