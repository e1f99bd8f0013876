"""An SPDK target's JSON-RPC, over its Unix socket.

The target polls its socket every 4 ms, so a request costs 8 ms however it is made: what counts is the number of round
trips. Calls that are awaited together (``asyncio.gather``) leave in one write and are executed in one poll.
"""

import errno
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager, suppress
from os import PathLike
from typing import Any

from dpu_handler import _native
from dpu_handler.southbound.connection import RequestTracer, call
from dpu_handler.southbound.errors import DeadlineExceeded, Malformed, RpcRefused

_TIMEOUT_S = 10.0
_DETACH_TIMEOUT_S = 15.0
_ENABLE_TIMEOUT_S = 0.5
_MISSING = (-errno.ENODEV, -32602, -32603)
"""Codes for a missing bdev (-19) and a missing vhost controller (-32602 or -32603, both "No such device")."""


class SpdkClient:
    """One persistent connection to one target; made with the first request, and anew after a loss."""

    def __init__(
        self, socket_path: str | PathLike[str], *, tracer: RequestTracer | None = None, timeout_s: float = _TIMEOUT_S
    ) -> None:
        self._connection = _native.SpdkConnection(socket_path)
        self._tracer = tracer
        self._timeout_s = timeout_s

    def call(
        self, method: str, params: Mapping[str, Any] | None = None, *, timeout_s: float | None = None
    ) -> Awaitable[Any]:
        """The result of one request. Raises ``SouthboundError``; never repeats a request."""
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        return call(self._connection, method, params, system="spdk", timeout_s=limit_s, tracer=self._tracer)

    async def bdevs(self) -> list[dict[str, Any]]:
        """All bdevs (``bdev_get_bdevs``)."""
        found: list[dict[str, Any]] = await self.call("bdev_get_bdevs")
        return found

    async def nvme_controllers(self) -> list[dict[str, Any]]:
        """All NVMe controllers, with their host NQNs (``bdev_nvme_get_controllers``)."""
        found: list[dict[str, Any]] = await self.call("bdev_nvme_get_controllers")
        return found

    async def vhost_controllers(self) -> list[dict[str, Any]]:
        """All vhost controllers with their sessions (``vhost_get_controllers``)."""
        found: list[dict[str, Any]] = await self.call("vhost_get_controllers")
        return found

    async def attach_nvme(self, params: Mapping[str, Any]) -> list[str]:
        """Attach a controller (``bdev_nvme_attach_controller``); the names of its bdevs.

        Raises ``Malformed`` where the target says yes and names none: an older controller of that process still holds
        the namespace's UUID, and this one shows nothing.
        """
        names: list[str] = await self.call("bdev_nvme_attach_controller", params, timeout_s=30.0)
        if not names:
            raise Malformed("bdev_nvme_attach_controller", "the target attached no bdev: an older controller holds it")
        return names

    async def detach_nvme(self, name: str) -> None:
        """Detach a controller (``bdev_nvme_detach_controller``). An attempt to connect takes up to 10 s of it."""
        await self.call("bdev_nvme_detach_controller", {"name": name}, timeout_s=_DETACH_TIMEOUT_S)

    async def disable_nvme(self, name: str) -> None:
        """Cut a controller's connections (``bdev_nvme_disable_controller``); done already is fine.

        Requests under way come back at once, as failed. One that is connecting just now has no connections to cut.
        """
        with _unless_connecting():
            await self.call("bdev_nvme_disable_controller", {"name": name})

    async def enable_nvme(self, name: str) -> None:
        """Have a controller connect again (``bdev_nvme_enable_controller``); done already is fine.

        It tries for ever. Whether the peer could be reached is told 10 s later, if it is silent: that is not waited
        for.
        """
        with suppress(DeadlineExceeded), _unless_connecting():
            await self.call("bdev_nvme_enable_controller", {"name": name}, timeout_s=_ENABLE_TIMEOUT_S)

    async def delete_vhost_controller(self, name: str) -> None:
        """Delete a vhost controller that nobody is connected to; a missing one is fine.

        Its sessions are looked at first: with a peer connected the target never answers, and still deletes later.
        Raises ``RpcRefused`` (EBUSY) while somebody is connected.
        """
        try:
            (controller,) = await self.call("vhost_get_controllers", {"name": name})
        except RpcRefused as refusal:
            if refusal.code in _MISSING:
                return
            raise
        if controller.get("sessions"):
            raise RpcRefused(-errno.EBUSY, f"the server is still connected to {name}", "vhost_delete_controller")
        await self.call("vhost_delete_controller", {"ctrlr": name})

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextmanager
def _unless_connecting() -> Iterator[None]:
    """A controller whose connections are just made or cut is busy: EBUSY is fine."""
    try:
        yield
    except RpcRefused as refusal:
        if refusal.code != -errno.EBUSY:
            raise
