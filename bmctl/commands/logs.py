"""``bmctl logs``: what the serial console showed."""

import sys
from argparse import Namespace

from bmctl.arguments import Parser, connect
from bmctl.commands.console import add_tail

DESCRIPTION = """\
Print what the serial console of a machine showed: the last 1 MiB is kept while the machine runs. With -f, go on with
what comes, until interrupted."""
EXAMPLES = ("bmctl logs bm-01", "bmctl logs bm-01 --tail 16Ki -f", "bmctl logs bm-01 > boot.log")

_ALL_BYTES = 1 << 20


def declare(parser: Parser) -> None:
    """Its arguments."""
    parser.machine()
    add_tail(parser, "only so much of its end, such as 16Ki")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes")


def run(args: Namespace) -> None:
    """Do it."""
    from bmctl.cluster import path
    from provider.api import subresources

    cluster = connect(args)
    subject = f"{cluster.namespace}/{args.name}"
    if not args.follow:
        query = () if args.tail is None else (("tailBytes", str(args.tail)),)
        where = path(subresources.MACHINE, cluster.namespace, args.name, subresources.SERIALLOG)
        sys.stdout.buffer.write(cluster.read_bytes(where, f"Reading the console log of {subject}", query))
        return
    from bmctl.console import session
    from bmctl.console.terminal import Output

    # One stream for what was and what comes, so that nothing falls between the two.
    wanted = session.Wanted(
        path=path(subresources.MACHINE, cluster.namespace, args.name, subresources.CONSOLE),
        subject=subject,
        watch=True,
        tail_bytes=_ALL_BYTES if args.tail is None else args.tail,
        greet=False,
    )
    session.run(cluster, wanted, Output())
