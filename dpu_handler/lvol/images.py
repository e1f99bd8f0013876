"""Golden images: one snapshot in the pool for each content, made once, by the target itself."""

import asyncio
import hashlib
import re
from pathlib import Path

from dpu_handler.lvol import names, planning
from dpu_handler.lvol import target as seen
from dpu_handler.lvol.errors import CallAgain, InvalidRequest, NoSuchObject, NotNow
from dpu_handler.lvol.execution import converge
from dpu_handler.lvol.pool import Pool
from dpu_handler.lvol.target import Lvol, Target

_DIGEST = re.compile(r"[0-9a-f]{64}")
_READ_BYTES = 1 << 20


class Images:
    """The images of one directory of raw files, ``<sha256>.raw`` each."""

    def __init__(self, directory: Path, pool: Pool) -> None:
        self._directory = directory
        self._pool = pool
        self._lvstore = pool.lvstore
        self._importing: dict[str, asyncio.Lock] = {}

    async def ensure(self, target: Target, sha256: str) -> Lvol:
        """The snapshot of the image with that content; imported now if it is not in the pool yet."""
        if _DIGEST.fullmatch(sha256) is None:
            raise InvalidRequest(
                f"Parameter imageSha256 is {sha256!r}: write the sha256 of the image in lower-case hex"
            )
        async with self._importing.setdefault(sha256, asyncio.Lock()):
            state = await self._observe(target, sha256)
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
