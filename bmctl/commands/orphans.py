"""``bmctl orphans``: what no object claims, on DPUs and in the storage."""

import sys
from argparse import Namespace
from collections.abc import Iterator
from typing import Any, NamedTuple

from bmctl.arguments import Parser, add_output, add_waiting, connect
from bmctl.errors import ConflictError, NotFoundError, TimedOutError, UsageError
from bmctl.output import OBJECT_FORMS, age, is_table, objects, remark, show, table, timestamp

Json = dict[str, Any]

DESCRIPTION = """\
List what belongs to no object: on DPUs (SPDK, Open vSwitch, emulated devices), as their agents report it, and volumes
and image snapshots in the storage, as the provider does. Each is listed once it was seen so twice. With --delete those
listed are removed, after a question: by whoever reported them, one by one, and only what still belongs to nobody and is
not in use. What is in use stays asked for, and goes when it is free."""
EXAMPLES = (
    "bmctl orphans",
    "bmctl orphans dpu0 -o wide",
    "bmctl orphans dpu0 vm7 --delete",
    "bmctl orphans storage --delete --yes --no-wait",
)

_STORAGE = "storage"
_KEY = ("where", "kind", "name", "since")
_TRIES = 5


class Orphan(NamedTuple):
    """One of them. ``place`` is the DPU, or ``storage``; ``key`` is what a request for its removal says of it."""

    place: str
    namespace: str
    entry: Json

    @property
    def key(self) -> Json:
        return {name: self.entry[name] for name in _KEY}


def declare(parser: Parser) -> None:
    """Its arguments."""
    parser.add_argument("place", nargs="?", help="a DPU, or storage; all without")
    parser.add_argument("names", metavar="name", nargs="*", help="names of orphans there; all without")
    parser.add_argument("--delete", action="store_true", help="remove those listed")
    parser.add_argument("--yes", action="store_true", help="do not ask before that")
    add_waiting(parser, "they are gone")
    add_output(parser, *OBJECT_FORMS)


def run(args: Namespace) -> None:
    """Do it."""
    from provider.api.resources import ORPHANREPORT

    if args.delete and not is_table(args.output):
        raise UsageError("Reading the arguments", f"--delete shows a table, not -o {args.output}", "Leave one out.")
    cluster = connect(args)
    reports = [each for each in cluster.list(ORPHANREPORT) if args.place in (None, _place(each))]
    if not is_table(args.output):
        show(objects(reports, args.output, single=False), args.output)
        return
    found = [orphan for orphan in _orphans(reports) if not args.names or orphan.entry["name"] in args.names]
    _check_all_are_there(args, reports, found)
    for line in _silent(cluster, args.place, reports):
        remark(line)
    if not found:
        remark("No orphans found.")
        return
    print(_table(found, wide=args.output == "wide"))
    for place, more in ((_place(each), each.get("status", {}).get("more", 0)) for each in reports):
        if more:
            remark(f"{place}: {more} more, which its report has no room for")
    if args.delete and _confirmed(args, found):
        _delete(cluster, args, found)


def _place(report: Json) -> str:
    from provider.api.names import DPU_NAMESPACE_PREFIX

    namespace: str = report["metadata"]["namespace"]
    return namespace.removeprefix(DPU_NAMESPACE_PREFIX) if namespace.startswith(DPU_NAMESPACE_PREFIX) else _STORAGE


def _orphans(reports: list[Json]) -> Iterator[Orphan]:
    for report in reports:
        for entry in report.get("status", {}).get("orphans", ()):
            yield Orphan(_place(report), report["metadata"]["namespace"], entry)


def _check_all_are_there(args: Namespace, reports: list[Json], found: list[Orphan]) -> None:
    attempt = f"Looking for orphans on {args.place}"
    if args.place and not reports:
        raise NotFoundError(attempt, "it has no OrphanReport", "`bmctl orphans` lists all that there are.")
    missing = [name for name in args.names if name not in {each.entry["name"] for each in found}]
    if missing:
        cause = f"none is called {', '.join(missing)}"
        raise NotFoundError(attempt, cause, f"`bmctl orphans {args.place}` lists those that there are.")


