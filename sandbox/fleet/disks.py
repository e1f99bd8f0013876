"""A data path without data: exports are names, and whoever connects is counted.

One ``Disks`` serves all targets of a process, so what the storage node exports is found by the DPUs' targets.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.spdk.data_path import Changed
from sandbox.spdk.nbd import ExportInfo, NbdRefused

_VHOST, _NBD = "vhost-user-blk", "nbd"


class _Connection:
    """A host's connection to an export (``sandbox.spdk.data_path.Connection``); no request ever waits."""

    node_name = "nothing"

    def __init__(self, disks: "Disks", export: str, info: ExportInfo, changed: Changed) -> None:
        self.info = info
        self._disks = disks
        self._export = export
        self._changed = changed
        self._telling: set[asyncio.Task[None]] = set()

    @property
    def connected(self) -> bool:
        return self._disks.exports(self._export)

    def reset(self) -> None:
        """It is there again at once."""

    async def say_goodbye(self) -> None:
        """It answers always."""

    def give_up(self) -> None:
        """Nothing to fail."""

    async def close(self) -> None:
        """Nobody is told any more."""
        self._disks.forget(self._export, self)

    def tell(self, info: ExportInfo) -> None:
        """The export is there again."""
        if info != self.info:
            self.info = info
            telling = asyncio.create_task(self._tell(info))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)

    async def _tell(self, info: ExportInfo) -> None:
        await self._changed(info)


class Disks:
    """Stands where a storage daemon would (``sandbox.spdk.data_path.DataPath``)."""

    def __init__(self) -> None:
        self._exported: dict[str, ExportInfo] = {}
        self._names: dict[str, str] = {}
        self._served: dict[str, Path] = {}
        self._connected: Counter[Path] = Counter()
        self._connections: dict[str, list[_Connection]] = {}

    # ---- the servers' side

    def serves(self, socket: Path) -> bool:
        """Whether somebody would answer at a vhost socket."""
        return socket in self._served.values()

    def connect(self, socket: Path) -> None:
        """A server opens its disk."""
        self._connected[socket] += 1

    def disconnect(self, socket: Path) -> None:
        """It has closed it."""
        self._connected -= Counter([socket])

    # ---- the targets' side

    async def execute(self, command: str, **arguments: Any) -> Any:
        """Nodes are opened and closed, and nothing comes of it."""
        return await self.execute_raw(command, arguments)

    async def execute_raw(self, command: str, arguments: Mapping[str, Any]) -> Any:
        """Exports are noted."""
        if command == "block-export-add":
            self._export(arguments)
        return {}

    async def delete_export(self, export_id: str) -> None:
        """The export is gone, and so are those who used it."""
        socket = self._served.pop(export_id, None)
        if socket is not None:
            self._connected.pop(socket, None)
        name = self._names.pop(export_id, None)
        if name is not None:
            self._exported.pop(name, None)

    async def connect_to_export(self, host: str, port: int, export: str, changed: Changed) -> _Connection:
        """To whatever is exported by that name. Raises NbdRefused."""
        if export not in self._exported:
            raise NbdRefused(f"no export {export!r} at {host}:{port}")
        connection = _Connection(self, export, self._exported[export], changed)
        self._connections.setdefault(export, []).append(connection)
        return connection

    def exports(self, name: str) -> bool:
        """Whether there is an export of that name."""
        return name in self._exported

    def forget(self, export: str, connection: _Connection) -> None:
        """A host has left."""
        self._connections[export].remove(connection)
        if not self._connections[export]:
            del self._connections[export]

    def vhost_peers(self) -> Mapping[Path, int]:
        """Servers that have opened a disk."""
        return self._connected

    def nbd_peers(self, address: str, port: str) -> int:  # noqa: ARG002  (there is one storage node)
        """Nobody reads or writes; each export counts as somebody's."""
        return len(self._exported)

    def _export(self, arguments: Mapping[str, Any]) -> None:
        if arguments["type"] == _VHOST:
            self._served[arguments["id"]] = Path(arguments["addr"]["path"])
            return
        name, description = arguments["name"], arguments["description"]
        info = ExportInfo(json.loads(description).get("size_bytes", 0), description)
        self._names[arguments["id"]] = name
        self._exported[name] = info
        for connection in self._connections.get(name, ()):
            connection.tell(info)


class NoFiles:
    """Logical volumes that hold nothing (``sandbox.spdk.data_path.VolumeFiles``)."""

    async def create(
        self,
        path: Path,
        size_bytes: int,
        cluster_bytes: int,
        *,
        backing: tuple[Path, str] | None = None,
        full: bool = False,
    ) -> None:
        """Nothing to make."""

    async def resize(self, path: Path, size_bytes: int) -> None:
        """Nothing to resize."""

    async def copy_whole(self, path: Path, cluster_bytes: int) -> None:
        """Nothing to copy."""

    async def change_backing(self, path: Path, backing: tuple[Path, str] | None) -> None:
        """Nothing to stand on."""

    def allocated_clusters(self, path: Path) -> int:  # noqa: ARG002  (every file holds nothing)
        """None."""
        return 0

    def link(self, path: Path, taken: Path) -> None:
        """Nothing to link."""

    def remove(self, path: Path) -> None:
        """Nothing to remove."""
