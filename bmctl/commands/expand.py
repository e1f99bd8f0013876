"""``bmctl expand``: grow a disk."""

from argparse import Namespace

from bmctl import acting
from bmctl.arguments import Parser
from bmctl.commands.addvolume import size

DESCRIPTION = """\
Grow a disk of a machine. A running operating system sees the new size at once; growing the file system on it is the
operating system's. A disk never shrinks."""
EXAMPLES = ("bmctl expand bm-01 data --size 200Gi",)


def declare(parser: Parser) -> None:
    """Its arguments."""
    parser.machine()
    parser.named("disk", parser.add_argument("disk", help="name of the disk"))
    parser.add_argument("--size", required=True, type=size, metavar="SIZE", help="new size, such as 200Gi")
    acting.declare_options(parser, "the machine sees the new size")


def run(args: Namespace) -> None:
    """Do it."""
    from bmctl import goals
    from provider.api.quantity import parse_bytes

    goal = goals.disk_has_size(args.disk, parse_bytes(args.size))
    acting.act(args, "expand", {"name": args.disk, "size": args.size}, f"Expanding disk {args.disk} of", goal)
