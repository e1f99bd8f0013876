"""A data path without data: exports are names, and whoever connects is counted.

One ``Disks`` serves all targets of a process, so what the storage node exports is found by the DPUs' targets.
"""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.spdk.nbd import ExportInfo, NbdRefused

_VHOST, _NBD = "vhost-user-blk", "nbd"


class Disks:
    """Stands where a storage daemon would (``sandbox.spdk.data_path.DataPath``)."""

    def __init__(self) -> None:
        self._exported: dict[str, ExportInfo] = {}
        self._names: dict[str, str] = {}
        self._served: dict[str, Path] = {}
        self._connected: Counter[Path] = Counter()

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

    async def export_info(self, host: str, port: int, name: str) -> ExportInfo:
        """Of whatever is exported by that name. Raises NbdRefused."""
        if name not in self._exported:
            raise NbdRefused(f"no export {name!r} at {host}:{port}")
        return self._exported[name]

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
        description: str = arguments["description"]
        self._names[arguments["id"]] = arguments["name"]
        self._exported[arguments["name"]] = ExportInfo(json.loads(description)["size_bytes"], description)


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
