"""``bmctl servers``: the inventory, and who holds what."""

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from bmctl import listing
from bmctl.arguments import Parser, connect
from bmctl.errors import ForbiddenError
from bmctl.output import table

if TYPE_CHECKING:
    from bmctl.cluster import Cluster
    from provider.api.resources import ResourceType

Json = dict[str, Any]

DESCRIPTION = """\
List servers, or show one: the machine that holds it, its power as the BMC last said, and its health: OK, or NoAgent,
AgentLost, or what its BMC fails on."""
EXAMPLES = ("bmctl servers", "bmctl servers server-07 -o wide", "bmctl servers -l rack=r7 -o name")


def declare(parser: Parser) -> None:
    """Its arguments."""
    parser.server(nargs="?")
    listing.declare(parser, "rack=r7")


def run(args: Namespace) -> None:
    """Do it."""
    from provider.api.resources import SERVER

    cluster = connect(args)
    wide = args.output == "wide"
    listing.run(args, cluster, SERVER, "server", lambda found: _table(cluster, found, wide=wide), name=args.server_name)


def _table(cluster: "Cluster", servers: list[Json], *, wide: bool) -> str:
    from bmctl import inventory
    from provider.api.resources import LEASE, POWERSTATE, SERVERCLAIM

    seen = inventory.around(*(_allowed(cluster, resource) for resource in (SERVERCLAIM, POWERSTATE, LEASE)))
    header = [*inventory.HEADER, *(inventory.WIDE_HEADER if wide else ())]
    return table(header, [inventory.row(server, seen, wide=wide) for server in servers])


def _allowed(cluster: "Cluster", resource: "ResourceType") -> list[Json] | None:
    """Objects of all namespaces, or None where this user may not list them."""
    try:
        return cluster.list(resource)
    except ForbiddenError:
        return None
