"""The stand-in's process: its arguments, and where its parts are put together."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox.spdk import qcow2
from sandbox.spdk.bdev_rpc import BdevRpc
from sandbox.spdk.bdevs import BdevRegistry
from sandbox.spdk.data_path import DataPath, VolumeFiles
from sandbox.spdk.dispatch import Json, MethodTable, Params
from sandbox.spdk.lvol_rpc import LvolRpc
from sandbox.spdk.nvme import NvmeRpc
from sandbox.spdk.nvmf import NvmfRpc
from sandbox.spdk.rpc_server import POLL_INTERVAL_S, RequestLog, RpcServer
from sandbox.spdk.storage_daemon import StorageDaemon
from sandbox.spdk.vhost import VhostRpc

VERSION = {
    "version": "SPDK v26.09-pre",
    "fields": {"major": 26, "minor": 9, "patch": 0, "suffix": "-pre"},
}
_BACKLOG = 128


class GetMethods(Params):
    current: bool = False
    include_aliases: bool = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The stand-in's options."""
    parser.add_argument("--socket", required=True, type=Path, help="Unix socket of the JSON-RPC server")
    parser.add_argument("--dir", required=True, type=Path, help="directory for the target's own files")
    parser.add_argument("--vhost-dir", type=Path, help="directory of vhost sockets (default: that of --socket)")
    parser.add_argument(
        "--fast", action="store_true", help="answer at once instead of on the 4 ms poll of a real target"
    )
    parser.add_argument("--request-log", type=Path, help="file to which every executed request is appended")
    parser.add_argument("--qemu-storage-daemon", default="qemu-storage-daemon", help="executable of the data path")


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGTERM, or until the data path dies."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox spdk", description="Stands in for one SPDK target: its JSON-RPC, and real disks."
    )
    add_arguments(parser)
    return run(parser.parse_args(argv))


def run(args: argparse.Namespace) -> int:
    """As `main`, from parsed arguments."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        args.dir.mkdir(parents=True, exist_ok=True)
        listener = listen(args.socket)
    except OSError as error:
        print(f"spdk: cannot serve {args.socket} with files in {args.dir}: {error.strerror or error}", file=sys.stderr)
        return 1
    return asyncio.run(_serve(args, listener))


async def _serve(args: argparse.Namespace, listener: socket.socket) -> int:
    vhost_dir = (args.vhost_dir or args.socket.parent).absolute()
    vhost_dir.mkdir(parents=True, exist_ok=True)
    stop = asyncio.Event()
    died = asyncio.Event()

    def on_death() -> None:
        # One SPDK process is RPC and data path: where one dies, the other has no business to go on.
        died.set()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    daemon = await StorageDaemon.start(args.qemu_storage_daemon, on_death)
    server = RpcServer(
        listener,
        methods(daemon, qcow2, vhost_dir),
        poll_interval_s=0.0 if args.fast else POLL_INTERVAL_S,
        request_log=RequestLog(args.request_log),
    )
    await stop.wait()
    server.close()
    args.socket.unlink(missing_ok=True)
    if not died.is_set():
        await daemon.kill()
    return 1 if died.is_set() else 0


def methods(daemon: DataPath, files: VolumeFiles, vhost_dir: Path) -> MethodTable:
    """All methods of a target whose data path is `daemon`, and whose volumes are kept in `files`."""
    table, registry = MethodTable(), BdevRegistry()

    async def get_methods(_: GetMethods) -> Json:
        return table.names()

    async def get_version() -> Json:
        return VERSION

    table.add("rpc_get_methods", GetMethods, get_methods, optional=True)
    table.add_without_params("spdk_get_version", get_version)
    BdevRpc(registry, daemon).add_to(table)
    LvolRpc(registry, daemon, files).add_to(table)
    NvmfRpc(registry, daemon).add_to(table)
    NvmeRpc(registry, daemon).add_to(table)
    VhostRpc(registry, daemon, vhost_dir).add_to(table)
    return table


def listen(path: Path) -> socket.socket:
    """Listen on the path; a socket that a target left behind is replaced, that of one that lives is not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as somebody:
        if somebody.connect_ex(str(path)) == 0:
            raise OSError(errno.EADDRINUSE, "another target listens on that socket; name another one")
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    listener.bind(str(path))
    listener.listen(_BACKLOG)
    return listener
