"""Methods about bdevs of any kind, and the AIO bdevs."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

from pydantic import Field

from sandbox.spdk.aio import AioBdev
from sandbox.spdk.bdevs import FILE_EXISTS, NO_SUCH_DEVICE, BdevRegistry
from sandbox.spdk.data_path import DataPath
from sandbox.spdk.dispatch import INVALID_ARGUMENT, Json, MethodTable, Params, RpcError


class GetBdevs(Params):
    name: str | None = None
    timeout: int = Field(default=0, ge=0)  # ms


class AioCreate(Params):
    name: str
    filename: str
    block_size: int = Field(default=0, ge=0)
    readonly: bool = False
    fallocate: bool = False
    uuid: str | None = None


class AioDelete(Params):
    name: str


class GetNotifications(Params):
    id: int = Field(default=0, ge=0)
    max: int = Field(default=2**31, ge=0)


class BdevRpc:
    """`daemon` opens the files of AIO bdevs."""

    def __init__(self, registry: BdevRegistry, daemon: DataPath) -> None:
        self._registry = registry
        self._daemon = daemon

    def add_to(self, table: MethodTable) -> None:
        table.add("bdev_get_bdevs", GetBdevs, self.get_bdevs, optional=True)
        table.add("bdev_aio_create", AioCreate, self.aio_create)
        table.add("bdev_aio_delete", AioDelete, self.aio_delete)
        table.add_without_params("bdev_wait_for_examine", self.wait_for_examine)
        table.add_without_params("notify_get_types", self.notify_get_types)
        table.add(
            "notify_get_notifications",
            GetNotifications,
            self.notify_get_notifications,
            optional=True,
            decode_error=INVALID_ARGUMENT,
        )

    async def get_bdevs(self, params: GetBdevs) -> Json:
        if params.name is None:
            return [bdev.describe() for bdev in self._registry]
        if params.timeout and self._registry.find(params.name) is None:
            try:
                await asyncio.wait_for(self._registry.wait_for(params.name), params.timeout / 1000)
            except TimeoutError as error:
                raise RpcError.from_errno(errno.ETIMEDOUT) from error
        return [self._registry.get(params.name).describe()]

    async def aio_create(self, params: AioCreate) -> Json:
        if self._registry.find(params.name) is not None:
            raise FILE_EXISTS
        bdev = AioBdev(
            self._daemon,
            params.name,
            Path(params.filename),
            bdev_uuid=params.uuid,
            block_size=params.block_size,
            read_only=params.readonly,
        )
        await self._registry.register(bdev)
        return bdev.name

    async def aio_delete(self, params: AioDelete) -> Json:
        """Never answers while clones of the bdev exist: they hold it and do not let go."""
        bdev = self._registry.find(params.name)
        if not isinstance(bdev, AioBdev) or bdev.name != params.name:
            raise NO_SUCH_DEVICE
        await bdev.unclaimed_by_clones()
        await self._registry.unregister(bdev)
        return True

    async def wait_for_examine(self) -> Json:
        """At once: a bdev is examined before its creation is answered."""
        return True

    async def notify_get_types(self) -> Json:
        return list(self._registry.notifications.types)

    async def notify_get_notifications(self, params: GetNotifications) -> Json:
        return self._registry.notifications.events[params.id : params.id + params.max]
