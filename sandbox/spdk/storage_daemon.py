"""A qemu-storage-daemon child and its QMP: the data path behind the RPC.

QMP runs over a socket pair that the child inherits, so that nobody else can speak to it and no path is too long. The
child dies with this process (PR_SET_PDEATHSIG): kill -9 of a target ends its disks, as it would end one SPDK process.

Source: QEMU's "QEMU Storage Daemon QMP Reference Manual" (block-export-add, blockdev-add, job states).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import itertools
import json
import os
import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sandbox.spdk.data_path import Changed
from sandbox.spdk.nbd_connection import NbdConnection
from sandbox.spdk.sockets import peers_of_tcp_listener, peers_of_unix_listeners

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class StorageDaemonError(Exception):
    """QMP refused `command`, or the daemon is gone. `cause` is the daemon's own word."""

    def __init__(self, command: str, cause: str) -> None:
        super().__init__(f"storage daemon: {command}: {cause}")
        self.command = command
        self.cause = cause


class StorageDaemon:
    """One child. `on_death` is called when it ends without having been told to."""

    def __init__(self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
                 on_death: Callable[[], None]) -> None:  # fmt: skip
        self._process = process
        self._reader = reader
        self._writer = writer
        self._on_death = on_death
        self._ids = itertools.count(1)
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._awaited_events: list[tuple[str, Mapping[str, Any], asyncio.Future[Mapping[str, Any]]]] = []
        self._stopping = False
        self._listening = asyncio.create_task(self._listen())

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def start(cls, executable: str, on_death: Callable[[], None]) -> StorageDaemon:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                executable,
                *("--chardev", f"socket,id=qmp,fd={theirs.fileno()}", "--monitor", "chardev=qmp"),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                preexec_fn=_die_with(os.getpid()),
                start_new_session=True,
            )
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=2**24)
        await reader.readline()  # the greeting
        daemon = cls(process, reader, writer, on_death)
        await daemon.execute("qmp_capabilities")
        return daemon

    async def execute(self, command: str, **arguments: Any) -> Any:
        """One QMP command; names of arguments are written with `_` for `-`. Raises StorageDaemonError."""
        return await self.execute_raw(command, {key.replace("_", "-"): value for key, value in arguments.items()})

    async def execute_raw(self, command: str, arguments: Mapping[str, Any]) -> Any:
        request_id = next(self._ids)
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._replies[request_id] = reply
        request = {"execute": command, "arguments": arguments, "id": request_id}
        try:
            self._writer.write(json.dumps(request).encode() + b"\n")
            message = await reply
        except ConnectionError as error:
            raise StorageDaemonError(command, str(error)) from error
        finally:
            self._replies.pop(request_id, None)
        if "error" in message:
            raise StorageDaemonError(command, message["error"]["desc"])
        return message["return"]

    def event(self, name: str, **match: Any) -> asyncio.Future[Mapping[str, Any]]:
        """The data of the next event `name` whose members equal `match`. Ask before the command that causes it."""
        future: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._awaited_events.append((name, match, future))
        return future

    async def delete_export(self, export_id: str) -> None:
        """Cut an export, whoever uses it, and wait until its clients are gone."""
        deleted = self.event("BLOCK_EXPORT_DELETED", id=export_id)
        await self.execute("block-export-del", id=export_id, mode="hard")
        await deleted

    async def connect_to_export(self, host: str, port: int, export: str, changed: Changed) -> NbdConnection:
        """Connect to an export of the NBD server at that address. Raises NbdRefused, StorageDaemonError."""
        connection = NbdConnection(self, host, port, export, changed)
        await connection.open()
        return connection

    def vhost_peers(self) -> dict[Path, int]:
        """Servers connected to each vhost socket."""
        return {Path(path): count for path, count in peers_of_unix_listeners(self.pid).items()}

    def nbd_peers(self, address: str, port: str) -> int:
        """Clients connected to the NBD server at that address."""
        return peers_of_tcp_listener(address, port)

    async def kill(self) -> None:
        """SIGKILL and wait: requests that wait for a lost peer would hold back any gentler end."""
        self._stopping = True
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._listening
        self._writer.close()

    async def _listen(self) -> None:
        while line := await self._read_line():
            message = json.loads(line)
            if "event" in message:
                self._settle_event(message["event"], message.get("data", {}))
            elif (reply := self._replies.get(message.get("id"))) is not None and not reply.done():
                reply.set_result(message)
        gone = StorageDaemonError("connection", "the daemon is gone")
        for future in [*self._replies.values(), *(event[2] for event in self._awaited_events)]:
            if not future.done():
                future.set_exception(gone)
                future.exception()  # some of them nobody waits for
        if not self._stopping:
            self._on_death()

    async def _read_line(self) -> bytes:
        try:
            return await self._reader.readline()
        except ConnectionError:
            return b""

    def _settle_event(self, name: str, data: Mapping[str, Any]) -> None:
        for awaited in list(self._awaited_events):
            wanted, match, future = awaited
            if wanted == name and all(data.get(key) == value for key, value in match.items()):
                self._awaited_events.remove(awaited)
                if not future.done():
                    future.set_result(data)


def _die_with(parent: int) -> Callable[[], None]:
    def before_exec() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before the line above
            os._exit(1)

    return before_exec
