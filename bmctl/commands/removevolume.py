"""``bmctl removevolume``: a disk less."""

import sys
from argparse import Namespace

from bmctl import acting
from bmctl.arguments import Parser

DESCRIPTION = """\
Take a disk from a machine. The operating system is asked to let go of it, and as long as it holds on, the disk stays;
--force pulls it out all the same. A kept volume's data stays in its PersistentVolumeClaim."""
EXAMPLES = ("bmctl removevolume bm-01 data", "bmctl removevolume bm-01 data --force")


def declare(parser: Parser) -> None:
    """Its arguments."""
    parser.machine()
    parser.named("disk", parser.add_argument("disk", help="name of the disk"))
    parser.add_argument("--force", action="store_true", help="do not wait for the operating system to let go")
    acting.declare_options(parser, "the disk is unplugged")


def run(args: Namespace) -> None:
    """Do it."""
    from bmctl import goals

    if args.force:
        warn(f"disk {args.disk} is pulled out of {args.name} under its operating system; unwritten data is lost")
    options = {"name": args.disk, "force": args.force or None}
    acting.act(args, "removevolume", options, f"Removing disk {args.disk} from", goals.lacks_disk(args.disk))


def warn(text: str) -> None:
    """Before something that cannot be undone."""
    print(f"warning: {text}.", file=sys.stderr, flush=True)
