"""AIO bdevs: a file or block device of the machine, read and written as it is. Source: SPDK `module/bdev/aio`."""

from __future__ import annotations

import asyncio
import errno
import os
import uuid
from pathlib import Path

from sandbox.spdk.bdevs import Bdev, BlockNode
from sandbox.spdk.data_path import DataPath
from sandbox.spdk.dispatch import Json, RpcError

DEFAULT_BLOCK_SIZE = 512


class AioBdev(Bdev):
    """Backed by `path`. Its node is open in the storage daemon only while somebody uses the data."""

    product_name = "AIO disk"
    io_types = frozenset({"read", "write", "flush", "reset", "write_zeroes"})

    def __init__(
        self, daemon: DataPath, name: str, path: Path, *, bdev_uuid: str | None, block_size: int, read_only: bool
    ) -> None:
        size_bytes = _size(path)
        effective = block_size or DEFAULT_BLOCK_SIZE
        if effective < DEFAULT_BLOCK_SIZE or effective & (effective - 1) or size_bytes % effective:
            raise RpcError.from_errno(errno.EINVAL)
        super().__init__(name, bdev_uuid or str(uuid.uuid4()), effective, size_bytes // effective, read_only=read_only)
        self.path = path
        self._block_size_override = bool(block_size)
        self._daemon = daemon
        self._users = 0
        self.clones: set[str] = set()
        self.clone_left = asyncio.Event()

    async def unclaimed_by_clones(self) -> None:
        """Wait until no clone of an external snapshot stands on this bdev."""
        while self.clones:
            self.clone_left.clear()
            await self.clone_left.wait()

    @property
    def node_name(self) -> str:
        return f"aio-{self.uuid[-12:]}-{id(self) & 0xFFFF:x}"

    def driver_specific(self) -> dict[str, Json]:
        return {
            "aio": {
                "filename": str(self.path),
                "block_size_override": self._block_size_override,
                "readonly": self.read_only,
                "fallocate": False,
                "nowait": False,
            }
        }

    async def acquire_node(self) -> BlockNode:
        self._users += 1
        if self._users == 1:
            await self._daemon.execute_raw(
                "blockdev-add",
                {
                    "driver": "raw",
                    "node-name": self.node_name,
                    "read-only": self.read_only,
                    "file": {"driver": "file", "filename": str(self.path), "read-only": self.read_only},
                },
            )
        return BlockNode(self._daemon, self.node_name)

    async def release_node(self) -> None:
        self._users -= 1
        if self._users == 0:
            await self._daemon.execute("blockdev-del", node_name=self.node_name)


def _size(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return file.seek(0, os.SEEK_END)
    except OSError as error:
        raise RpcError.from_errno(error.errno or errno.EIO) from error
