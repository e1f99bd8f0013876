"""The pool: a file, the AIO bdev over it, the lvstore in that, and the transport through which its volumes leave."""

import asyncio
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from dpu_handler.lvol import target as seen
from dpu_handler.lvol.errors import CallAgain, NotNow
from dpu_handler.lvol.execution import converge
from dpu_handler.lvol.planning import BLOCK_BYTES, CLUSTER_BYTES, Call, Plan
from dpu_handler.lvol.records import write_durably
from dpu_handler.lvol.target import Lvol, Target

_BDEV = "metalplane-pool"
_BEING_MADE = "being made"
"""Stands for the lvstore's UUID from before it is made: what a crash leaves then may be made anew."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Where the pool is and what it is called; ``networked``: whether its volumes leave through a transport."""

    file: Path
    size_bytes: int
    lvstore: str
    state_dir: Path
    networked: bool = True
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False, compare=False)

    @property
    def _marker(self) -> Path:
        return self.state_dir / "pool.json"

    def make_file(self) -> None:
        """The pool's file, sparse; an existing one is never shortened."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(fd).st_size < self.size_bytes:
                os.ftruncate(fd, self.size_bytes)
        finally:
            os.close(fd)

    async def open(self, target: Target) -> None:
        """Bring the pool up on a target that may have just started, with nothing in its memory."""
        async with self._opening:
            await self._open(target)

    async def lvol(self, target: Target, name: str) -> Lvol | None:
        """See ``lvols``."""
        (found,) = await self.lvols(target, name)
        return found

    async def lvols(self, target: Target, *names: str) -> list[Lvol | None]:
        """The lvols of these UUIDs or aliases; None only where there is none, and the pool is open to tell.

        A target that was restarted knows no lvols until the pool is opened on it again. Taken for their absence, a
        volume would count as deleted and its data stay for ever. All questions leave in one write, so that one process
        answers them; while the pool is being opened, the lvstore is there before its lvols are. Raises ``CallAgain``.
        """
        while self._opening.locked():
            async with self._opening:
                pass
        looks = asyncio.gather(*(seen.lvol(target, name) for name in names))
        store, found = await asyncio.gather(seen.lvstore(target, self.lvstore), looks)
        if store is None:
            raise CallAgain(f"Looking for {' and '.join(names)}: the pool is not open on the target yet. Call again.")
        return found

    async def every(self, target: Target) -> list[Lvol]:
        """All lvols and snapshots, none left out because the pool is being opened. Raises ``CallAgain``."""
        while self._opening.locked():
            async with self._opening:
                pass
        store, found = await asyncio.gather(seen.lvstore(target, self.lvstore), seen.lvols(target, self.lvstore))
        if store is None:
            raise CallAgain("Listing the pool: it is not open on the target yet. Call again.")
        return found

    async def _open(self, target: Target) -> None:
        self.make_file()
        await converge(target, f"Opening the pool {self.file}", lambda: self._plan_bdev(target))
        await target.call("bdev_wait_for_examine")
        await converge(target, f"Opening the lvstore {self.lvstore}", lambda: self._plan_lvstore(target))
        if self.networked:
            await converge(target, "Making the NVMe-oF transport", lambda: self._plan_transport(target))
        store = await seen.lvstore(target, self.lvstore)
        if store is not None and self._recorded() != store.uuid:
            write_durably(self._marker, json.dumps({"lvstore": store.uuid}))

    async def is_open(self, target: Target) -> bool:
        """Whether lvstore and transport are there: false after the target was restarted empty."""
        if await seen.lvstore(target, self.lvstore) is None:
            return False
        return not self.networked or await seen.has_tcp_transport(target)

    async def _plan_bdev(self, target: Target) -> Plan:
        if await seen.bdev_exists(target, _BDEV):
            return ()
        # fallocate: freed clusters are punched out of the file, so that they read zero to their next owner.
        params = {"name": _BDEV, "filename": str(self.file), "block_size": BLOCK_BYTES, "fallocate": True}
        return ((Call("bdev_aio_create", params),),)

    async def _plan_lvstore(self, target: Target) -> Plan:
        if await seen.lvstore(target, self.lvstore) is not None:
            return ()
        if self._recorded() != _BEING_MADE:
            if self._recorded() is not None or self.file.stat().st_blocks:
                # The file holds something that the target does not find to be an lvstore. A new one would destroy it.
                raise NotNow(
                    f"Opening the lvstore {self.lvstore} in {self.file}: the file has content, and the target finds no "
                    f"lvstore in it. Restore the file, or remove it and {self._marker} to start with an empty pool."
                )
            write_durably(self._marker, json.dumps({"lvstore": _BEING_MADE}))
        params = {"bdev_name": _BDEV, "lvs_name": self.lvstore, "cluster_sz": CLUSTER_BYTES, "clear_method": "unmap"}
        return ((Call("bdev_lvol_create_lvstore", params),),)

    def _recorded(self) -> str | None:
        """UUID of the lvstore that was made in the file, as far as that was written down."""
        try:
            recorded: str = json.loads(self._marker.read_text())["lvstore"]
        except FileNotFoundError:
            return None
        return recorded

    async def _plan_transport(self, target: Target) -> Plan:
        if await seen.has_tcp_transport(target):
            return ()
        return ((Call("nvmf_create_transport", {"trtype": "TCP"}),),)
