"""The registry of block devices: what they are called, who claims them, who holds them open.

A bdev leaves by `unregister`: whoever holds it open is told and lets go (SPDK's hot remove), and only then is the
backing closed. Source: SPDK `lib/bdev`, and the recorded `bdev_get_bdevs` replies for the shape of `describe`.
"""

from __future__ import annotations

import asyncio
import errno
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.spdk.data_path import DataPath
from sandbox.spdk.dispatch import INVALID_PARAMS, Json, RpcError

ClaimType = Literal["exclusive_write", "read_many_write_none"]
NO_SUCH_DEVICE = RpcError.from_errno(errno.ENODEV)
NO_SUCH_DEVICE_PARAM = RpcError.from_errno(errno.ENODEV, INVALID_PARAMS)
FILE_EXISTS = RpcError.from_errno(errno.EEXIST)

_IO_TYPES = (
    "read", "write", "unmap", "flush", "reset", "nvme_admin", "nvme_io", "nvme_io_md", "write_zeroes", "zcopy",
    "get_zone_info", "zone_management", "zone_append", "compare", "compare_and_write", "abort", "seek_hole",
    "seek_data", "copy", "nvme_iov_md", "nvme_nssr", "write_uncorrectable",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BlockNode:
    """Where a bdev's data is to be had: a node of a storage daemon's block graph."""

    daemon: DataPath
    name: str


@dataclass(eq=False)
class Opening:
    """Somebody holds the bdev open.

    `removed` is called once, when the bdev goes away beneath the holder; `resized` with each new size in bytes, before
    the bdev shows it: the bdev may have another node then. For as long as `aside` lasts, nobody from outside reads or
    writes through the holder.
    """

    bdev: Bdev
    removed: Callable[[], Awaitable[None]]
    resized: Callable[[int], Awaitable[None]]
    aside: Callable[[], AbstractAsyncContextManager[None]]


class Bdev(ABC):
    """One block device; sizes in blocks of `block_size` bytes."""

    product_name: str
    io_types: frozenset[str]

    def __init__(self, name: str, uuid: str, block_size: int, num_blocks: int, *, read_only: bool = False) -> None:
        self.name = name
        self.uuid = uuid
        self.block_size = block_size
        self.num_blocks = num_blocks
        self.read_only = read_only
        self.claim: ClaimType | None = None
        self.openings: list[Opening] = []

    @property
    def aliases(self) -> list[str]:
        return [self.uuid]

    @property
    def names(self) -> set[str]:
        """All that it answers to: SPDK enters aliases and UUID as names."""
        return {self.name, self.uuid, *self.aliases}

    @property
    def size_bytes(self) -> int:
        return self.num_blocks * self.block_size

    @property
    def optional_members(self) -> dict[str, Json]:
        """What a kind of bdev adds behind its UUID (`numa_id`)."""
        return {}

    @property
    def memory_domains(self) -> list[str]:
        return []

    @property
    def write_hints(self) -> tuple[int, int, int]:
        """Preferred write alignment and granularity, optimal write size; blocks."""
        return (0, 0, 0)

    @property
    @abstractmethod
    def node_name(self) -> str:
        """The node that `acquire_node` gives; another one when the bdev has got another size, for some."""

    @property
    def fails(self) -> bool:
        """Whether its node fails every request from now on, and stays open for whoever has acquired it."""
        return False

    @abstractmethod
    def driver_specific(self) -> dict[str, Json]: ...

    @abstractmethod
    async def acquire_node(self) -> BlockNode:
        """The node to export or read; each call is undone by one `release_node`."""

    @abstractmethod
    async def release_node(self) -> None: ...

    def open(
        self,
        removed: Callable[[], Awaitable[None]],
        resized: Callable[[int], Awaitable[None]],
        aside: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> Opening:
        opening = Opening(self, removed, resized, aside)
        self.openings.append(opening)
        return opening

    def close(self, opening: Opening) -> None:
        if opening in self.openings:
            self.openings.remove(opening)

    def describe(self) -> dict[str, Json]:
        """One member of the reply to `bdev_get_bdevs`."""
        alignment, granularity, optimal = self.write_hints
        claim = {"claimed": False} if self.claim is None else {"claimed": True, "claim_type": self.claim}
        domains = {"memory_domains": [{"dma_device_type": kind} for kind in self.memory_domains]}
        return {
            "name": self.name,
            "aliases": self.aliases,
            "product_name": self.product_name,
            "block_size": self.block_size,
            "num_blocks": self.num_blocks,
            "preferred_write_alignment": alignment,
            "preferred_write_granularity": granularity,
            "optimal_write_size": optimal,
            "preferred_unmap_alignment": alignment,
            "preferred_unmap_granularity": granularity,
            "uuid": self.uuid,
            **self.optional_members,
            "assigned_rate_limits": dict.fromkeys(
                ("rw_ios_per_sec", "rw_mbytes_per_sec", "r_mbytes_per_sec", "w_mbytes_per_sec"), 0
            ),
            **claim,
            "zoned": False,
            "supported_io_types": {name: name in self.io_types for name in _IO_TYPES},
            **(domains if self.memory_domains else {}),
            "driver_specific": self.driver_specific(),
        }


@dataclass
class Notifications:
    """The ring behind `notify_get_notifications`: bdev_register, bdev_unregister, bdev_resize."""

    types: tuple[str, ...] = ("bdev_register", "bdev_unregister", "bdev_resize")
    events: list[dict[str, Any]] = field(default_factory=list)

    def send(self, kind: str, bdev: Bdev) -> None:
        self.events.append({"type": kind, "ctx": bdev.name, "id": len(self.events)})


class BdevRegistry:
    """All bdevs of a target, in order of registration."""

    def __init__(self) -> None:
        self._bdevs: dict[str, Bdev] = {}
        self._by_name: dict[str, Bdev] = {}
        self._examiners: list[Callable[[Bdev], Awaitable[None]]] = []
        self._changed = asyncio.Event()
        self.notifications = Notifications()

    def __iter__(self) -> Any:
        return iter(list(self._bdevs.values()))

    def on_register(self, examine: Callable[[Bdev], Awaitable[None]]) -> None:
        """`examine` looks at each new bdev (a module finds its own on it), before the bdev's creator is answered."""
        self._examiners.append(examine)

    def find(self, name: str) -> Bdev | None:
        """By name, alias or UUID."""
        return self._by_name.get(name)

    def get(self, name: str, error: RpcError = NO_SUCH_DEVICE) -> Bdev:
        bdev = self.find(name)
        if bdev is None:
            raise error
        return bdev

    async def wait_for(self, name: str) -> Bdev:
        while (bdev := self.find(name)) is None:
            self._changed.clear()
            await self._changed.wait()
        return bdev

    def add(self, bdev: Bdev) -> None:
        """Enter it; -17 when one of its names is taken."""
        if any(self.find(name) for name in bdev.names):
            raise FILE_EXISTS
        self._bdevs[bdev.name] = bdev
        for name in bdev.names:
            self._by_name[name] = bdev
        self.notifications.send("bdev_register", bdev)
        self._changed.set()

    async def register(self, bdev: Bdev) -> None:
        self.add(bdev)
        for examine in self._examiners:
            await examine(bdev)

    async def unregister(self, bdev: Bdev) -> None:
        """Take it out, then let every holder go; the caller closes what backs it."""
        if self._bdevs.get(bdev.name) is not bdev:
            return
        del self._bdevs[bdev.name]
        for name in bdev.names:
            del self._by_name[name]
        self.notifications.send("bdev_unregister", bdev)
        while bdev.openings:
            opening = bdev.openings.pop()
            await opening.removed()

    @asynccontextmanager
    async def set_aside(self, bdev: Bdev) -> AsyncIterator[None]:
        """For as long as the block, its holders keep away from the bdev whom a change of its size would break."""
        async with AsyncExitStack() as holders:
            for opening in list(bdev.openings):
                await holders.enter_async_context(opening.aside())
            yield

    async def resized(self, bdev: Bdev, num_blocks: int) -> None:
        """The bdev has a new size: its holders show it, and the ring says so."""
        if self._bdevs.get(bdev.name) is not bdev:
            return
        for opening in list(bdev.openings):
            await opening.resized(num_blocks * bdev.block_size)
        bdev.num_blocks = num_blocks
        self.notifications.send("bdev_resize", bdev)
