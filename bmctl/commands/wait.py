"""``bmctl wait``: until a machine is what is asked for."""

from argparse import Namespace

from bmctl import acting
from bmctl.arguments import DEFAULT_TIMEOUT_S, Parser, connect, duration

DESCRIPTION = """\
Wait until a machine is Ready, Running or Stopped, is gone (delete), or has a condition. A condition counts only when it
was seen for the machine as it is now."""
EXAMPLES = (
    "bmctl wait bm-01",
    "bmctl wait bm-01 --for=delete --timeout 2m",
    "bmctl wait bm-01 --for=condition=Progressing=False",
)


def declare(parser: Parser) -> None:
    """Its arguments."""
    parser.machine()
    parser.add_argument(
        "--for",
        dest="wanted",
        metavar="STATE",
        default="Ready",
        help="Ready (the default), Running, Stopped, delete, or condition=TYPE[=STATUS]",
    )
    parser.add_argument(
        "--timeout",
        type=duration,
        metavar="TIME",
        default=DEFAULT_TIMEOUT_S,
        help="how long to wait, such as 90s or 10m (default 15m; 0: for ever)",
    )


def run(args: Namespace) -> None:
    """Do it."""
    from bmctl import goals

    goal = goals.named(args.wanted)
    acting.follow(args, connect(args), goal)
