"""What a tenant does, and sees: ``kubectl`` against the API server, and ping from where a tenant's client sits."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from provider.api.names import AGENT_LEASE, ANNOTATION_PAUSED, INSTALLATION_NAMESPACE, PROVIDER_LEASE, dpu_namespace
from sandbox import inventory
from sandbox.cloud import Cloud
from tests.waiting import wait_for

Json = dict[str, Any]
T = TypeVar("T")

_LEASES = {
    "provider": (INSTALLATION_NAMESPACE, PROVIDER_LEASE),
    "agent-dpu0": (dpu_namespace("dpu0"), AGENT_LEASE),
}
"""Namespace and name of the Lease that a process renews while it works."""

NAMESPACE = inventory.FIRST_TENANT.name
ADDRESS = "10.20.0.11"
BOOT_S = 90.0
_COMMAND_S = 60.0
"""Of a command in a machine or at the tenant's side: one whose disk hangs must not hang the suite."""
SOON_S = 30.0
_BMCTL_S = 120.0


class Tenant:
    """One tenant of a cloud, who may be given another namespace than the usual one."""

    def __init__(self, cloud: Cloud, namespace: str = NAMESPACE) -> None:
        self.cloud = cloud
        self.kubectl = cloud.kubectl
        self.namespace = namespace

    def apply(self, name: str = "bm-01", *, paused: bool = False, **spec: Any) -> "Machine":
        """Apply a machine with one disk and one NIC; ``spec`` replaces fields of its spec.

        ``paused``: nothing is done about it yet.
        """
        wanted: Json = {
            "instanceType": "small",
            "terminationGracePeriodSeconds": 20,
            "disks": [{"name": "root", "boot": True, "image": "tiny", "size": "1Gi"}],
            "networkInterfaces": [{"name": "eth0", "network": "tenant-a", "address": f"{ADDRESS}/24"}],
            "cloudInit": {"sshAuthorizedKeys": [self.public_key()]},
        }
        metadata: Json = {"name": name, "namespace": self.namespace}
        if paused:
            metadata["annotations"] = {ANNOTATION_PAUSED: "true"}
        body = {"apiVersion": "metalplane.io/v1alpha1", "kind": "BareMetalMachine", "metadata": metadata}
        # As a user does it. Applied server-side its lists would be the applier's, and closed to hot plug.
        self.kubectl.run("apply", "--filename=-", stdin=json.dumps(body | {"spec": wanted | spec}))
        return Machine(self, name)

    def public_key(self) -> str:
        return self.cloud.layout.ssh_key.with_suffix(".pub").read_text().strip()

    def delete_everything(self) -> None:
        """Delete what the tenant has, as ``kubectl`` does it: claims first, then what they kept."""
        for kind in ("baremetalmachines", "persistentvolumeclaims"):
            self.kubectl.run("delete", kind, "--all", f"--namespace={self.namespace}", "--timeout=60s", timeout_s=70)

    def leave(self) -> None:
        """Ask for the deletion of the tenant's namespace."""
        self.kubectl.run("delete", f"namespace/{self.namespace}", "--wait=false", "--ignore-not-found")

    def wait_left(self) -> None:
        self.kubectl.run("wait", "--for=delete", f"namespace/{self.namespace}", "--timeout=90s", timeout_s=100)

    def bmctl(self, *arguments: str) -> str:
        """What ``bmctl ARGUMENTS`` prints in the tenant's namespace; fails the test where it fails."""
        where = (f"--namespace={self.namespace}", f"--kubeconfig={self.cloud.layout.kubeconfig}")
        argv = [sys.executable, "-m", "bmctl", *arguments, *where]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_BMCTL_S)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command where the tenant's client sits."""
        argv = self.cloud.tenant_command(command)
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_COMMAND_S)