def _silent(cluster: Any, place: str | None, reports: list[Json]) -> Iterator[str]:
    """DPUs of which nobody knows."""
    from provider.api.resources import SERVER

    if place is None:
        reported = {_place(each) for each in reports}
        for dpu in sorted({server["spec"]["dpu"]["name"] for server in cluster.list(SERVER)} - reported):
            yield f"{dpu}: not known, for its agent has reported nothing yet"
        if _STORAGE not in reported:
            yield f"{_STORAGE}: not known, for the provider has reported nothing yet"


def _table(found: list[Orphan], *, wide: bool) -> str:
    header = ["PLACE", "KIND", "NAME", "AGE", *(["ABOUT"] if wide else []), "STAYS BECAUSE"]
    return table(header, [_row(each, wide=wide) for each in found])


def _row(orphan: Orphan, *, wide: bool) -> list[str]:
    entry = orphan.entry
    cells = [orphan.place, entry["kind"], entry["name"], age(timestamp(entry["since"]))]
    return [*cells, *([entry.get("about", "")] if wide else []), entry.get("message", "")]


def _confirmed(args: Namespace, found: list[Orphan]) -> bool:
    if any(each.entry["kind"] == "Volume" for each in found):
        print("warning: the data of these volumes is lost for good.", file=sys.stderr, flush=True)
    if args.yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("Removing orphans", "there is no terminal to ask on", "Say --yes to remove those listed.")
    print(
        f"Remove {'this one' if len(found) == 1 else f'these {len(found)}'}? [y/N] ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    remark("Nothing was removed.")
    return False


def _delete(cluster: Any, args: Namespace, found: list[Orphan]) -> None:
    for namespace in sorted({each.namespace for each in found}):
        _ask(cluster, namespace, [each for each in found if each.namespace == namespace])
    if args.no_wait:
        print(f"the removal of {len(found)} was asked for")
        return
    _follow(cluster, args, found)
    print(f"{len(found)} removed")


def _ask(cluster: Any, namespace: str, wanted: list[Orphan]) -> None:
    """Beside what was asked for before and is still there; compare-and-swap, for a report is written meanwhile."""
    from provider.api.names import ORPHAN_REPORT
    from provider.api.resources import ORPHANREPORT

    attempt = f"Asking {wanted[0].place} to remove {len(wanted)} orphans"
    for number in range(1, _TRIES + 1):
        report = cluster.get(ORPHANREPORT, ORPHAN_REPORT, namespace)
        there = [each.key for each in _orphans([report])]
        asked = [each for each in report["spec"].get("remove", ()) if each in there]
        asked += [each.key for each in wanted if each.key in there and each.key not in asked]
        body = {"metadata": {"resourceVersion": report["metadata"]["resourceVersion"]}, "spec": {"remove": asked}}
        try:
            cluster.patch(ORPHANREPORT, ORPHAN_REPORT, body, attempt, namespace)
        except ConflictError:
            if number == _TRIES:
                raise
        else:
            return


def _follow(cluster: Any, args: Namespace, found: list[Orphan]) -> None:
    """Until all of them are gone."""
    import time

    from bmctl.progress import Progress, State
    from bmctl.waiting import Feed
    from provider.api.resources import ORPHANREPORT

    deadline = None if args.timeout is None else time.monotonic() + args.timeout
    wanted = [(each.namespace, each.key) for each in found]
    with Progress("orphans") as progress:
        for _, reports in Feed(cluster, {ORPHANREPORT: ()}, None).states(deadline, progress.tick):
            left = [each for each in _orphans(reports) if (each.namespace, each.key) in wanted]
            if not left:
                return
            why = next((each for each in left if each.entry.get("message")), left[0]).entry
            progress.show(State(f"{len(left)} left", f"{why['name']}: {why.get('message') or 'being removed'}"))
    raise TimedOutError(
        "Waiting until the orphans are gone",
        f"not within {args.timeout:g} s; {progress.last or 'nothing was seen yet'}",
        "They stay asked for. `bmctl orphans` tells what each is held by.",
    )
