"""Golden images: one snapshot in the pool for each content, made once, by the target itself.

An image that is dropped while volumes stand on it is kept for them alone: it goes with the last one, or is an image
again as soon as somebody wants a clone of it. A file beside the pool remembers that across crashes.
"""

import asyncio
import hashlib
import logging
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dpu_handler.lvol import names, planning
from dpu_handler.lvol import target as seen
from dpu_handler.lvol.errors import CallAgain, InvalidRequest, LvolError, NoSuchObject, NotNow
from dpu_handler.lvol.execution import converge
from dpu_handler.lvol.pool import Pool
from dpu_handler.lvol.records import DROPPED, IMPORTED, ImageMarks
from dpu_handler.lvol.target import Lvol, Target

_LOG = logging.getLogger(__name__)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_READ_BYTES = 1 << 20


class Images:
    """The images of one directory of raw files, ``<sha256>.raw`` each."""

    def __init__(self, directory: Path, pool: Pool) -> None:
        self._directory = directory
        self._pool = pool
        self._lvstore = pool.lvstore
        self._imported = ImageMarks(pool.state_dir / "images", IMPORTED)
        self._dropped = ImageMarks(pool.state_dir / "dropped-images", DROPPED)
        self._changing: dict[str, asyncio.Lock] = {}
        self._cloning: Counter[str] = Counter()

    @contextmanager
    def cloning(self, sha256: str) -> Iterator[None]:
        """While somebody clones the image it is not deleted, though no clone is to be seen yet."""
        self._cloning[sha256] += 1
        try:
            yield
        finally:
            self._cloning[sha256] -= 1
            if not self._cloning[sha256]:
                del self._cloning[sha256]

    async def ensure(self, target: Target, sha256: str) -> Lvol:
        """The snapshot of the image with that content; imported now if it is not in the pool yet, and not to go."""
        if _DIGEST.fullmatch(sha256) is None:
            raise InvalidRequest(
                f"Parameter imageSha256 is {sha256!r}: write the sha256 of the image in lower-case hex"
            )
        async with self._changing.setdefault(sha256, asyncio.Lock()):
            if sha256 in self._dropped:
                self._dropped.remove(sha256)
            state = await self._observe(target, sha256)
            if sha256 not in self._imported:
                await self._imported.add(sha256)
            if state.snapshot is None:
                await asyncio.to_thread(self._verify, sha256)
            path = str(self._path(sha256))

            async def plan() -> planning.Plan:
                return planning.image(sha256, path, self._lvstore, await self._observe(target, sha256))

            if planning.image(sha256, path, self._lvstore, state):
                await converge(target, f"Importing image {sha256}", plan)
            snapshot = state.snapshot or (await self._observe(target, sha256)).snapshot
        if snapshot is None:
            raise CallAgain(f"Importing image {sha256}: its snapshot is gone again. Call again.")
        return snapshot

    async def every(self, target: Target) -> dict[str, Lvol]:
        """Snapshots of images by their contents' sha256; those that were dropped are nobody's to ask for any more."""
        known = {names.image_snapshot(sha256): sha256 for sha256 in self._imported if sha256 not in self._dropped}
        found = {each.name: each for each in await self._pool.every(target) if each.is_snapshot}
        return {sha256: found[name] for name, sha256 in sorted(known.items()) if name in found}

    async def drop(self, target: Target, sha256: str) -> None:
        """Nobody names the image any more: it goes now, or with the last volume that stands on it (``sweep``)."""
        await self._dropped.add(sha256)
        await self._delete_unused(target, sha256)

    async def sweep(self, target: Target) -> None:
        """Delete the dropped images that no volume stands on any more."""
        for sha256 in self._dropped:
            try:
                await self._delete_unused(target, sha256)
            except LvolError as error:  # of one image: the next has its turn all the same
                _LOG.warning("a dropped image is still there: %s", error)

    async def _delete_unused(self, target: Target, sha256: str) -> None:
        async with self._changing.setdefault(sha256, asyncio.Lock()):

            async def plan() -> planning.Plan:
                seen = await self._observe(target, sha256)
                # Whoever begins to clone it from here on waits for the lock, and finds it dropped no more.
                free = sha256 in self._dropped and not self._cloning[sha256]
                return planning.dropped_image(sha256, self._lvstore, seen) if free else ()

            await converge(target, f"Deleting image {sha256}", plan)
            if sha256 in self._dropped and await self._observe(target, sha256) == planning.ImageState():
                self._imported.remove(sha256)
                self._dropped.remove(sha256)
                _LOG.info("deleted image=%s", sha256)

    async def _observe(self, target: Target, sha256: str) -> planning.ImageState:
        aliases = [f"{self._lvstore}/{name(sha256)}" for name in (names.image_snapshot, names.image_staging)]
        (snapshot, staging), raw = await asyncio.gather(
            self._pool.lvols(target, *aliases), seen.bdev_exists(target, names.image_bdev(sha256))
        )
        return planning.ImageState(snapshot, staging, raw)

    def _path(self, sha256: str) -> Path:
        return self._directory / f"{sha256}.raw"

    def _verify(self, sha256: str) -> None:
        """What is cloned a thousand times is read once before: its bytes must be what their name says."""
        path = self._path(sha256)
        digest = hashlib.sha256()
        try:
            with path.open("rb") as file:
                while chunk := file.read(_READ_BYTES):
                    digest.update(chunk)
        except FileNotFoundError as error:
            raise NoSuchObject(
                f"Importing image {sha256}: the storage node has no {path}. Put the raw image there."
            ) from error
        if digest.hexdigest() != sha256:
            raise NotNow(f"Importing image {sha256}: {path} has sha256 {digest.hexdigest()}. Copy the image anew.")
        if path.stat().st_size % planning.CLUSTER_BYTES:
            raise NotNow(
                f"Importing image {sha256}: its size {path.stat().st_size} is no multiple of "
                f"{planning.CLUSTER_BYTES} bytes. Pad the image (truncate -s %1M) and register it anew."
            )
