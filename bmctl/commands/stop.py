"""``bmctl stop``: shut a machine down."""

from argparse import Namespace

from bmctl import acting
from bmctl.arguments import Parser

DESCRIPTION = """\
Shut a machine down; its disks and NICs stay its own. Its runStrategy becomes Halted; one with runStrategy Manual is
powered off once. The operating system is asked first and has the grace period; with --force the power is cut at
once."""
EXAMPLES = ("bmctl stop bm-01", "bmctl stop bm-01 --grace-period 300", "bmctl stop bm-01 --force --no-wait")


def declare(parser: Parser) -> None:
    """Its arguments."""
    acting.declare(parser, "its power was seen off")
    parser.add_argument("--force", action="store_true", help="cut the power at once: unwritten data is lost")
    add_grace_period(parser)


def add_grace_period(parser: Parser) -> None:
    """How long the operating system has."""
    parser.add_argument(
        "--grace-period",
        type=seconds,
        metavar="SECONDS",
        help="how long the operating system has to shut down (default: the machine's own)",
    )


def seconds(text: str) -> int:
    """A whole number of seconds, an hour at most."""
    if not text.isdecimal() or not 0 <= int(text) <= 3600:
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"{text!r} is no number of seconds from 0 to 3600")
    return int(text)


def run(args: Namespace) -> None:
    """Do it."""
    from bmctl import goals

    options = {"force": args.force or None, "gracePeriodSeconds": args.grace_period}
    acting.act(args, "stop", options, "Stopping", goals.stopped(), by_request=True)
