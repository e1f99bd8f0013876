"""The lvstore: logical volumes, snapshots and clones, kept beside the file of the bdev that it lies on.

What a real lvstore keeps inside its bdev is here a directory `<file>.lvs`: a qcow2 file a volume (a clone is an overlay
of its snapshot's file) and one JSON file that names them. It survives the target and is found again when the bdev is
made anew, as SPDK finds an lvstore when it examines a bdev.
"""

from __future__ import annotations

import errno
import json
import os
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sandbox.spdk.bdevs import Bdev, BlockNode
from sandbox.spdk.data_path import DataPath, VolumeFiles
from sandbox.spdk.dispatch import INVALID_PARAMS, Json, RpcError

BLOCK_BYTES = 512
_PAGE_BYTES = 4096
NO_SPACE = RpcError.from_errno(errno.ENOSPC, INVALID_PARAMS)


@dataclass
class LvolRecord:
    """What is kept of one lvol. `parent` is the UUID of the snapshot it stands on, `esnap` that of a foreign bdev."""

    name: str
    uuid: str
    clusters: int
    thin: bool
    snapshot: bool = False
    parent: str | None = None
    esnap: str | None = None
    esnap_file: str | None = None


@dataclass
class LvstoreRecord:
    """What is kept of the whole."""

    uuid: str
    name: str
    cluster_bytes: int
    lvols: list[LvolRecord] = field(default_factory=list)


