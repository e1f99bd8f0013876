"""``bmctl console``: the serial console of a machine, or of a server."""

from argparse import Namespace

from bmctl.arguments import Parser, connect, duration

DESCRIPTION = """\
Open the serial console of a machine. One user writes, any number look on. On a terminal, Ctrl-] then . leaves; a pipe
works too: what comes in is typed, what the machine says goes out, byte for byte. When the server of the console goes
away, it is opened anew. Operators open that of a server as server/NAME, also where no machine holds it."""
EXAMPLES = (
    "bmctl console bm-01",
    "bmctl console bm-01 --watch --tail 64Ki",
    "bmctl console bm-01 --takeover",
    "printf 'uptime\\n' | bmctl console bm-01 --linger 5s",
    "bmctl console server/server-07",
)

_SERVER = ("server/", "server.metalplane.io/")
"""Before a server's name, as kubectl has it before a name of any kind, and as ``bmctl servers -o name`` prints it."""


def declare(parser: Parser) -> None:
    """Its arguments."""
    name = parser.add_argument("name", help="name of the machine, or server/NAME")
    parser.named("machine or server", name)
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
    from bmctl.console import session
    from bmctl.console.terminal import Terminal
    from bmctl.errors import UsageError

    if args.watch and args.takeover:
        raise UsageError("Reading the arguments", "--watch and --takeover exclude each other", "Leave one out.")
    cluster = connect(args)
    terminal = Terminal()
    path, subject = _place(cluster.namespace, args.name)
    wanted = session.Wanted(
        path=path,
        subject=subject,
        watch=args.watch,
        takeover=args.takeover,
        tail_bytes=args.tail,
        linger_s=args.linger,
        greet=terminal.is_terminal,
    )
    session.run(cluster, wanted, terminal)


def _place(namespace: str, text: str) -> tuple[str, str]:
    """URL path of the console that ``text`` names, and whose it is."""
    from bmctl.cluster import path
    from provider.api import subresources

    for prefix in _SERVER:
        if text.startswith(prefix):
            name = text.removeprefix(prefix)
            return path(subresources.POWERED_SERVER, None, name, subresources.CONSOLE), f"Server {name}"
    return path(subresources.MACHINE, namespace, text, subresources.CONSOLE), f"{namespace}/{text}"
