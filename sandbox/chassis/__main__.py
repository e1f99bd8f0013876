"""``python -m sandbox.chassis``: one server's chassis, until SIGTERM, which takes the server away."""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path

from sandbox.chassis.boots import BootLedger
from sandbox.chassis.chassis import Chassis
from sandbox.chassis.methods import control_methods, emulation_methods
from sandbox.chassis.process import QemuSlot
from sandbox.chassis.qemu_command import Hardware, Paths
from sandbox.chassis.rpc import RequestLog, RpcServer
from sandbox.chassis.state import StateFile
from sandbox.chassis.taps import TapError, ensure_taps

LEDGER_VARIABLE = "METALPLANE_BOOT_LEDGER"


def main() -> int:
    """Run the chassis that the arguments describe."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(_run(_arguments(), os.environ.get(LEDGER_VARIABLE)))
    except TapError as error:
        print(f"chassis: {error}", file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.chassis", description="One simulated server's chassis.")
    parser.add_argument("--server", required=True, help="the server's name, also its SMBIOS serial number")
    parser.add_argument("--uuid", required=True, help="the server's SMBIOS UUID")
    parser.add_argument("--emulation-socket", type=Path, required=True, help="where the DPU plugs and unplugs")
    parser.add_argument("--control-socket", type=Path, required=True, help="where the BMC switches power")
    parser.add_argument("--console-socket", type=Path, required=True, help="the serial console, while there is power")
    parser.add_argument("--state-dir", type=Path, required=True, help="what lasts: slots, power, console log")
    parser.add_argument("--netns", required=True, help="the DPU's network namespace")
    parser.add_argument("--representors", required=True, help="names of the taps, separated by commas")
    parser.add_argument("--slots", type=int, default=8, help="PCIe slots, numbered from 1 (default 8)")
    parser.add_argument("--cpus", type=int, default=1, help="processors (default 1)")
    parser.add_argument("--memory-mib", type=int, default=256, help="memory in MiB (default 256)")
    parser.add_argument("--request-log", type=Path, help="append each device-emulation request to this file")
    return parser.parse_args()


async def _run(arguments: argparse.Namespace, ledger: str | None) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    for directory in (arguments.state_dir, arguments.emulation_socket.parent, arguments.control_socket.parent):
        directory.mkdir(parents=True, exist_ok=True)
    representors = [name for name in arguments.representors.split(",") if name]
    await ensure_taps(arguments.netns, representors)
    chassis = _chassis(arguments, representors, BootLedger(Path(ledger) if ledger else None))
    await chassis.start()
    request_log = RequestLog(arguments.request_log)
    servers = [
        RpcServer(arguments.control_socket, control_methods(chassis), RequestLog(None)),
        RpcServer(arguments.emulation_socket, emulation_methods(chassis), request_log),
    ]
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(chassis.stop)
        for server in servers:
            stack.push_async_callback(server.stop)
            await server.start()
        await stopping.wait()


def _chassis(arguments: argparse.Namespace, representors: list[str], ledger: BootLedger) -> Chassis:
    qemu = QemuSlot(arguments.state_dir)
    paths = Paths(
        qmp_socket=arguments.control_socket.with_name("qmp.sock"),
        console_socket=arguments.console_socket,
        console_log=arguments.state_dir / "console.log",
        pid_file=qemu.pid_file,
    )
    hardware = Hardware(arguments.server, arguments.uuid, arguments.cpus, arguments.memory_mib, arguments.slots)
    return Chassis(
        hardware,
        netns=arguments.netns,
        representors=representors,
        paths=paths,
        qemu=qemu,
        file=StateFile(arguments.state_dir),
        ledger=ledger,
    )


if __name__ == "__main__":
    sys.exit(main())
