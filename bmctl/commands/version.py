"""``bmctl version``: the versions of client, API server and agents."""

from importlib import metadata
from typing import Annotated, Any

import typer

from bmctl.commands.options import Context, Detail, Kubeconfig, connect
from bmctl.errors import BmctlError
from bmctl.output import DetailFormat, document, table


def version(
    client_only: Annotated[bool, typer.Option("--client", help="Only the version of bmctl.")] = False,
    output: Detail = DetailFormat.TEXT,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Show the versions of bmctl, the API server and the DPUs' agents.

    \b
    Examples:
      bmctl version
      bmctl version --client -o json
    """
    versions: dict[str, Any] = {"client": metadata.version("metalplane")}
    problem: BmctlError | None = None
    if not client_only:
        try:
            versions |= _of_cluster(kubeconfig, context)
        except BmctlError as error:
            problem = error
    if output in (DetailFormat.JSON, DetailFormat.YAML):
        typer.echo(document(versions, output))
    else:
        typer.echo(render(versions))
    if problem is not None:
        raise problem


def render(versions: dict[str, Any]) -> str:
    """What ``version`` prints."""
    lines = [f"Client: {versions['client']}"]
    if "server" in versions:
        lines.append(f"Kubernetes: {versions['server']}")
    if versions.get("agents"):
        lines.append(table(["DPU", "AGENT"], [[agent["dpu"], agent["version"]] for agent in versions["agents"]]))
    return "\n".join(lines)


def _of_cluster(kubeconfig: str | None, context: str | None) -> dict[str, Any]:
    from provider.api.names import AGENT_LEASE, ANNOTATION_AGENT_VERSION, DPU_NAMESPACE_PREFIX
    from provider.api.resources import LEASE

    cluster = connect(kubeconfig, context, None)
    server = cluster.read("/version", "Asking the API server for its version")
    agents = [
        {
            "dpu": lease["metadata"]["namespace"].removeprefix(DPU_NAMESPACE_PREFIX),
            "version": lease["metadata"].get("annotations", {}).get(ANNOTATION_AGENT_VERSION, "unknown"),
        }
        for lease in cluster.list(LEASE)
        if lease["metadata"]["name"] == AGENT_LEASE and lease["metadata"]["namespace"].startswith(DPU_NAMESPACE_PREFIX)
    ]
    return {"server": server["gitVersion"], "agents": agents}
