"""A host's connection to an export: what NVMe-oF has as one admin queue and I/O queues, over NBD.

The admin queue is a connection of its own, through which nothing is read or written: it ends when the export is cut
off, at once and also while nobody uses the disk. An export that is there again soon was cut to be given another size
(`nvmf`), or its target was restarted; what it is then is told as an asynchronous event would tell it.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from sandbox.spdk.data_path import Changed
from sandbox.spdk.io_queue import IoQueue
from sandbox.spdk.nbd import ExportInfo, NbdRefused, NbdSilent, OpenExport, open_export

if TYPE_CHECKING:
    from sandbox.spdk.storage_daemon import StorageDaemon

_LOG = logging.getLogger(__name__)
_CONNECT_TIMEOUT_S = 10.0
_LOST_AFTER_S = 1.0
"""A cut that is over sooner is no loss: that is how a new size comes, of which a real host is told without one."""
_LOOK_AGAIN_S, _LOOK_AGAIN_AT_MOST_S = 0.005, 1.0
_FLUSHED_WITHIN_S = 1.0
_RECONNECT_S = 7 * 24 * 3600
_NODES = itertools.count(1)


class NbdConnection:
    """One connection, and the node of the storage daemon that reads and writes through it."""

    def __init__(self, daemon: StorageDaemon, host: str, port: int, export: str, changed: Changed) -> None:
        self._daemon = daemon
        self._server = (host, port)
        self._export = export
        self._changed = changed
        self._nodes: dict[str, IoQueue] = {}
        self._admin: OpenExport | None = None
        self._watching: asyncio.Task[None] | None = None
        self._settled = asyncio.Lock()
        self._gave_up = False
        self.connected = False
        self.info = ExportInfo(0, "")
        self.node_name = ""

    async def open(self) -> None:
        """Connect for the first time, which is not tried again. Raises NbdRefused, StorageDaemonError."""
        self._admin = await self._ask()
        self.info = self._admin.info
        try:
            await self._add_node()
        except BaseException:
            self._admin.close()
            raise
        self.connected = True
        self._watching = asyncio.create_task(self._watch(self._admin))

    def reset(self) -> None:
        """Drop what there is of connections and make them anew; requests under way are sent again."""
        self.connected = False
        if self._admin is not None:
            self._admin.close()
        for queue in self._nodes.values():
            queue.cut()

    async def say_goodbye(self) -> None:
        """Wait for the server's answer, if there is one to tell. Raises NbdSilent."""
        try:
            (await self._ask()).close()
        except NbdSilent:
            raise
        except NbdRefused:
            return

    def give_up(self) -> None:
        """Fail what waits for the export, and whatever else the node is asked."""
        self._gave_up = True
        if self._admin is not None:
            self._admin.close()
        # Whoever is being told of another export hears it to the end.
        if self._watching is not None and not self._settled.locked():
            self._watching.cancel()
        for queue in self._nodes.values():
            queue.give_up()

    async def close(self) -> None:
        """Close the node, which nobody uses any more."""
        async with self._settled:
            if self._watching is not None:
                self._watching.cancel()
                await asyncio.gather(self._watching, return_exceptions=True)
        if self._admin is not None:
            self._admin.close()
        await self._remove_nodes()

    async def _watch(self, admin: OpenExport) -> None:
        while not self._gave_up:
            await admin.ended()
            admin.close()
            admin = await self._reconnect()
            self._admin = admin
            async with self._settled:
                info = admin.info if self.connected else self._as_known(admin.info)
                self.connected = True
                if info != self.info:
                    await self._tell(info)
        admin.close()

    def _as_known(self, info: ExportInfo) -> ExportInfo:
        """What a host takes from an export that was lost: no size, of which it would have to be told while connected.

        Seen with SPDK, whose `bdev_nvme_reconnect_ctrlr_poll` looks for namespaces that are missing and for no more.
        """
        return replace(info, size_bytes=self.info.size_bytes) if self.info.size_bytes and info.size_bytes else info

    async def _reconnect(self) -> OpenExport:
        look_again_s, lost_at = _LOOK_AGAIN_S, asyncio.get_running_loop().time() + _LOST_AFTER_S
        while True:
            with suppress(NbdRefused):
                return await self._ask()
            if asyncio.get_running_loop().time() > lost_at:
                self.connected = False
            await asyncio.sleep(look_again_s)
            look_again_s = min(look_again_s * 2, _LOOK_AGAIN_AT_MOST_S)

    async def _tell(self, info: ExportInfo) -> None:
        """The node knows the size of its export from when it was opened: another size takes another node."""
        known, self.info = self.info, info
        try:
            if info.size_bytes != known.size_bytes:
                await self._add_node()
            await self._changed(info)
        except Exception:
            # The export may have gone again; a defect of ours must not end the watch either.
            _LOG.exception("export %s is another now, and that could not be taken over", self._export)
            self.info = known
            return
        await self._remove_nodes(but=self.node_name)

    async def _ask(self) -> OpenExport:
        return await open_export(*self._server, self._export, _CONNECT_TIMEOUT_S)

    async def _add_node(self) -> None:
        queue = IoQueue(*self._server, self._export, self.info.size_bytes)
        name = f"nvme-{next(_NODES)}"
        self._nodes[name] = queue
        node = {"driver": "nbd", "node-name": name, "server": queue.address, "export": self._export}
        try:
            await self._daemon.execute_raw("blockdev-add", {**node, "reconnect-delay": _RECONNECT_S})
        except BaseException:
            del self._nodes[name]
            await queue.close()
            raise
        queue.be_patient()
        if self._gave_up:
            queue.give_up()
        self.node_name = name

    async def _remove_nodes(self, but: str = "") -> None:
        for name in set(self._nodes) - {but}:
            queue = self._nodes[name]
            # Closing flushes first, and would wait for an export that is away, or silent.
            queue.finish()
            silent = asyncio.get_running_loop().call_later(_FLUSHED_WITHIN_S, queue.cut)
            await self._daemon.execute("blockdev-del", node_name=name)
            silent.cancel()
            del self._nodes[name]
            await queue.close()