class Machine:
    """A machine as its tenant knows it."""

    def __init__(self, tenant: Tenant, name: str) -> None:
        self.tenant = tenant
        self.name = name

    def get(self) -> Json:
        return self.tenant.kubectl.get(f"bmm/{self.name}", f"--namespace={self.tenant.namespace}")

    def status(self) -> str:
        word: str = self.get().get("status", {}).get("printableStatus", "")
        return word

    def request(self) -> Json:
        """The last request of power, and how far it is."""
        powers = self.tenant.kubectl.get("powerstates", f"--namespace={self.tenant.namespace}")["items"]
        (power,) = [each for each in powers if each["metadata"]["name"].startswith(self.name)]
        request: Json = power.get("status", {}).get("atProvider", {}).get("request", {})
        return request

    def condition(self, kind: str = "Progressing") -> Json:
        conditions = self.get().get("status", {}).get("conditions", ())
        return next((each for each in conditions if each["type"] == kind), {})

    def wait_status(self, *words: str, within_s: float = SOON_S) -> None:
        wait_for(lambda: self.status() in words, f"{self.name} is {' or '.join(words)}", within_s)

    def wait_reason(self, reason: str, within_s: float = SOON_S) -> Json:
        """The condition Progressing once it has that reason."""

        def told() -> Json | None:
            condition = self.condition()
            return condition if condition.get("reason") == reason else None

        return wait_for(told, f"{self.name} says {reason}", within_s)

    def wait_running(self, within_s: float = BOOT_S) -> None:
        self.wait_status("Running", within_s=within_s)

    def wait_step(self, step: str) -> None:
        wait_for(lambda: step in self.steps(), f"{self.name} reaches {step}", BOOT_S)

    def steps(self) -> list[str]:
        return [entry["step"] for entry in self.get().get("status", {}).get("timeline", ())]

    def answers(self, address: str = ADDRESS) -> bool:
        return self.tenant.run("ping", "-c1", "-W1", address).returncode == 0

    def run(self, command: str, address: str = ADDRESS, *, user: str = "root") -> str:
        """What ``command`` prints in the machine, over SSH with the tenant's key."""
        done = self._ssh(command, address, user)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, command: str, address: str = ADDRESS) -> None:
        """Have ``command``, which does not end by itself, run on in the machine; fails if it has ended at once."""
        self.run(f"sh -c '{command}' >/dev/null 2>&1 </dev/null & sleep 1; kill -0 $!", address)

    def lets_in(self, address: str = ADDRESS) -> bool:
        """Whether the machine's SSH server, which starts after its network, takes the tenant's key."""
        return self._ssh("true", address).returncode == 0

    def ssh_command(self, command: str, address: str = ADDRESS, user: str = "root") -> list[str]:
        """``command`` in the machine, as it is run where the tenant's client sits."""
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes", "ConnectTimeout=10"]
        flags = [flag for option in [*options, "LogLevel=ERROR"] for flag in ("-o", option)]
        return ["ssh", "-i", str(self.tenant.cloud.layout.ssh_key), *flags, f"{user}@{address}", command]

    def _ssh(self, command: str, address: str, user: str = "root") -> subprocess.CompletedProcess[str]:
        return self.tenant.run(*self.ssh_command(command, address, user))

    def delete(self) -> None:
        """Ask for its deletion, without waiting for it."""
        self.tenant.kubectl.run("delete", f"bmm/{self.name}", f"--namespace={self.tenant.namespace}", "--wait=false")

    def patch(self, spec: Json) -> None:
        """Change fields of its spec."""
        patch(self.tenant.cloud, f"bmm/{self.name}", {"spec": spec}, self.tenant.namespace)

    def wait_gone(self, within_s: float = 60.0) -> None:
        namespace = f"--namespace={self.tenant.namespace}"
        wait = ("wait", "--for=delete", f"bmm/{self.name}", namespace, f"--timeout={within_s:.0f}s")
        self.tenant.kubectl.run(*wait, timeout_s=within_s + 10)


def kill(cloud: Cloud, *names: str) -> dict[str, int]:
    """SIGKILL these processes of the sandbox, once they run; its supervisor starts them again. Their pids."""
    found = pids(cloud, *names)
    for pid in found.values():
        with contextlib.suppress(ProcessLookupError):  # it may have ended by itself just now
            os.kill(pid, signal.SIGKILL)
    return found


def pids(cloud: Cloud, *names: str) -> dict[str, int]:
    """The pids of these processes of the sandbox, once they run."""
    return wait_for(lambda: _pids(cloud, names), f"pids of {', '.join(names)}")


def restart(cloud: Cloud, *names: str) -> None:
    """SIGKILL these processes, and return when all have successors at work.

    Provider and agent are at work when they have written their Leases.
    """
    killed_at = datetime.now(UTC)
    killed = kill(cloud, *names)
    wait_for(lambda: _replaced(cloud, killed), f"successors of {', '.join(names)}")
    for name in names:
        if name in _LEASES:
            wait_for(partial(_renewed_since, cloud, *_LEASES[name], killed_at), f"{name} at work")


@contextlib.contextmanager
def paused(cloud: Cloud, name: str) -> Iterator[None]:
    """Around what a process of the sandbox is not to notice before the end."""
    pid = pids(cloud, name)[name]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _pids(cloud: Cloud, names: Sequence[str]) -> dict[str, int] | None:
    reports = {report["name"]: report["pid"] for report in cloud.supervisor.status() if report["name"] in names}
    running = {name: pid for name, pid in reports.items() if pid is not None}
    return running if len(running) == len(names) else None


def _replaced(cloud: Cloud, killed: dict[str, int]) -> bool:
    reports = {report["name"]: report for report in cloud.supervisor.status()}
    return all(reports[name]["state"] == "ready" and reports[name]["pid"] != pid for name, pid in killed.items())


def renewals(cloud: Cloud, process: str) -> str:
    """When the process last renewed its Lease."""
    namespace, name = _LEASES[process]
    moment: str = cloud.kubectl.get(f"lease/{name}", f"--namespace={namespace}")["spec"]["renewTime"]
    return moment


def _renewed_since(cloud: Cloud, namespace: str, name: str, since: datetime) -> bool:
    spec = cloud.kubectl.get(f"lease/{name}", f"--namespace={namespace}")["spec"]
    return datetime.fromisoformat(spec["renewTime"]) > since


def patch(cloud: Cloud, what: str, body: Json, namespace: str | None = None) -> None:
    """A merge patch by the administrator."""
    where = [f"--namespace={namespace}"] if namespace else []
    cloud.kubectl.run("patch", what, *where, "--type=merge", f"--patch={json.dumps(body)}")
