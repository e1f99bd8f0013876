"""``bmctl start``: power a machine on."""

from argparse import Namespace

from bmctl import acting
from bmctl.arguments import Parser

DESCRIPTION = """\
Power a machine on. A halted machine's runStrategy becomes Always; one with runStrategy Manual is powered on once."""
EXAMPLES = ("bmctl start bm-01", "bmctl start bm-01 -n tenant-a --no-wait")


def declare(parser: Parser) -> None:
    """Its arguments."""
    acting.declare(parser, "the machine runs")


def run(args: Namespace) -> None:
    """Do it."""
    from bmctl import goals

    acting.act(args, "start", {}, "Starting", goals.running(), by_request=True)
