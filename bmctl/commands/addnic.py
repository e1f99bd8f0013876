"""``bmctl addnic``: an interface more."""

from argparse import Namespace

from bmctl import acting
from bmctl.arguments import Parser

DESCRIPTION = """\
Add a network interface to a machine. A running operating system sees it at once, and is told its address when it is
next powered on. The interface is written into the machine's spec; with --ephemeral it is not, and the next stop drops
it: so a machine that Argo CD or Flux keeps can be given one too."""
EXAMPLES = (
    "bmctl addnic bm-01 eth1 --network storage",
    "bmctl addnic bm-01 eth1 --network storage --address 10.30.0.7/24",
    "bmctl addnic bm-01 eth1 --network storage --ephemeral",
)


def declare(parser: Parser) -> None:
    """Its arguments."""
    parser.machine()
    parser.add_argument("nic", help="name of the new interface, unique within the machine")
    parser.named(
        "network", parser.add_argument("--network", required=True, metavar="NAME", help="network that it joins")
    )
    parser.add_argument("--address", metavar="CIDR", help="address with prefix length; a free one without")
    parser.add_argument("--mac", metavar="MAC", help="MAC address; a stable one is derived without")
    parser.add_argument("--ephemeral", action="store_true", help="until the next stop, and not in the machine's spec")
    acting.declare_options(parser, "the interface is plugged in")


def run(args: Namespace) -> None:
    """Do it."""
    from bmctl import goals, manifest

    options = {
        "name": args.nic,
        "network": args.network,
        "address": manifest.address(args.address) if args.address else None,
        "mac": manifest.mac(args.mac) if args.mac else None,
        "ephemeral": args.ephemeral or None,
    }
    acting.act(args, "addnic", options, f"Adding interface {args.nic} to", goals.has_nic(args.nic))
