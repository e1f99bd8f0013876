"""The driver: what the gRPC face calls. It keeps requests about one volume apart, and the target in shape."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from dpu_handler.lvol import names
from dpu_handler.lvol.errors import CallAgain, LvolError, NotNow
from dpu_handler.lvol.execution import translate
from dpu_handler.lvol.exports import Exports
from dpu_handler.lvol.images import Images
from dpu_handler.lvol.pool import Pool
from dpu_handler.lvol.target import Lvol, Lvstore, Target
from dpu_handler.lvol.volumes import SizeRange, Volumes
from dpu_handler.southbound import SouthboundError

_LOG = logging.getLogger(__name__)
LOOK_EVERY_S = 2.0


class Driver:
    """Volumes of one pool on one target. Any method may be cut off at any point and called again."""

    def __init__(self, target: Target, pool: Pool, images: Images, volumes: Volumes, exports: Exports) -> None:
        self._target = target
        self._pool = pool
        self._images = images
        self._volumes = volumes
        self._exports = exports
        # Kept as long as somebody works on the key or waits to.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.ready = asyncio.Event()

    async def create(self, csi_name: str, size: SizeRange, image_sha256: str | None) -> Lvol:
        """See ``Volumes.create``."""
        async with self._working_on(csi_name):
            return await self._volumes.create(self._target, csi_name, size, image_sha256)

    async def delete(self, uuid: str) -> None:
        """Delete a volume that nobody holds. What cannot be a volume's id names none that is left."""
        if not names.is_volume_id(uuid):
            return
        async with self._working_on(uuid):
            holder = self._exports.holder(uuid)
            if holder is not None:
                raise NotNow(f"Deleting volume {uuid}: node {holder} holds it. Unpublish it from there first.")
            await self._exports.unpublish(self._target, uuid, "")
            await self._volumes.delete(self._target, uuid)
            self._exports.forget(uuid)

    async def drop_image(self, sha256: str) -> None:
        """See ``Images.drop``."""
        async with self._working_on(sha256):
            await self._images.drop(self._target, sha256)

    async def publish(self, uuid: str, node_id: str) -> dict[str, str]:
        """See ``Exports.publish``."""
        async with self._working_on(uuid):
            await self._volumes.get(self._target, uuid)
            return await self._exports.publish(self._target, uuid, node_id)

    async def unpublish(self, uuid: str, node_id: str) -> None:
        """See ``Exports.unpublish``."""
        if not names.is_volume_id(uuid):
            return
        async with self._working_on(uuid):
            await self._exports.unpublish(self._target, uuid, node_id)

    async def expand(self, uuid: str, size: SizeRange) -> int:
        """See ``Volumes.expand``. One that a node holds does not grow behind its back (``Exports.check_reached``)."""
        async with self._working_on(uuid):
            if (await self._volumes.get(self._target, uuid)).size_bytes < size.required_bytes:
                await self._exports.check_reached(self._target, uuid)
            return await self._volumes.expand(self._target, uuid, size)

    async def get(self, uuid: str) -> Lvol:
        """See ``Volumes.get``."""
        async with self._translated(f"Looking at volume {uuid}"):
            return await self._volumes.get(self._target, uuid)

    async def volumes(self) -> list[Lvol]:
        """See ``Volumes.every``."""
        async with self._translated("Listing volumes"):
            return await self._volumes.every(self._target)

    async def images(self) -> dict[str, Lvol]:
        """See ``Images.every``."""
        async with self._translated("Listing images"):
            return await self._images.every(self._target)

    async def room(self) -> Lvstore:
        """See ``Volumes.room``."""
        async with self._translated("Looking at the pool"):
            return await self._volumes.room(self._target)

    async def keep(self, look_every_s: float = LOOK_EVERY_S) -> None:
        """Keep pool, transport, exports and images as they should be, for as long as the process lives.

        A target that was killed comes back within a second and with nothing in its memory, while guests wait for their
        disks: so it is looked at every ``look_every_s``.
        """
        while True:
            try:
                await self._repair()
                self.ready.set()
                await self._exports.note_readers(self._target)
                await self._images.sweep(self._target)
            except (LvolError, SouthboundError) as error:
                _LOG.warning("the storage target is not in order: %s", error)
            await asyncio.sleep(look_every_s)

    async def _repair(self) -> None:
        if not await self._pool.is_open(self._target):
            _LOG.info("opening pool=%s", self._pool.file)
            await self._pool.open(self._target)
        for uuid in await self._exports.out_of_shape(self._target):
            # By now somebody may be closing it, and what was seen is no reason to open it again.
            async with self._locks.setdefault(uuid, asyncio.Lock()):
                await self._exports.rebuild(self._target, uuid)

    @asynccontextmanager
    async def _working_on(self, key: str) -> AsyncIterator[None]:
        if not self.ready.is_set():
            raise CallAgain("The pool is not open yet. Call again.")
        async with self._locks.setdefault(key, asyncio.Lock()), self._translated(f"Working on {key}"):
            yield

    @asynccontextmanager
    async def _translated(self, attempt: str) -> AsyncIterator[None]:
        try:
            yield
        except SouthboundError as error:
            raise translate(attempt, error) from error
