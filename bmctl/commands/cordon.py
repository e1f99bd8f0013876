"""``bmctl cordon``: keep new machines off a server."""

from argparse import Namespace

from bmctl.arguments import Parser, connect

DESCRIPTION = """\
Keep new machines off a server. The machine that holds it, if there is one, stays."""
EXAMPLES = ("bmctl cordon server-07",)


def declare(parser: Parser) -> None:
    """Its arguments."""
    parser.server()


def run(args: Namespace) -> None:
    """Do it."""
    mark(args, unschedulable=True)


def mark(args: Namespace, *, unschedulable: bool) -> None:
    """Set ``spec.unschedulable`` of the server, unless it is set so."""
    from provider.api.resources import SERVER

    cluster = connect(args)
    verb = "cordoned" if unschedulable else "uncordoned"
    server = cluster.get(SERVER, args.server_name)
    if bool(server["spec"].get("unschedulable")) == unschedulable:
        print(f"server.metalplane.io/{args.server_name} already {verb}")
        return
    attempt = f"{'Cordoning' if unschedulable else 'Uncordoning'} Server {args.server_name}"
    cluster.patch(SERVER, args.server_name, {"spec": {"unschedulable": unschedulable}}, attempt)
    print(f"server.metalplane.io/{args.server_name} {verb}")
