"""``bmctl removenic``: an interface less."""

from argparse import Namespace

from bmctl import acting
from bmctl.arguments import Parser
from bmctl.commands.removevolume import warn

DESCRIPTION = """\
Take a network interface from a machine. The operating system is asked to let go of it, and as long as it holds on, the
interface stays; --force pulls it out all the same."""
EXAMPLES = ("bmctl removenic bm-01 eth1", "bmctl removenic bm-01 eth1 --force")


def declare(parser: Parser) -> None:
    """Its arguments."""
    parser.machine()
    parser.named("nic", parser.add_argument("nic", help="name of the interface"))
    parser.add_argument("--force", action="store_true", help="do not wait for the operating system to let go")
    acting.declare_options(parser, "the interface is unplugged")


def run(args: Namespace) -> None:
    """Do it."""
    from bmctl import goals

    if args.force:
        warn(f"interface {args.nic} is pulled out of {args.name} under its operating system")
    options = {"name": args.nic, "force": args.force or None}
    acting.act(args, "removenic", options, f"Removing interface {args.nic} from", goals.lacks_nic(args.nic))
