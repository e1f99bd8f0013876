"""The function's process: the only reader of its arguments and environment."""

import argparse
import asyncio
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from provider.function.server import serve_on

_GRACE_S = 5.0
_LAST_PORT = 65535


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m provider.function",
        description="The composition function function-metalplane: a BareMetalMachine in, managed resources out.",
        epilog="Environment: TLS_SERVER_CERTS_DIR, a directory with tls.crt, tls.key and ca.crt (as Crossplane sets).",
    )
    parser.add_argument(
        "--address",
        type=_address,
        default="0.0.0.0:9443",
        metavar="HOST:PORT",
        help="where to listen (default: %(default)s)",
    )
    parser.add_argument("--insecure", action="store_true", help="plain text, without certificates")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    return parser.parse_args(argv)


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text} is not HOST:PORT, such as 127.0.0.1:9443")
    return text


async def serve(args: argparse.Namespace) -> None:
    """Serve until the process is ended."""
    directory = os.environ.get("TLS_SERVER_CERTS_DIR")
    if not args.insecure and not directory:
        raise SystemExit(
            "function: set TLS_SERVER_CERTS_DIR to a directory with tls.crt, tls.key, ca.crt, or --insecure"
        )
    try:
        server = serve_on(args.address, None if args.insecure or not directory else Path(directory))
    except (OSError, RuntimeError) as error:
        raise SystemExit(f"function: cannot serve on {args.address}: {error}") from error
    await server.start()
    logging.getLogger(__name__).info("listening on %s", args.address)
    try:
        await server.wait_for_termination()
    finally:
        await server.stop(_GRACE_S)


def main() -> None:
    """Run the function."""
    args = arguments()
    logging.basicConfig(level=args.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    asyncio.run(serve(args))


if __name__ == "__main__":
    main()
