"""``bmctl ssh``: log in to a machine."""

import os
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from bmctl.arguments import Parser, connect
from bmctl.errors import BmctlError, ConflictError

Json = dict[str, Any]

DESCRIPTION = """\
Log in to a machine by ssh, at its first address. Its host key is remembered for the machine and not for the address,
which another machine may have had before. What stands after -- is run there."""
EXAMPLES = (
    "bmctl ssh bm-01 -l debian",
    "bmctl ssh bm-01 -l root -i ~/.ssh/id_ed25519 -- uptime",
    "bmctl ssh bm-01 -o ProxyJump=bastion.example",
)


def declare(parser: Parser) -> None:
    """Its arguments."""
    parser.machine()
    parser.add_argument("-l", "--login", metavar="USER", help="user to log in as")
    parser.add_argument("-i", "--identity", metavar="FILE", help="private key to log in with")
    parser.add_argument("-p", "--port", metavar="PORT", help="port of the machine's ssh server")
    parser.add_argument(
        "-o", dest="options", action="append", default=[], metavar="KEY=VALUE", help="an option of ssh's; repeatable"
    )
    parser.add_argument("--address", metavar="ADDRESS", help="one of its addresses, in place of the first")
    parser.takes_command = True


def run(args: Namespace) -> None:
    """Become ssh."""
    from provider.api.resources import BAREMETALMACHINE

    cluster = connect(args)
    machine = cluster.get(BAREMETALMACHINE, args.name, cluster.namespace)
    argv = command(args, machine, args.command)
    if getattr(args, "verbose", False):
        import shlex
        import sys

        print(shlex.join(argv), file=sys.stderr)
    try:
        os.execvp(argv[0], argv)  # noqa: S606 (ssh is what the user asked for)
    except OSError as error:
        raise BmctlError(
            f"Starting {argv[0]}", error.strerror or str(error), "Install OpenSSH's client (Debian: openssh-client)."
        ) from error


def command(args: Namespace, machine: Json, remote: Sequence[str]) -> list[str]:
    """The ssh that is run. Raises ``ConflictError`` for a machine that has no address."""
    argv = ["ssh", "-o", f"HostKeyAlias={machine['metadata']['uid']}"]
    if args.login:
        argv += ["-l", args.login]
    if args.identity:
        argv += ["-i", args.identity]
    if args.port:
        argv += ["-p", args.port]
    for option in args.options:
        argv += ["-o", option]
    return [*argv, "--", _address(args, machine), *remote]


def _address(args: Namespace, machine: Json) -> str:
    name = f"{machine['metadata']['namespace']}/{machine['metadata']['name']}"
    status = machine.get("status", {})
    addresses = [address.split("/")[0] for address in status.get("addresses", ())]
    if args.address and args.address not in addresses:
        cause = f"it has no address {args.address}; it has {', '.join(addresses) or 'none'}"
        raise ConflictError(f"Finding the address of {name}", cause, "Leave --address out, or name one of these.")
    if not addresses:
        raise ConflictError(
            f"Finding the address of {name}",
            f"it has none; its STATUS is {status.get('printableStatus') or 'Pending'}",
            f"Wait with `bmctl wait {machine['metadata']['name']} --for=Running`, or use `bmctl console`.",
        )
    return str(args.address or addresses[0])
