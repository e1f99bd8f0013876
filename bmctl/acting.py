"""What verbs that change something have in common: ask bm-api, say what it answered, wait until it is so."""

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from bmctl.arguments import Parser, add_waiting, connect

if TYPE_CHECKING:
    from bmctl.waiting import Goal

Json = dict[str, Any]


def declare(parser: Parser, until: str) -> None:
    """Machine, ``--dry-run``, ``--no-wait`` and ``--timeout``."""
    parser.machine()
    declare_options(parser, until)


def declare_options(parser: Parser, until: str) -> None:
    """The same without the machine, for a verb that has other arguments behind it."""
    parser.add_argument("--dry-run", action="store_true", help="let the API server check it, and change nothing")
    add_waiting(parser, until)


def act(args: Namespace, verb: str, options: Json, attempt: str, goal: "Goal", *, by_request: bool = False) -> None:
    """Ask for ``verb`` with ``options`` (those that are None are left out), and wait for the goal.

    ``by_request``: the answer may name a request of power, whose phases are followed then.
    """
    from bmctl import goals

    cluster = connect(args)
    kind = {"addvolume": "AddVolume", "removevolume": "RemoveVolume", "addnic": "AddNic", "removenic": "RemoveNic"}
    body = {"kind": f"{kind.get(verb, verb.capitalize())}Options"}
    body |= {key: value for key, value in options.items() if value is not None}
    attempt = f"{attempt} {cluster.namespace}/{args.name}"
    result = cluster.act(verb, args.name, body, attempt, dry_run=args.dry_run)
    tell(args, args.name, result)
    if args.dry_run or args.no_wait:
        return
    if by_request and result.get("requestId"):
        goal = goals.power_request(result["requestId"], goal)
    follow(args, cluster, goal)


def tell(args: Namespace, name: str, result: Json) -> None:
    """Say what bm-api answered about the object of that name."""
    told = result.get("message") or "asked for"
    print(f"{name}: {told}{' (dry run: nothing was changed)' if args.dry_run else ''}", flush=True)


def follow(args: Namespace, cluster: Any, goal: "Goal") -> None:
    """Wait for the goal, and say that it was reached."""
    from bmctl.progress import Progress
    from bmctl.waiting import wait

    wait(cluster, args.name, goal, args.timeout, Progress(args.name))
    print(f"{args.name}: {goal.what}")
