"""``bmctl servers``: the inventory, and who holds what."""

import sys
from argparse import Namespace
from typing import Any

from bmctl.arguments import Parser, add_output, connect
from bmctl.errors import ForbiddenError
from bmctl.output import OBJECT_FORMS, is_table, objects, show, table

Json = dict[str, Any]

DESCRIPTION = """\
List servers, or show one: the machine that holds it, its power as the BMC last said, and its health: OK, or NoAgent,
AgentLost, or what its BMC fails on."""
EXAMPLES = ("bmctl servers", "bmctl servers server-07 -o wide", "bmctl servers -l rack=r7 -o name")


def declare(parser: Parser) -> None:
    """Its arguments."""
    name = parser.add_argument("server_name", metavar="server", nargs="?", help="name of one server; all without")
    parser.named("server", name)
    parser.add_argument("-l", "--selector", metavar="LABELS", default="", help="labels, such as rack=r7")
    add_output(parser, *OBJECT_FORMS)


def run(args: Namespace) -> None:
    """Do it."""
    from bmctl import inventory
    from provider.api.resources import LEASE, POWERSTATE, SERVER, SERVERCLAIM

    cluster = connect(args)
    if args.server_name:
        servers = [cluster.get(SERVER, args.server_name)]
    else:
        servers = cluster.list(SERVER, labels=args.selector)
    if not is_table(args.output):
        show(objects(servers, args.output, single=bool(args.server_name)), args.output)
        return
    if not servers:
        print("No servers found.", file=sys.stderr)
        return
    wide = args.output == "wide"
    seen = inventory.around(*(_allowed(cluster, resource) for resource in (SERVERCLAIM, POWERSTATE, LEASE)))
    header = [*inventory.HEADER, *(inventory.WIDE_HEADER if wide else ())]
    print(table(header, [inventory.row(server, seen, wide=wide) for server in servers]))


def _allowed(cluster: Any, resource: Any) -> list[Json] | None:
    """Objects of all namespaces, or None where this user may not list them."""
    try:
        return list(cluster.list(resource))
    except ForbiddenError:
        return None
