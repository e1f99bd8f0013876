"""The demo: a machine from ``kubectl apply`` to its first answer, told as it happens.

Everything is done as a tenant would: the machine is applied to the API server, its state read from there, and the ping
sent from where a tenant's client sits.
"""

import ipaddress
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from sandbox import inventory
from sandbox.cloud import Cloud
from sandbox.errors import SandboxError
from sandbox.paths import SOURCE

Json = dict[str, Any]

NAMESPACE, NAME = inventory.FIRST_TENANT.name, "bm-01"
_FIRST_HOST = 10
_ROOT_SIZE = {"debian": "4Gi"}
_ANSWER_S = {"tiny": 120.0, "debian": 420.0}
_LOOK_EVERY_S = 0.25


class DemoFailed(SandboxError):
    """The machine did not answer in time."""


def run(directory: Path, *, servers: int | None = None, image: str | None = None) -> int:
    """Bring the sandbox up, boot an example machine on each server, show how that went."""
    cloud = Cloud(directory, servers=servers, image=image, progress=_say)
    _say("Bringing a metal cloud up: control plane, storage node, DPUs with their servers, BMCs")
    cloud.up()
    servers = cloud.servers
    machines = [_example(cloud, number) for number in range(1, servers + 1)]
    _say(f"\n$ kubectl apply -f compositions/examples/{NAME}.yaml" + (f"    # {servers} of them" * (servers > 1)))
    # As a user does it, and not server-side: then its lists stay open to hot plug.
    cloud.kubectl.run(
        "apply", "--filename=-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": machines})
    )
    running = _follow(cloud, [machine["metadata"]["name"] for machine in machines])
    for machine in running:
        _ping(cloud, machine)
    _summary(cloud, running)
    return 0


def _example(cloud: Cloud, number: int) -> Json:
    """The example machine, or one like it, with the sandbox's SSH key for whoever wants to log in."""
    text = resources.files("compositions").joinpath("examples", f"{NAME}.yaml").read_text()
    machine: Json = yaml.safe_load(text)
    public_key = cloud.layout.ssh_key.with_suffix(".pub").read_text().strip()
    machine["spec"]["cloudInit"] = {"sshAuthorizedKeys": [public_key]}
    tenants = inventory.tenants(cloud.servers)
    tenant = tenants[(number - 1) % len(tenants)]
    machine["metadata"] |= {"name": f"bm-{number:02}", "namespace": tenant.name}
    machine["spec"]["disks"][0] |= {"image": cloud.image, "size": _ROOT_SIZE.get(cloud.image or "", "1Gi")}
    subnet = ipaddress.ip_network(tenant.subnet)
    address = f"{subnet[_FIRST_HOST + number]}/{subnet.prefixlen}"
    machine["spec"]["networkInterfaces"][0] |= {"network": tenant.name, "address": address}
    return machine


def _follow(cloud: Cloud, names: Sequence[str]) -> list[Json]:
    """Print each step of each machine as it is reached; the machines once all run."""
    told: set[tuple[str, str]] = set()
    limit_s = _ANSWER_S[cloud.image or "tiny"]
    deadline = time.monotonic() + limit_s
    while True:
        seen = cloud.kubectl.get("bmm", "--all-namespaces")["items"]
        machines = [machine for machine in seen if machine["metadata"]["name"] in names]
        for machine in machines:
            _tell(machine, told, named=len(names) > 1)
        waiting = [machine for machine in machines if machine.get("status", {}).get("printableStatus") != "Running"]
        if not waiting and len(machines) == len(names):
            return machines
        if time.monotonic() > deadline:
            raise _stuck(cloud, (waiting or machines)[0], limit_s)
        time.sleep(_LOOK_EVERY_S)


def _tell(machine: Json, told: set[tuple[str, str]], *, named: bool) -> None:
    name = machine["metadata"]["name"]
    for step, after_s in _steps(machine):
        if (name, step) not in told:
            told.add((name, step))
            _say(f"{after_s:6.1f} s  {f'{name}  ' if named else ''}{step}")


