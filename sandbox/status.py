"""What ``python -m sandbox status`` shows: every process, and the cluster as its administrator sees it."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sandbox.client import SupervisorClient
from sandbox.cloud import Cloud
from sandbox.errors import SandboxError, SupervisorUnavailable
from sandbox.paths import Layout

Json = dict[str, Any]

_COLUMNS = ("name", "state", "pid", "restarts", "lastExit")
_NAMED = 20
"""So many servers or machines are shown by name; of more, how many there are. ``-o json`` names all."""


def read(directory: Path) -> Json:
    """``up`` is true when every process is ready and the cluster answers."""
    layout = Layout.of(directory)
    try:
        processes = SupervisorClient(layout).status()
    except SupervisorUnavailable as error:
        return {"up": False, "id": layout.id, "processes": [], "cluster": {"error": error.cause}}
    cluster = _cluster(Cloud(directory))
    ready = all(process["state"] == "ready" for process in processes)
    return {"up": ready and "error" not in cluster, "id": layout.id, "processes": processes, "cluster": cluster}


def render(report: Json) -> str:
    """A table for people."""
    rows = [tuple(column.upper() for column in _COLUMNS)]
    rows += [tuple(str(process[column] or "") for column in _COLUMNS) for process in report["processes"]]
    widths = [max(len(row[index]) for row in rows) for index in range(len(_COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    cluster = report["cluster"]
    if "error" in cluster:
        return "\n".join([*lines, f"cluster: {cluster['error']}"])
    lines.append(f"cluster: Kubernetes {cluster['version']}, {_servers(cluster['servers'])}")
    return "\n".join([*lines, *_machines(cluster["machines"])])


def _servers(names: Sequence[str]) -> str:
    return f"servers: {', '.join(names) or 'none'}" if len(names) <= _NAMED else f"{len(names)} servers"


def _machines(machines: Sequence[Json]) -> list[str]:
    """Each by its name, or of many how many there are in each state."""
    if len(machines) <= _NAMED:
        return [f"  {machine['namespace']}/{machine['name']}: {machine['status']}" for machine in machines]
    states = Counter(machine["status"] for machine in machines)
    return [f"  {count} machines {state}" for state, count in states.most_common()]


def _cluster(cloud: Cloud) -> Json:
    try:
        version = json.loads(cloud.kubectl.run("get", "--raw=/version", timeout_s=10))["gitVersion"]
        servers = cloud.kubectl.get("servers.metalplane.io")["items"]
        machines = cloud.kubectl.get("baremetalmachines.metalplane.io", "--all-namespaces")["items"]
    except SandboxError as error:
        return {"error": error.cause}
    return {
        "version": version,
        "servers": [server["metadata"]["name"] for server in servers],
        "machines": [
            {
                "namespace": machine["metadata"]["namespace"],
                "name": machine["metadata"]["name"],
                "status": machine.get("status", {}).get("printableStatus", ""),
            }
            for machine in machines
        ],
    }