class Lvstore:
    """One lvstore, on the file of an AIO bdev."""

    def __init__(self, base_bdev: str, pool: Path, record: LvstoreRecord, files: VolumeFiles) -> None:
        self.base_bdev = base_bdev
        self.record = record
        self._pool = pool
        self._files = files
        self._directory = directory_of(pool)

    @classmethod
    def create(cls, base_bdev: str, pool: Path, name: str, cluster_bytes: int, files: VolumeFiles) -> Lvstore:
        directory = directory_of(pool)
        directory.mkdir(exist_ok=True)
        for leftover in directory.iterdir():
            leftover.unlink()
        store = cls(base_bdev, pool, LvstoreRecord(str(uuid.uuid4()), name, cluster_bytes), files)
        store.save()
        return store

    @classmethod
    def load(cls, base_bdev: str, pool: Path, files: VolumeFiles) -> Lvstore | None:
        """The lvstore that lies on the file, if there is one."""
        try:
            kept = json.loads((directory_of(pool) / "lvstore.json").read_text())
        except FileNotFoundError:
            return None
        lvols = [LvolRecord(**lvol) for lvol in kept.pop("lvols")]
        return cls(base_bdev, pool, LvstoreRecord(**kept, lvols=lvols), files)

    def save(self) -> None:
        """Commit: after a crash there is the old state or the new one."""
        temporary = self._directory / "lvstore.new"
        with temporary.open("w") as file:
            json.dump(asdict(self.record), file)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self._directory / "lvstore.json")

    def destroy(self) -> None:
        for path in self._directory.iterdir():
            path.unlink()
        self._directory.rmdir()

    def file(self, lvol: LvolRecord) -> Path:
        return self._directory / f"{lvol.uuid}.qcow2"

    def by_name(self, name: str) -> LvolRecord | None:
        return next((lvol for lvol in self.record.lvols if lvol.name == name), None)

    def by_uuid(self, lvol_uuid: str | None) -> LvolRecord | None:
        return next((lvol for lvol in self.record.lvols if lvol.uuid == lvol_uuid), None)

    def clones(self, lvol: LvolRecord) -> list[LvolRecord]:
        return [other for other in self.record.lvols if other.parent == lvol.uuid]

    def clusters(self, size_bytes: int) -> int:
        return -(-size_bytes // self.record.cluster_bytes)

    def allocated(self, lvol: LvolRecord) -> int:
        return self._files.allocated_clusters(self.file(lvol))

    @property
    def total_clusters(self) -> int:
        """Some room of the bdev is the lvstore's own: a page of metadata for each cluster, and four of masks."""
        cluster_bytes = self.record.cluster_bytes
        clusters = self._pool.stat().st_size // cluster_bytes
        return max(clusters - -(-(clusters + 4) * _PAGE_BYTES // cluster_bytes), 0)

    @property
    def free_clusters(self) -> int:
        return self.total_clusters - sum(self.allocated(lvol) for lvol in self.record.lvols)

    async def add(self, lvol: LvolRecord, *, full: bool = False) -> None:
        """Make the file, then the entry: a file without an entry belongs to nobody."""
        backing = self._backing(lvol)
        size_bytes = lvol.clusters * self.record.cluster_bytes
        await self._files.create(self.file(lvol), size_bytes, self.record.cluster_bytes, backing=backing, full=full)
        self.record.lvols.append(lvol)
        self.save()

    async def snapshot(self, origin: LvolRecord, name: str) -> LvolRecord:
        """The snapshot takes the origin's data over; the origin becomes a thin clone of it."""
        taken = LvolRecord(
            name, str(uuid.uuid4()), origin.clusters, origin.thin, True, origin.parent, origin.esnap, origin.esnap_file
        )
        self._files.link(self.file(origin), self.file(taken))
        size_bytes = origin.clusters * self.record.cluster_bytes
        backing = (self.file(taken), "qcow2")
        await self._files.create(self.file(origin), size_bytes, self.record.cluster_bytes, backing=backing)
        origin.parent, origin.esnap, origin.esnap_file, origin.thin = taken.uuid, None, None, True
        self.record.lvols.append(taken)
        self.save()
        return taken

    async def decouple(self, lvol: LvolRecord) -> None:
        """The volume holds all its data itself after it."""
        await self._files.copy_whole(self.file(lvol), self.record.cluster_bytes)
        lvol.parent, lvol.esnap, lvol.esnap_file, lvol.thin = None, None, None, False
        self.save()

    async def remove(self, lvol: LvolRecord) -> None:
        """A snapshot with one clone is merged into that clone."""
        for clone in self.clones(lvol):
            await self._files.change_backing(self.file(clone), self._backing(lvol))
            clone.parent, clone.esnap, clone.esnap_file = lvol.parent, lvol.esnap, lvol.esnap_file
        self.record.lvols.remove(lvol)
        self.save()
        self._files.remove(self.file(lvol))

    async def resize(self, lvol: LvolRecord, clusters: int, node: BlockNode | None) -> None:
        """`node` has the file open, if anybody does."""
        size_bytes = clusters * self.record.cluster_bytes
        if node is None:
            await self._files.resize(self.file(lvol), size_bytes)
        else:
            await node.daemon.execute("block_resize", node_name=node.name, size=size_bytes)
        lvol.clusters = clusters
        self.save()

    def _backing(self, lvol: LvolRecord) -> tuple[Path, str] | None:
        parent = self.by_uuid(lvol.parent)
        if parent is not None:
            return self.file(parent), "qcow2"
        return (Path(lvol.esnap_file), "raw") if lvol.esnap_file is not None else None


class LvolBdev(Bdev):
    """A logical volume as a bdev: named by its UUID, with `lvs/name` as its alias."""

    product_name = "Logical Volume"
    io_types = frozenset({"read", "write", "unmap", "reset", "write_zeroes", "seek_hole", "seek_data"})

    def __init__(self, daemon: DataPath, store: Lvstore, lvol: LvolRecord) -> None:
        size_bytes = lvol.clusters * store.record.cluster_bytes
        super().__init__(lvol.uuid, lvol.uuid, BLOCK_BYTES, size_bytes // BLOCK_BYTES, read_only=lvol.snapshot)
        if lvol.snapshot:
            self.io_types = frozenset({"read", "reset", "seek_hole", "seek_data"})
        self.store = store
        self.lvol = lvol
        self._daemon = daemon
        self._users = 0

    @property
    def aliases(self) -> list[str]:
        return [f"{self.store.record.name}/{self.lvol.name}"]

    @property
    def node_name(self) -> str:
        return f"lvol-{self.lvol.uuid[:26]}"

    @property
    def in_use(self) -> bool:
        return self._users > 0

    async def resize(self, clusters: int) -> None:
        node = BlockNode(self._daemon, self.node_name) if self.in_use else None
        await self.store.resize(self.lvol, clusters, node)

    def driver_specific(self) -> dict[str, Json]:
        lvol, store = self.lvol, self.store
        detail: dict[str, Json] = {
            "lvol_store_uuid": store.record.uuid,
            "base_bdev": store.base_bdev,
            "thin_provision": lvol.thin,
            "num_allocated_clusters": store.allocated(lvol),
            "snapshot": lvol.snapshot,
            "clone": lvol.parent is not None and not lvol.snapshot,
        }
        parent = store.by_uuid(lvol.parent)
        if parent is not None and not lvol.snapshot:
            detail["base_snapshot"] = parent.name
        clones = [clone.name for clone in store.clones(lvol)]
        if clones:
            detail["clones"] = clones
        detail["esnap_clone"] = lvol.esnap is not None
        if lvol.esnap is not None:
            detail["external_snapshot_name"] = lvol.esnap
        return {"lvol": detail}

    async def acquire_node(self) -> BlockNode:
        self._users += 1
        if self._users == 1:
            file = {"driver": "file", "filename": str(self.store.file(self.lvol)), "read-only": self.read_only}
            opened = {"driver": "qcow2", "node-name": self.node_name, "read-only": self.read_only, "file": file}
            # A freed cluster goes back to the file system, so that deleted data cannot come up again.
            await self._daemon.execute_raw("blockdev-add", opened | {"discard": "unmap"})
        return BlockNode(self._daemon, self.node_name)

    async def release_node(self) -> None:
        self._users -= 1
        if self._users == 0:
            await self._daemon.execute("blockdev-del", node_name=self.node_name)


def directory_of(pool: Path) -> Path:
    """Where the lvstore on a file is kept."""
    return pool.with_name(f"{pool.name}.lvs")
