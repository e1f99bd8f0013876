"""``python -m sandbox``: the sandbox of this checkout, and the SPDK stand-in alone."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.paths import SOURCE

if TYPE_CHECKING:
    from sandbox.lightcloud import LightCloud

SPDK = "spdk"
MOST_SERVERS = 16
MOST_LIGHT_SERVERS = 1000


def main() -> int:
    # The stand-in has its own options and is started often: nothing else is imported for it.
    if sys.argv[1:2] == [SPDK]:
        from sandbox.spdk.cli import main as spdk_main

        return spdk_main(sys.argv[2:])
    from sandbox.errors import SandboxError
    from sandbox.images import ImageError

    arguments = _parser().parse_args()
    try:
        status: int = arguments.run(arguments)
    except (SandboxError, ImageError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sandbox: stopped waiting; what runs goes on running", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read has enough; what is still buffered must not be flushed into the pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="A whole metal cloud on this machine.",
        epilog=f"`{SPDK} --socket PATH --dir DIR [--fast]` runs the SPDK stand-in alone.",
    )
    parser.add_argument("--dir", type=Path, default=SOURCE, help="directory it belongs to (default: this checkout)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="bring it up; what runs already is left alone")
    _add_shape(up)
    up.add_argument(
        "--light",
        type=_number_of_light_servers,
        metavar="N",
        help=f"instead: 1 to {MOST_LIGHT_SERVERS} light servers, which boot at once for there is nothing in them",
    )
    up.set_defaults(run=_up)
    down = commands.add_parser("down", help="take it down and leave nothing but logs and traces")
    down.set_defaults(run=_down)
    status = commands.add_parser("status", help="show its processes and its cluster")
    status.add_argument("-o", "--output", choices=["table", "json"], default="table")
    status.set_defaults(run=_status)
    execute = commands.add_parser("exec", help="run a command where a tenant's client sits")
    execute.add_argument("command", nargs="+", metavar="-- COMMAND")
    execute.set_defaults(run=_exec)
    demo = commands.add_parser("demo", help="bring it up, boot its servers, and show how that went")
    _add_shape(demo)
    demo.set_defaults(run=_demo)
    return parser


def _add_shape(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--servers",
        type=_number_of_servers,
        metavar="N",
        help=f"servers, each with a DPU of its own: 1 to {MOST_SERVERS} (default: those that are up, or 1)",
    )
    parser.add_argument("--dpus", type=_number_of_servers, metavar="N", help="the same by its other name")
    parser.add_argument(
        "--image",
        choices=["tiny", "debian"],
        help="golden image that machines boot (default: that which is up, or tiny)",
    )


def _number_of_servers(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= MOST_SERVERS:
        raise argparse.ArgumentTypeError(f"{text} is not a number between 1 and {MOST_SERVERS}")
    return number


def _number_of_light_servers(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= MOST_LIGHT_SERVERS:
        raise argparse.ArgumentTypeError(f"{text} is not a number between 1 and {MOST_LIGHT_SERVERS}")
    return number


def _size(arguments: argparse.Namespace) -> int | None:
    from sandbox.errors import AnotherShape

    servers: int | None = arguments.servers
    dpus: int | None = arguments.dpus
    if servers is not None and dpus is not None and servers != dpus:
        raise AnotherShape(
            f"Bringing up {servers} servers with {dpus} DPUs",
            cause="each server has one DPU, which sits in it",
            next_step=f"Ask for {servers} of both, or leave one of the two out.",
        )
    return dpus if servers is None else servers


def _up(arguments: argparse.Namespace) -> int:
    from sandbox.cloud import Cloud

    if arguments.light is None:
        cloud = Cloud(arguments.dir, servers=_size(arguments), image=arguments.image, progress=_say)
    else:
        cloud = _light(arguments)
    cloud.up()
    _say(f"kubeconfig: {cloud.layout.kubeconfig}")
    return 0


def _light(arguments: argparse.Namespace) -> "LightCloud":
    from sandbox.errors import AnotherShape
    from sandbox.lightcloud import LightCloud

    if _size(arguments) is not None or arguments.image is not None:
        raise AnotherShape(
            f"Bringing up {arguments.light} light servers with --servers, --dpus or --image",
            cause="a sandbox has either light servers, in which nothing boots, or those that boot an image",
            next_step="Leave --light or the others out.",
        )
    return LightCloud(arguments.dir, servers=arguments.light, progress=_say)


def _down(arguments: argparse.Namespace) -> int:
    from sandbox.cloud import Cloud

    Cloud(arguments.dir).down()
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from sandbox.status import read, render

    report = read(arguments.dir)
    _say(json.dumps(report, indent=2) if arguments.output == "json" else render(report))
    return 0 if report["up"] else 1


def _exec(arguments: argparse.Namespace) -> int:
    from sandbox.cloud import Cloud
    from sandbox.errors import SandboxError

    cloud = Cloud(arguments.dir)
    if not cloud.servers:
        raise SandboxError(
            f"Running {arguments.command[0]} in the sandbox of {cloud.layout.directory}",
            cause="it is not up",
            next_step="Bring it up first: `python -m sandbox up`.",
        )
    command = cloud.tenant_command(arguments.command)
    os.execvp(command[0], command)  # noqa: S606 - the command is the user's own


def _demo(arguments: argparse.Namespace) -> int:
    from sandbox.demo import run

    return run(arguments.dir, servers=_size(arguments), image=arguments.image)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
