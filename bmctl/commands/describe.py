"""``bmctl describe``: one machine, its children as a tree, and the one that everything waits for."""

from collections.abc import Iterator, Sequence
from typing import Any

import typer

from bmctl.commands.options import Context, Detail, Kubeconfig, MachineName, Namespace, connect
from bmctl.output import DetailFormat, age, document, timestamp
from bmctl.tree import Child, blocking, children, condition

Json = dict[str, Any]


def describe(
    name: MachineName,
    output: Detail = DetailFormat.TEXT,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Show one machine with its children; the child that everything waits for is marked.

    \b
    Examples:
      bmctl describe bm-01
      bmctl describe bm-01 -n tenant-a -o json
    """
    from provider.api.resources import BAREMETALMACHINE, POWERSTATE, SERVERCLAIM, VIRTUALDISK, VIRTUALNIC, VOLUME

    cluster = connect(kubeconfig, context, namespace)
    machine = cluster.get(BAREMETALMACHINE, name, cluster.namespace)
    objects = [
        obj
        for resource in (SERVERCLAIM, VOLUME, VIRTUALNIC, VIRTUALDISK, POWERSTATE)
        for obj in cluster.list(resource, cluster.namespace, labels={"crossplane.io/composite": name})
    ]
    if output in (DetailFormat.JSON, DetailFormat.YAML):
        typer.echo(document({"apiVersion": "v1", "kind": "List", "items": [machine, *objects]}, output))
        return
    typer.echo("\n".join(render(machine, children(machine["metadata"]["uid"], objects))))


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
