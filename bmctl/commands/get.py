"""``bmctl get``: machines and how they stand."""

from typing import Annotated, Any

import typer

from bmctl.commands.options import Context, Kubeconfig, Namespace, Output, complete_machine, connect
from bmctl.errors import UsageError
from bmctl.output import OutputFormat, age, document, table, timestamp
from bmctl.tree import condition

Json = dict[str, Any]

_HEADER = ["NAME", "STATUS", "SERVER", "IP", "SYNCED", "READY", "AGE"]


def get(
    name: Annotated[
        str | None, typer.Argument(help="Name of one machine; all if not given.", autocompletion=complete_machine)
    ] = None,
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Machines of all namespaces.")] = False,
    output: Output = OutputFormat.TABLE,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """List machines, or show one.

    \b
    Examples:
      bmctl get
      bmctl get bm-01 -n tenant-a -o yaml
      bmctl get -A -o wide
    """
    from provider.api.resources import BAREMETALMACHINE

    if name is not None and all_namespaces:
        cause = "a machine cannot be got by name across all namespaces"
        raise UsageError("Reading the arguments", cause, f"Write `bmctl get {name} -n NAMESPACE`.")
    cluster = connect(kubeconfig, context, namespace)
    if name is not None:
        machines = [cluster.get(BAREMETALMACHINE, name, cluster.namespace)]
    else:
        machines = cluster.list(BAREMETALMACHINE, None if all_namespaces else cluster.namespace)
    if not machines and output in (OutputFormat.TABLE, OutputFormat.WIDE, OutputFormat.NAME):
        typer.echo("No machines found" + ("." if all_namespaces else f" in namespace {cluster.namespace}."), err=True)
        return
    typer.echo(render(machines, output, single=name is not None, all_namespaces=all_namespaces))


def render(machines: list[Json], output: OutputFormat, *, single: bool, all_namespaces: bool) -> str:
    """What ``get`` prints."""
    match output:
        case OutputFormat.JSON | OutputFormat.YAML:
            whole: Json = machines[0] if single else {"apiVersion": "v1", "kind": "List", "items": machines}
            return document(whole, output)
        case OutputFormat.NAME:
            return "\n".join(f"baremetalmachine.metalplane.io/{machine['metadata']['name']}" for machine in machines)
        case OutputFormat.TABLE | OutputFormat.WIDE:
            wide = output is OutputFormat.WIDE
            header = (["NAMESPACE"] if all_namespaces else []) + _HEADER + (["POWER", "MESSAGE"] if wide else [])
            return table(header, [_row(machine, wide, all_namespaces) for machine in machines])


def _row(machine: Json, wide: bool, all_namespaces: bool) -> list[str]:
    metadata, status = machine["metadata"], machine.get("status", {})
    row = [metadata["namespace"]] if all_namespaces else []
    row += [
        metadata["name"],
        status.get("printableStatus") or "Pending",
        status.get("serverName") or "",
        ",".join(address.split("/")[0] for address in status.get("addresses", ())),
        condition(machine, "Synced").status,
        condition(machine, "Ready").status,
        age(timestamp(metadata.get("creationTimestamp"))),
    ]
    if wide:
        row += [status.get("powerState") or "", condition(machine, "Progressing").message]
    return row
