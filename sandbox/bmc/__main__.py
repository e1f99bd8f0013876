"""``python -m sandbox.bmc``: one server's BMC, until SIGTERM."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from sandbox.bmc import BmcError, simulator
from sandbox.bmc.config import Settings
from sandbox.bmc.gate import open_gate
from sandbox.bmc.sol import SolBridge

_INNER_ADDRESS = "127.0.0.2"
"""Where ipmi_sim listens, at the same port as the gate: it tells consoles its port (IPMI 2.0, table 24-2), and
ipmitool goes there."""


def main() -> int:
    """Run the BMC that the arguments describe; 1 when it cannot start or ipmi_sim ends by itself."""
    try:
        asyncio.run(_run(_arguments()))
    except BmcError as error:
        print(f"bmc: {error}", file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.bmc", description="One simulated server's BMC (IPMI 2.0).")
    parser.add_argument(
        "--address", default="127.0.0.1", help="IP address to listen on, one of this host (default 127.0.0.1)"
    )
    parser.add_argument("--port", type=int, default=623, help="UDP port (default 623)")
    parser.add_argument("--username", required=True, help="the one user, with administrator's rights")
    parser.add_argument("--password-file", type=Path, required=True, help="file with the password on its first line")
    parser.add_argument("--control-socket", type=Path, required=True, help="the chassis' control.sock")
    parser.add_argument("--console-socket", type=Path, required=True, help="the chassis' console.sock")
    parser.add_argument("--state-dir", type=Path, required=True, help="configuration and what IPMI clients change")
    return parser.parse_args()


async def _run(arguments: argparse.Namespace) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    bridge = SolBridge(arguments.console_socket)
    inner = (_INNER_ADDRESS, arguments.port)
    gate = await open_gate(arguments.address, arguments.port, inner)
    settings = Settings(
        address=inner[0],
        port=inner[1],
        user_name=arguments.username,
        password=_read_password(arguments.password_file),
        control_socket=arguments.control_socket,
        sol_port=await bridge.start(),
    )
    try:
        process = await simulator.start(settings, arguments.state_dir)
        try:
            await _until_stopped(process, stopping)
        finally:
            await simulator.stop(process)
    finally:
        gate.close()
        await bridge.stop()


async def _until_stopped(process: asyncio.subprocess.Process, stopping: asyncio.Event) -> None:
    ended = asyncio.create_task(process.wait())
    told = asyncio.create_task(stopping.wait())
    await asyncio.wait([ended, told], return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if ended.done():
        cause = f"it ended with status {ended.result()}"
        raise BmcError("running", "ipmi_sim", cause, "Its message is above")
    ended.cancel()


def _read_password(path: Path) -> str:
    try:
        return path.read_text().splitlines()[0]
    except (OSError, IndexError) as error:
        cause = str(error) if isinstance(error, OSError) else "the file is empty"
        raise BmcError("reading", f"the password file {path}", cause, "Write the password on its first line") from error


if __name__ == "__main__":
    sys.exit(main())
