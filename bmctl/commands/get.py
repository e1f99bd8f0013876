"""``bmctl get``: machines and how they stand."""

from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from bmctl import listing
from bmctl.arguments import Parser, connect
from bmctl.errors import UsageError
from bmctl.output import age, is_table, objects, table, timestamp
from bmctl.tree import condition

Json = dict[str, Any]

DESCRIPTION = """\
List machines, or show one."""
EXAMPLES = (
    "bmctl get",
    "bmctl get bm-01 -n tenant-a -o yaml",
    "bmctl get -A -o wide",
    "bmctl get -l team=blue --watch",
    "bmctl get bm-01 -o 'jsonpath={.status.addresses[0]}'",
)

_HEADER = ["NAME", "STATUS", "SERVER", "IP", "SYNCED", "READY", "AGE"]
_WIDTHS = {"NAMESPACE": 12, "NAME": 16, "STATUS": 13, "SERVER": 12, "IP": 15, "SYNCED": 6, "READY": 7, "AGE": 5}
"""Of columns that are printed before it is known what will stand in them."""


def declare(parser: Parser) -> None:
    """Its arguments."""
    parser.machine(nargs="?")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="machines of all namespaces")
    parser.add_argument("-w", "--watch", action="store_true", help="then show each change, until interrupted")
    listing.declare(parser, "team=blue,stage!=test")


def run(args: Namespace) -> None:
    """Do it."""
    from provider.api.resources import BAREMETALMACHINE

    _check(args)
    cluster = connect(args)
    namespace = None if args.all_namespaces else cluster.namespace
    if args.watch:
        _watch(args, cluster, namespace)
        return
    wide, everywhere = args.output == "wide", args.all_namespaces

    def tabulate(machines: list[Json]) -> str:
        return table(header(wide, everywhere), [row(machine, wide, everywhere) for machine in machines])

    listing.run(args, cluster, BAREMETALMACHINE, "machine", tabulate, name=args.name, namespace=namespace)


def _check(args: Namespace) -> None:
    if args.name is not None and args.all_namespaces:
        cause = "a machine cannot be got by name across all namespaces"
        raise UsageError("Reading the arguments", cause, f"Write `bmctl get {args.name} -n NAMESPACE`.")
    listing.check(args.name, args)


def header(wide: bool, all_namespaces: bool) -> list[str]:
    """Names of the columns."""
    return (["NAMESPACE"] if all_namespaces else []) + _HEADER + (["POWER", "MESSAGE"] if wide else [])


def row(machine: Json, wide: bool, all_namespaces: bool) -> list[str]:
    """One machine's cells."""
    metadata, status = machine["metadata"], machine.get("status", {})
    cells = [metadata["namespace"]] if all_namespaces else []
    cells += [
        metadata["name"],
        status.get("printableStatus") or "Pending",
        status.get("serverName") or "",
        ",".join(address.split("/")[0] for address in status.get("addresses", ())),
        condition(machine, "Synced").status,
        condition(machine, "Ready").status,
        age(timestamp(metadata.get("creationTimestamp"))),
    ]
    if wide:
        cells += [status.get("powerState") or "", condition(machine, "Progressing").message]
    return cells


def _watch(args: Namespace, cluster: Any, namespace: str | None) -> None:
    """All there is, and then each change in a line (or an object) of its own."""
    for text in changes(args, _events(args, cluster, namespace)):
        print(text, flush=True)


def changes(args: Namespace, events: Iterator[Json]) -> Iterator[str]:
    """What ``--watch`` prints for machines as they come."""
    if not is_table(args.output):
        for machine in events:
            text = objects([machine], args.output, single=True)
            yield f"---\n{text}" if args.output == "yaml" else text
        return
    wide, everywhere = args.output == "wide", args.all_namespaces
    names = header(wide, everywhere)
    widths = [_WIDTHS.get(name, 0) for name in names]
    yield _padded(names, widths)
    before: dict[str, list[str]] = {}
    for machine in events:
        cells = row(machine, wide, everywhere)
        widths = [max(width, len(cell)) for width, cell in zip(widths, cells, strict=True)]
        age_at = names.index("AGE")
        told = cells[:age_at] + cells[age_at + 1 :]
        # Most changes of an object are of things that have no column here.
        if before.get(machine["metadata"]["uid"]) != told:
            before[machine["metadata"]["uid"]] = told
            yield _padded(cells, widths)


def _padded(cells: list[str], widths: list[int]) -> str:
    return "   ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _events(args: Namespace, cluster: Any, namespace: str | None) -> Iterator[Json]:
    """Machines now, and again whenever one changes; a deleted one a last time, as Deleting."""
    from bmctl.cluster import selector
    from bmctl.waiting import Feed
    from provider.api.resources import BAREMETALMACHINE

    query = (("fieldSelector", f"metadata.name={args.name}"),) if args.name else selector(args.selector)
    known: dict[str, Json] = {}
    for _, machines in Feed(cluster, {BAREMETALMACHINE: query}, namespace).states(None, lambda: None):
        now = {machine["metadata"]["uid"]: machine for machine in machines}
        for uid in known.keys() - now.keys():
            yield _gone(known[uid])
        yield from (machine for uid, machine in now.items() if machine != known.get(uid))
        known = now


def _gone(machine: Json) -> Json:
    return machine | {"status": {**machine.get("status", {}), "printableStatus": "Deleted", "conditions": []}}
