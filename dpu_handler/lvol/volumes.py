"""Volumes: made from an image or blank, grown, deleted. The volume id is the lvol's UUID."""

from contextlib import nullcontext
from dataclasses import dataclass

from dpu_handler.lvol import names, planning
from dpu_handler.lvol import target as seen
from dpu_handler.lvol.errors import CallAgain, Incompatible, NoSuchObject, SizeOutOfRange
from dpu_handler.lvol.execution import converge
from dpu_handler.lvol.images import Images
from dpu_handler.lvol.pool import Pool
from dpu_handler.lvol.target import Lvol, Lvstore, Target

DEFAULT_SIZE_BYTES = 1 << 30
_LARGEST_BYTES = (1 << 63) - 1
"""What a size can be in CSI: ``int64``."""


@dataclass(frozen=True, slots=True)
class SizeRange:
    """What the caller would take, in bytes; 0 means no bound (CSI ``CapacityRange``)."""

    required_bytes: int = 0
    limit_bytes: int = 0

    def choose(self, at_least: int) -> int:
        """The size to make: whole clusters, no less than ``at_least``. Raises ``SizeOutOfRange``."""
        wanted = planning.round_up(max(self.required_bytes, at_least))
        limit = self.limit_bytes or _LARGEST_BYTES
        if wanted > limit:
            raise SizeOutOfRange(
                f"No volume of at least {max(self.required_bytes, at_least)} and at most {limit} bytes can be made: "
                f"sizes are multiples of {planning.CLUSTER_BYTES}. Ask for less, or raise the limit."
            )
        return wanted

    def default(self) -> int:
        """The size of a blank volume for which none is required: no more than the limit, and at least one cluster."""
        within = planning.round_down(self.limit_bytes) if self.limit_bytes else DEFAULT_SIZE_BYTES
        return max(min(DEFAULT_SIZE_BYTES, within), planning.CLUSTER_BYTES)

    def holds(self, size_bytes: int) -> bool:
        """Whether a volume of that size satisfies the range."""
        return size_bytes >= self.required_bytes and not (self.limit_bytes and size_bytes > self.limit_bytes)


class Volumes:
    """The volumes of one pool."""

    def __init__(self, pool: Pool, images: Images) -> None:
        self._pool = pool
        self._lvstore = pool.lvstore
        self._images = images

    async def create(self, target: Target, csi_name: str, size: SizeRange, image_sha256: str | None) -> Lvol:
        """The volume of that name, made if need be; the same call again finds the same volume."""
        with nullcontext() if image_sha256 is None else self._images.cloning(image_sha256):
            return await self._create(target, csi_name, size, image_sha256)

    async def expand(self, target: Target, uuid: str, size: SizeRange) -> int:
        """Grow the volume; the size in bytes that it has afterwards."""
        present = await self.get(target, uuid)
        wanted = size.choose(0)
        if size.limit_bytes and present.size_bytes > size.limit_bytes:
            raise SizeOutOfRange(f"Volume {uuid} has {present.size_bytes} bytes already, and volumes never shrink.")

        async def plan() -> planning.Plan:
            return planning.grow(uuid, wanted, (await self.get(target, uuid)).size_bytes)

        await converge(target, f"Growing volume {uuid} to {wanted} bytes", plan)
        return max(wanted, present.size_bytes)

    async def delete(self, target: Target, uuid: str) -> None:
        """Delete the volume; one that is gone is fine. Its export must be gone before."""

        async def plan() -> planning.Plan:
            found = await self._pool.lvol(target, uuid)
            return () if found is None else ((planning.Call("bdev_lvol_delete", {"name": uuid}),),)

        found = await self._pool.lvol(target, uuid)
        if found is not None and not _is_volume(found):
            raise NoSuchObject(f"Deleting volume {uuid}: lvol {found.name} is no volume.")
        await converge(target, f"Deleting volume {uuid}", plan)

    async def get(self, target: Target, uuid: str) -> Lvol:
        """The volume. Raises ``NoSuchObject``."""
        found = await self._pool.lvol(target, uuid) if names.is_volume_id(uuid) else None
        if found is None or not _is_volume(found):
            raise NoSuchObject(f"There is no volume {uuid} in lvstore {self._lvstore}.")
        return found

    async def every(self, target: Target) -> list[Lvol]:
        """All volumes, in the order of their ids."""
        found = await self._pool.every(target)
        return sorted((each for each in found if _is_volume(each)), key=lambda each: each.uuid)

    async def room(self, target: Target) -> Lvstore:
        """The lvstore and what is free in it."""
        store = await seen.lvstore(target, self._lvstore)
        if store is None:
            raise CallAgain(f"The lvstore {self._lvstore} is not open yet. Call again.")
        return store

    async def _create(self, target: Target, csi_name: str, size: SizeRange, image_sha256: str | None) -> Lvol:
        name = names.volume(csi_name)
        alias = f"{self._lvstore}/{name}"
        image = None if image_sha256 is None else await self._images.ensure(target, image_sha256)
        floor = image.size_bytes if image is not None else (0 if size.required_bytes else size.default())
        found = await self._pool.lvol(target, alias)
        if found is not None:
            self._check_same(csi_name, size, image, found)
        wanted = size.choose(floor) if found is None or not size.holds(found.size_bytes) else found.size_bytes

        async def plan() -> planning.Plan:
            present = await self._pool.lvol(target, alias)
            return planning.volume(name, self._lvstore, wanted, image_sha256, present)

        await converge(target, f"Creating volume {csi_name}", plan)
        made = await self._pool.lvol(target, alias)
        if made is None:
            raise CallAgain(f"Creating volume {csi_name}: it is gone again. Call again.")
        return made

    def _check_same(self, csi_name: str, size: SizeRange, image: Lvol | None, found: Lvol) -> None:
        wanted_parent = None if image is None else image.name
        if found.parent != wanted_parent:
            raise Incompatible(
                f"Volume {csi_name} exists as a clone of {found.parent or 'nothing'}, not of "
                f"{wanted_parent or 'nothing'}. Choose another name, or delete the volume first."
            )
        # A clone that still has its image's size is one whose growth a crash cut off: it is taken up, not refused.
        unfinished = image is not None and found.size_bytes == image.size_bytes
        if not size.holds(found.size_bytes) and not unfinished:
            raise Incompatible(
                f"Volume {csi_name} exists with {found.size_bytes} bytes, which is not what is asked for. "
                "Choose another name, or grow the volume."
            )


def _is_volume(found: Lvol) -> bool:
    return names.is_volume(found.name) and not found.is_snapshot
