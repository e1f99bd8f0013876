"""``bmctl version``: the versions of client, API server and agents."""

from argparse import Namespace
from typing import Any

from bmctl.arguments import Parser, add_output, connect
from bmctl.errors import BmctlError
from bmctl.output import DETAIL_FORMS, document, table

DESCRIPTION = """\
Show the versions of bmctl, the API server and the DPUs' agents."""
EXAMPLES = ("bmctl version", "bmctl version --client -o json")


def declare(parser: Parser) -> None:
    """Its arguments."""
    parser.add_argument("--client", dest="client_only", action="store_true", help="only the version of bmctl")
    add_output(parser, *DETAIL_FORMS)


def run(args: Namespace) -> None:
    """Do it."""
    versions: dict[str, Any] = {"client": ours()}
    problem: BmctlError | None = None
    if not args.client_only:
        try:
            versions |= of_cluster(connect(args))
        except BmctlError as error:
            problem = error
    print(document(versions, args.output) if args.output else render(versions))
    if problem is not None:
        raise problem


def ours() -> str:
    """The version of bmctl."""
    from importlib import metadata

    return metadata.version("metalplane")


def render(versions: dict[str, Any]) -> str:
    """What ``version`` prints."""
    lines = [f"Client: {versions['client']}"]
    if "server" in versions:
        lines.append(f"Kubernetes: {versions['server']}")
    if versions.get("agents"):
        lines.append(table(["DPU", "AGENT"], [[agent["dpu"], agent["version"]] for agent in versions["agents"]]))
    return "\n".join(lines)


def of_cluster(cluster: Any) -> dict[str, Any]:
    """Versions of the API server and, where this user may see their Leases, of the agents."""
    from bmctl.errors import ForbiddenError
    from provider.api.names import AGENT_LEASE, ANNOTATION_AGENT_VERSION, DPU_NAMESPACE_PREFIX
    from provider.api.resources import LEASE

    server = cluster.read("/version", "Asking the API server for its version")
    try:
        leases = cluster.list(LEASE)
    except ForbiddenError:
        return {"server": server["gitVersion"]}
    agents = [
        {
            "dpu": lease["metadata"]["namespace"].removeprefix(DPU_NAMESPACE_PREFIX),
            "version": lease["metadata"].get("annotations", {}).get(ANNOTATION_AGENT_VERSION, "unknown"),
        }
        for lease in leases
        if lease["metadata"]["name"] == AGENT_LEASE and lease["metadata"]["namespace"].startswith(DPU_NAMESPACE_PREFIX)
    ]
    return {"server": server["gitVersion"], "agents": agents}
