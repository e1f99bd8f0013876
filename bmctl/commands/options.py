"""Options that several verbs share, so that they read the same everywhere."""

from typing import Annotated

import typer

from bmctl.cluster import Cluster, ClusterOptions
from bmctl.output import DetailFormat, OutputFormat

Kubeconfig = Annotated[
    str | None, typer.Option("--kubeconfig", help="Path to the kubeconfig.", envvar="KUBECONFIG", show_envvar=True)
]
Context = Annotated[str | None, typer.Option("--context", help="Context of the kubeconfig to use.")]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Namespace; that of the context if not given.")
]
Output = Annotated[OutputFormat, typer.Option("--output", "-o", help="Output format.")]
Detail = Annotated[DetailFormat, typer.Option("--output", "-o", help="Output format.")]


def connect(kubeconfig: str | None, context: str | None, namespace: str | None) -> Cluster:
    """The cluster that the options name."""
    return Cluster(ClusterOptions(kubeconfig=kubeconfig, context=context, namespace=namespace))


def complete_machine(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the namespace's machines, for the shell's completion; none where the cluster does not answer."""
    from bmctl.errors import BmctlError
    from provider.api.resources import BAREMETALMACHINE

    try:
        cluster = connect(ctx.params.get("kubeconfig"), ctx.params.get("context"), ctx.params.get("namespace"))
        names = [machine["metadata"]["name"] for machine in cluster.list(BAREMETALMACHINE, cluster.namespace)]
    except BmctlError:
        return []
    return [name for name in names if name.startswith(incomplete)]


MachineName = Annotated[str, typer.Argument(help="Name of the machine.", autocompletion=complete_machine)]
