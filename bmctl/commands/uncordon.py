"""``bmctl uncordon``: let new machines onto a server again."""

from argparse import Namespace

from bmctl.arguments import Parser
from bmctl.commands.cordon import mark

DESCRIPTION = """\
Let new machines onto a server again."""
EXAMPLES = ("bmctl uncordon server-07",)


def declare(parser: Parser) -> None:
    """Its arguments."""
    parser.server()


def run(args: Namespace) -> None:
    """Do it."""
    mark(args, unschedulable=False)
