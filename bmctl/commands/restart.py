"""``bmctl restart``: off and on again."""

from argparse import Namespace

from bmctl import acting
from bmctl.arguments import Parser
from bmctl.commands.stop import add_grace_period

DESCRIPTION = """\
Shut a machine down and power it on again. When the operating system does not shut down within the grace period, the
restart fails and the machine runs on, unless --force-after says to cut the power then; --force cuts it at once."""
EXAMPLES = (
    "bmctl restart bm-01",
    "bmctl restart bm-01 --grace-period 120 --force-after",
    "bmctl restart bm-01 --force --no-wait",
)


def declare(parser: Parser) -> None:
    """Its arguments."""
    acting.declare(parser, "the machine runs again")
    parser.add_argument("--force", action="store_true", help="cut the power at once: unwritten data is lost")
    add_grace_period(parser)
    parser.add_argument(
        "--force-after", action="store_true", help="cut the power when the grace period is over and it is still on"
    )


def run(args: Namespace) -> None:
    """Do it."""
    from bmctl import goals

    options = {
        "force": args.force or None,
        "gracePeriodSeconds": args.grace_period,
        "forceAfterGracePeriod": args.force_after or None,
    }
    acting.act(args, "restart", options, "Restarting", goals.running(), by_request=True)
