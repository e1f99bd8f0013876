"""``bmctl describe``: one machine, its children as a tree, and the one that everything waits for."""

from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import Any

from bmctl.arguments import Parser, add_output, connect
from bmctl.output import DETAIL_FORMS, age, document, timestamp
from bmctl.tree import Child, blocking, children, condition

Json = dict[str, Any]

DESCRIPTION = """\
Show one machine with its children as a tree; the child that everything waits for is marked. Then what happened to them
of late."""
EXAMPLES = ("bmctl describe bm-01", "bmctl describe bm-01 -n tenant-a -o json")

_MOST_EVENTS = 20


def declare(parser: Parser) -> None:
    """Its arguments."""
    parser.machine()
    add_output(parser, *DETAIL_FORMS)


def run(args: Namespace) -> None:
    """Do it."""
    from provider.api.resources import BAREMETALMACHINE

    cluster = connect(args)
    machine = cluster.get(BAREMETALMACHINE, args.name, cluster.namespace)
    objects = composed(cluster, machine)
    if args.output:
        print(document({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": [machine, *objects]}, args.output))
        return
    print("\n".join(render(machine, children(machine["metadata"]["uid"], objects))))
    print("\n".join(events(_events(cluster, [machine, *objects]))))


def composed(cluster: Any, machine: Json) -> list[Json]:
    """Objects of the kinds that a machine is made of, which carry its name."""
    from provider.api.names import LABEL_COMPOSITE
    from provider.api.resources import POWERSTATE, SERVERCLAIM, VIRTUALDISK, VIRTUALNIC, VOLUME

    labels = {LABEL_COMPOSITE: machine["metadata"]["name"]}
    namespace = machine["metadata"]["namespace"]
    kinds = (SERVERCLAIM, VOLUME, VIRTUALNIC, VIRTUALDISK, POWERSTATE)
    return [obj for resource in kinds for obj in cluster.list(resource, namespace, labels=labels)]


def _events(cluster: Any, objects: Sequence[Json]) -> list[Json]:
    """What was said about them; nothing where this user may not read Events."""
    from bmctl.errors import ForbiddenError
    from provider.api.resources import EVENT

    uids = {obj["metadata"]["uid"] for obj in objects}
    try:
        found = cluster.list(EVENT, objects[0]["metadata"]["namespace"])
    except ForbiddenError:
        return []
    return [event for event in found if event.get("regarding", {}).get("uid") in uids]


def events(found: Sequence[Json]) -> Iterator[str]:
    """Lines of text: the newest Events (events.k8s.io/v1), the last one last."""
    if not found:
        return
    yield "Events:"
    told = sorted((_last_seen(event), position) for position, event in enumerate(found))[-_MOST_EVENTS:]
    width = max(len(event.get("reason", "")) for event in found)
    for seen, position in told:
        event = found[position]
        regarding = event["regarding"]
        times = (event.get("series") or {}).get("count", 1)
        often = f" (x{times})" if times > 1 else ""
        about = f"{regarding.get('kind')}/{regarding.get('name')}"
        reason = f"{event.get('reason', ''):<{width}}"
        yield f"  {age(timestamp(seen)):<5} {event.get('type', ''):<8} {reason} {about}{often}"
        if event.get("note"):
            yield f"        {event['note']}"


def _last_seen(event: Json) -> str:
    series = (event.get("series") or {}).get("lastObservedTime")
    return str(series or event.get("eventTime") or event["metadata"]["creationTimestamp"])


def render(machine: Json, tree: Sequence[Child]) -> Iterator[str]:
    """Lines of text: the machine, its timeline, its children."""
    metadata, spec, status = machine["metadata"], machine["spec"], machine.get("status", {})
    created = timestamp(metadata.get("creationTimestamp"))
    yield f"Name:       {metadata['name']}"
    yield f"Namespace:  {metadata['namespace']}"
    yield f"Status:     {status.get('printableStatus') or 'Pending'}"
    yield f"Wanted:     runStrategy {spec.get('runStrategy', 'Always')}"
    yield f"Server:     {status.get('serverName') or '-'}"
    yield f"Addresses:  {', '.join(status.get('addresses', ())) or '-'}"
    yield f"Power:      {status.get('powerState') or '-'}"
    yield f"Trace:      {status.get('traceId') or '-'}"
    yield f"Age:        {age(created)}"
    for type_ in ("Ready", "Synced", "Progressing"):
        seen = condition(machine, type_)
        yield f"{type_ + ':':<11} {seen.status} {seen.reason} {seen.message}".rstrip()
    if status.get("timeline"):
        yield "Timeline:"
        for entry in status["timeline"]:
            at = timestamp(entry["at"])
            after_s = (at - created).total_seconds() if at and created else 0.0
            yield f"  {entry['step']:<14} +{max(after_s, 0.0):.1f} s"
    yield "Children:"
    if not tree:
        yield "  none yet"
    stuck = blocking(tree, leaving="deletionTimestamp" in machine["metadata"])
    for position, child in enumerate(tree):
        yield from _branch(child, last=position == len(tree) - 1, marked=child is stuck)


def _branch(child: Child, *, last: bool, marked: bool) -> Iterator[str]:
    joint, bar = ("└─", "  ") if last else ("├─", "│ ")
    mark = "►" if marked else " "
    state = "Deleting" if child.deleting else f"Ready={child.ready.status} Synced={child.synced.status}"
    since = f" for {age(child.ready.since)}" if child.ready.since else ""
    yield f"{mark} {joint} {child.kind}/{child.name} ({child.role or 'no role'})  {state}{since}"
    for line in (child.detail, child.message):
        if line:
            yield f"  {bar}     {line}"