def _steps(machine: Json) -> Iterator[tuple[str, float]]:
    created = datetime.fromisoformat(machine["metadata"]["creationTimestamp"])
    for entry in machine.get("status", {}).get("timeline", ()):
        yield entry["step"], max((datetime.fromisoformat(entry["at"]) - created).total_seconds(), 0.0)


def _stuck(cloud: Cloud, machine: Json, limit_s: float) -> DemoFailed:
    name, namespace = machine["metadata"]["name"], machine["metadata"]["namespace"]
    conditions = machine.get("status", {}).get("conditions", ())
    told: Json = next((each for each in conditions if each["type"] == "Progressing"), {})
    why = f"{told.get('reason', 'nothing')}: {told.get('message', '')}"
    return DemoFailed(
        f"Waiting for machine {name} to answer",
        cause=f"after {limit_s:g} s it is {machine.get('status', {}).get('printableStatus')} ({why})",
        next_step=f"Run `.venv/bin/bmctl describe {name} -n {namespace}`; logs are in {cloud.layout.log}.",
    )


def _ping(cloud: Cloud, machine: Json) -> None:
    """One real ping, from the tenant's side."""
    address = _address(machine)
    done = subprocess.run(
        cloud.tenant_command(["ping", "-c", "1", "-W", "2", address]), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DemoFailed(
            f"Pinging {address} from the tenant's side",
            cause=done.stdout.strip() or done.stderr.strip(),
            next_step=f"Look at the servers' console.log in {cloud.layout.files / 'server'}.",
        )
    _say(f"        ping: {done.stdout.splitlines()[1]}")


def _address(machine: Json) -> str:
    address: str = machine["status"]["addresses"][0]
    return address.split("/")[0]


def _summary(cloud: Cloud, machines: Sequence[Json]) -> None:
    _say("\n$ kubectl get bmm -A")
    _say(cloud.kubectl.run("get", "bmm", "--all-namespaces").rstrip())
    # The age is the API server's clock to whole seconds; the last step's time is the agent's, to the millisecond.
    answered = sorted(dict(_steps(machine))["Answering"] for machine in machines)
    slowest = "" if len(answered) == 1 else f" (the slowest of {len(answered)}; the fastest: {answered[0]:.1f} s)"
    _say(f"\nFrom create to ping: {answered[-1]:.1f} s{slowest}\n")
    kubeconfig = cloud.layout.kubeconfig
    _say(f"$ bmctl trace {NAME} -n {NAMESPACE} --depth 1    # without --depth: every request")
    sys.stdout.flush()
    trace = ["trace", NAME, "-n", NAMESPACE, "--depth", "1"]
    where = ["--from", str(cloud.layout.trace), "--kubeconfig", str(kubeconfig)]
    subprocess.run([sys.executable, "-m", "bmctl", *trace, *where], check=False, cwd=SOURCE)
    _say(_by_hand(cloud, machines[0]))


def _by_hand(cloud: Cloud, machine: Json) -> str:
    address = _address(machine)
    layout = cloud.layout
    ssh = f"ssh -i {_short(layout.ssh_key)} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@{address}"
    lines = [
        "Go on by hand (everything stays up until `make demo-down`):",
        f"  export KUBECONFIG={_short(layout.kubeconfig)} METALPLANE_TRACES={_short(layout.trace)}",
        "  export PATH=$PWD/.venv/bin:$PATH",
        "  kubectl get claim,managed -n tenant-a       # the machine and its children",
        f"  bmctl describe {NAME} -n {NAMESPACE}             # as a tree",
        f"  python -m sandbox exec -- {ssh}",
        f"  bmctl console {NAME} -n {NAMESPACE}              # Ctrl-] . ends it",
        f"  bmctl addvolume {NAME} scratch --size 64Mi -n {NAMESPACE}",
        f"  bmctl restart {NAME} -n {NAMESPACE}",
        f"  kubectl delete bmm {NAME} -n {NAMESPACE}",
        "  python -m sandbox status                    # the processes behind it",
    ]
    return "\n" + "\n".join(lines)


def _short(path: Path) -> str:
    return str(path.relative_to(SOURCE)) if path.is_relative_to(SOURCE) else str(path)


def _say(line: str) -> None:
    print(line, flush=True)
