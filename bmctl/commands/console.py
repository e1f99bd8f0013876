"""``bmctl console``: the serial console of a machine."""

from argparse import Namespace

from bmctl.arguments import Parser, connect, duration

DESCRIPTION = """\
Open the serial console of a machine. One user writes, any number look on. On a terminal, Ctrl-] then . leaves; a pipe
works too: what comes in is typed, what the machine says goes out, byte for byte. When the server of the console goes
away, it is opened anew."""
EXAMPLES = (
    "bmctl console bm-01",
    "bmctl console bm-01 --watch --tail 64Ki",
    "bmctl console bm-01 --takeover",
    "printf 'uptime\\n' | bmctl console bm-01 --linger 5s",
)


def declare(parser: Parser) -> None:
    """Its arguments."""
    parser.machine()
    parser.add_argument("--watch", action="store_true", help="look on, and type nothing")
    parser.add_argument("--takeover", action="store_true", help="write, also where somebody else does: they look on")
    add_tail(parser, "show so much of what it said before, such as 64Ki")
    parser.add_argument(
        "--linger",
        type=duration,
        metavar="TIME",
        default=1.0,
        help="how long a pipe waits in silence after its input ended (default 1s; 0: for ever)",
    )


def add_tail(parser: Parser, text: str) -> None:
    """``--tail``."""
    parser.add_argument("--tail", type=size, metavar="BYTES", help=text)


def size(text: str) -> int:
    """A number of bytes."""
    from argparse import ArgumentTypeError

    from provider.api.quantity import parse_bytes

    try:
        return parse_bytes(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def run(args: Namespace) -> None:
    """Do it."""
    from bmctl.cluster import path
    from bmctl.console import session
    from bmctl.console.terminal import Terminal
    from bmctl.errors import UsageError
    from provider.api import subresources

    if args.watch and args.takeover:
        raise UsageError("Reading the arguments", "--watch and --takeover exclude each other", "Leave one out.")
    cluster = connect(args)
    terminal = Terminal()
    wanted = session.Wanted(
        path=path(subresources.MACHINE, cluster.namespace, args.name, subresources.CONSOLE),
        subject=f"{cluster.namespace}/{args.name}",
        watch=args.watch,
        takeover=args.takeover,
        tail_bytes=args.tail,
        linger_s=args.linger,
        greet=terminal.is_terminal,
    )
    session.run(cluster, wanted, terminal)
