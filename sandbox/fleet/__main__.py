"""``python -m sandbox.fleet``: light servers, until SIGTERM."""

import argparse
import asyncio
import resource
import signal
import sys
from pathlib import Path

from provider.runtime import logs
from provider.runtime.errors import MetalplaneError
from sandbox.fleet.rack import serve


def main() -> int:
    """Run the servers that the arguments describe; 1 when they cannot be served."""
    logs.begin("info")
    arguments = _arguments()
    # Each server has two sockets that listen, and two connections with two ends.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        asyncio.run(_run(arguments))
    except (MetalplaneError, OSError) as error:
        print(f"fleet: {error}", file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.fleet", description="Light servers in one process.")
    parser.add_argument("--run-dir", type=Path, required=True, help="directory of all sockets")
    parser.add_argument("--bmc-ports", type=_ports, required=True, metavar="PORT,...", help="one server for each")
    parser.add_argument("--password-file", type=Path, required=True, help="file with the BMCs' password")
    parser.add_argument("--kubeconfig", type=Path, help="identity of the DPUs' agents; without it there are none")
    return parser.parse_args()


def _ports(text: str) -> list[int]:
    return [int(port) for port in text.split(",")]


async def _run(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    password = arguments.password_file.read_text().strip()
    await serve(arguments.run_dir, arguments.kubeconfig, arguments.bmc_ports, password, stop)


if __name__ == "__main__":
    sys.exit(main())
