"""What carries the data of a target's bdevs, as the RPC sees it.

The commands are those of the QEMU Storage Daemon's QMP. `StorageDaemon` is one and carries real data; whoever wants a
target for its RPC alone gives it a data path that keeps no data.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from sandbox.spdk.nbd import ExportInfo

Changed = Callable[[ExportInfo], Awaitable[None]]


class Connection(Protocol):
    """A host's connection to an export; it reconnects by itself, and requests wait meanwhile.

    When the export has become another while it was away, `info` is its new one and `node_name` a node that fits it, and
    whoever connected is told (`Changed`); the old node is closed after that.
    """

    @property
    def info(self) -> ExportInfo: ...

    @property
    def node_name(self) -> str: ...

    @property
    def connected(self) -> bool: ...

    def reset(self) -> None:
        """Drop the connection and make it anew."""

    async def say_goodbye(self) -> None:
        """Tell the server, and wait for its answer, if there is one to tell. Raises NbdSilent."""

    def give_up(self) -> None:
        """Requests that wait fail, and so do all that come."""

    async def close(self) -> None:
        """Close the node, which nobody uses any more."""


class DataPath(Protocol):
    """Nodes, exports, and who uses them."""

    async def execute(self, command: str, **arguments: Any) -> Any:
        """One command; names of arguments are written with `_` for `-`. Raises StorageDaemonError."""

    async def execute_raw(self, command: str, arguments: Mapping[str, Any]) -> Any:
        """One command with its arguments as they are. Raises StorageDaemonError."""

    async def delete_export(self, export_id: str) -> None:
        """Cut an export, whoever uses it; nobody does any more when this returns."""

    async def connect_to_export(self, host: str, port: int, export: str, changed: Changed) -> Connection:
        """Connect to an export of the server at that address. Raises NbdRefused, StorageDaemonError."""

    def vhost_peers(self) -> Mapping[Path, int]:
        """Servers connected to each vhost socket; sockets without any may be left out."""

    def nbd_peers(self, address: str, port: str) -> int:
        """Clients connected to the NBD server at that address."""


class VolumeFiles(Protocol):
    """The files that logical volumes are kept in."""

    async def create(
        self,
        path: Path,
        size_bytes: int,
        cluster_bytes: int,
        *,
        backing: tuple[Path, str] | None = None,
        full: bool = False,
    ) -> None:
        """A new file, whole or not at all. `backing` is a file and its format; `full` reserves every cluster."""

    async def resize(self, path: Path, size_bytes: int) -> None:
        """Give the file another size; shrinking loses what lies beyond."""

    async def copy_whole(self, path: Path, cluster_bytes: int) -> None:
        """The file holds all its data itself after it."""

    async def change_backing(self, path: Path, backing: tuple[Path, str] | None) -> None:
        """Take what the present backing holds into the file, and stand on `backing` from now on."""

    def allocated_clusters(self, path: Path) -> int:
        """Clusters that the file itself holds, its backing left aside."""

    def link(self, path: Path, taken: Path) -> None:
        """Give the file a second name."""

    def remove(self, path: Path) -> None:
        """Delete the file."""
