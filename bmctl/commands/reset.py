"""``bmctl reset``: the reset line of a machine's processor."""

from argparse import Namespace

from bmctl import acting
from bmctl.arguments import Parser

DESCRIPTION = """\
Reset a machine's processor, as its reset button would; the power stays on. The operating system is not asked, so
unwritten data is lost. That it was reset is waited for, not that it is up again."""
EXAMPLES = ("bmctl reset bm-01", "bmctl reset bm-01 --no-wait")


def declare(parser: Parser) -> None:
    """Its arguments."""
    acting.declare(parser, "it was reset")


def run(args: Namespace) -> None:
    """Do it."""
    from bmctl import goals

    acting.act(args, "reset", {}, "Resetting", goals.reset(), by_request=True)
