"""``bmctl top``: what is under way, live."""

import os
import sys
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from bmctl.arguments import Parser, connect
from bmctl.goals import of_machine, word
from bmctl.output import shortened, table, timestamp
from bmctl.progress import columns
from bmctl.tree import condition
from bmctl.waiting import Feed, Seen

Json = dict[str, Any]

DESCRIPTION = """\
Show how many machines there are in which state, and of those on their way the step, how long, and what it waits for:
live on a terminal until interrupted, in a pipe a line for each change."""
EXAMPLES = ("bmctl top", "bmctl top -A --once", "bmctl top -n tenant-a | tee changes.log")

_AT_REST = ("Running", "Stopped")
_EVERY_S = 0.5
_ENTER, _LEAVE, _HOME, _TO_END = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l", "\x1b[H", "\x1b[J"
_LINE_END = "\x1b[K\n"


def declare(parser: Parser) -> None:
    """Its arguments."""
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="machines of all namespaces")
    parser.add_argument("--once", action="store_true", help="print it once and return")


def run(args: Namespace) -> None:
    """Do it."""
    from provider.api.resources import BAREMETALMACHINE

    cluster = connect(args)
    namespace = None if args.all_namespaces else cluster.namespace
    if args.once:
        print("\n".join(screen(cluster.list(BAREMETALMACHINE, namespace), datetime.now(UTC))))
        return
    feed = Feed(cluster, {BAREMETALMACHINE: ()}, namespace)
    if sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        _live(feed)
    else:
        _plain(feed)


def screen(machines: Sequence[Json], now: datetime) -> Iterator[str]:
    """Lines of text: numbers first, then the machines under way, the longest first."""
    counted = Counter(word(machine) for machine in machines)
    numbers = ", ".join(f"{number} {status}" for status, number in sorted(counted.items()))
    yield f"{len(machines)} machines{': ' if numbers else ''}{numbers}"
    moving = sorted((began(machine), machine["metadata"]["uid"], machine) for machine in machines if under_way(machine))
    if moving:
        yield ""
        yield from table(
            ["NAMESPACE", "NAME", "STATUS", "SERVER", "FOR", "WAITS FOR"],
            [_row(machine, since, now) for since, _, machine in moving],
        ).splitlines()


def under_way(machine: Json) -> bool:
    """Whether it is not yet what it should be."""
    return word(machine) not in _AT_REST or condition(machine, "Progressing").status == "True"


def began(machine: Json) -> datetime:
    """When the step that is under way began: the last thing that was done, or changed, before."""
    status = machine.get("status", {})
    texts = [machine["metadata"]["creationTimestamp"]]
    texts += [entry["at"] for entry in status.get("timeline", ())]
    texts += [entry["lastTransitionTime"] for entry in status.get("conditions", ()) if "lastTransitionTime" in entry]
    texts += [machine["metadata"]["deletionTimestamp"]] if "deletionTimestamp" in machine["metadata"] else []
    return max(time for text in texts if (time := timestamp(text)) is not None)


def _row(machine: Json, since: datetime, now: datetime) -> list[str]:
    metadata = machine["metadata"]
    seen = of_machine(Seen(machine))
    took = shortened((now - since).total_seconds())
    server = machine.get("status", {}).get("serverName") or ""
    return [metadata["namespace"], metadata["name"], seen.step, server, took, seen.waits_for]


def _live(feed: Feed) -> None:
    """A screen of its own, drawn anew twice a second; the terminal's own comes back whatever happens."""
    machines: list[Json] = []
    drawn = 0.0

    def draw() -> None:
        nonlocal drawn
        if time.monotonic() - drawn < _EVERY_S:
            return
        drawn = time.monotonic()
        size = os.get_terminal_size(sys.stdout.fileno())
        width = columns(sys.stdout)
        lines = [line[: width - 1] for line in screen(machines, datetime.now(UTC))][: max(1, size.lines - 1)]
        sys.stdout.write(_HOME + "".join(f"{line}{_LINE_END}" for line in lines) + _TO_END)
        sys.stdout.flush()

    sys.stdout.write(_ENTER)
    try:
        for _, now in feed.states(None, draw):
            machines = now
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()


def _plain(feed: Feed) -> None:
    before: dict[str, str] = {}
    for _, machines in feed.states(None, lambda: None):
        for line in changed(machines, before):
            print(line, flush=True)


def changed(machines: Sequence[Json], before: dict[str, str]) -> Iterator[str]:
    """A line for each machine whose state is another than in ``before``, which is brought up to date."""
    now = {machine["metadata"]["uid"]: machine for machine in machines}
    for uid, machine in now.items():
        name = f"{machine['metadata']['namespace']}/{machine['metadata']['name']}"
        told = f"{name} {of_machine(Seen(machine))}"
        if before.get(uid) != told:
            before[uid] = told
            yield told
    for uid in before.keys() - now.keys():
        yield f"{before.pop(uid).split(' ')[0]} Deleted"
