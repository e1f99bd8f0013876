"""One machine through metalplane: created, answering, deleted, each moment by the clock of the client.

The clock starts as the request that creates the machine leaves, over a connection that is open already. Power-on is
what the chassis notes in the ledger of boots; the ping is seen from the tenant's side, not read from the status.
"""

import time
from contextlib import closing
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from provider.api.resources import BAREMETALMACHINE
from sandbox import inventory
from sandbox.cloud import Cloud
from tests.bench.apiconnection import ApiConnection
from tests.bench.firstreply import FirstReply

Json = dict[str, Any]

NAME, NAMESPACE = "bm-01", inventory.FIRST_TENANT.name
ADDRESS = "10.20.0.11"
PREFIX_BITS = 24
BOOT_S = 120.0
_GONE_S = 90.0


@dataclass(frozen=True, slots=True)
class Provisioned:
    """A machine that answers. ``created_at`` is Unix time; the others are seconds since then."""

    uid: str
    created_at: float
    power_on_s: float
    ping_s: float
    running_s: float


@dataclass(frozen=True, slots=True)
class Deleted:
    """A machine that is gone. ``asked_at`` is Unix time, ``gone_s`` seconds since then."""

    asked_at: float
    gone_s: float


class Provisioning:
    """Creates and deletes the example machine; ``ledger`` is where the cloud's chassis note their boots."""

    def __init__(self, cloud: Cloud, ledger: Path) -> None:
        self._cloud = cloud
        self._ledger = ledger

    def create(self) -> Provisioned:
        """Create the machine, and return when its status says Ready too."""
        boots = len(self._boots())
        with FirstReply(self._cloud, ADDRESS) as reply:
            machine = example(self._cloud)
            with closing(ApiConnection(self._cloud)) as connection:
                began, created_at = time.monotonic(), time.time()
                uid: str = connection.post(BAREMETALMACHINE.path(NAMESPACE), machine)["metadata"]["uid"]
            ping_s = reply.wait(BOOT_S) - began
        power_on_at = self._boots()[boots]
        self._wait("--for=condition=Ready", within_s=BOOT_S)
        return Provisioned(uid, created_at, power_on_at - created_at, ping_s, time.monotonic() - began)

    def delete(self) -> Deleted:
        """Delete the machine, and return when it is gone."""
        began, asked_at = time.monotonic(), time.time()
        self._cloud.kubectl.run("delete", f"bmm/{NAME}", f"--namespace={NAMESPACE}", "--wait=false")
        self._wait("--for=delete", within_s=_GONE_S)
        return Deleted(asked_at, time.monotonic() - began)

    def _wait(self, what: str, *, within_s: float) -> None:
        arguments = (what, f"bmm/{NAME}", f"--namespace={NAMESPACE}", f"--timeout={within_s:.0f}s")
        self._cloud.kubectl.run("wait", *arguments, timeout_s=within_s + 10)

    def _boots(self) -> list[float]:
        """Unix times of the power-ons of the cloud's server."""
        lines = self._ledger.read_text().splitlines() if self._ledger.exists() else []
        return [float(at) for at, server, _ in map(str.split, lines) if server == "server0"]


def public_key(cloud: Cloud) -> str:
    return cloud.layout.ssh_key.with_suffix(".pub").read_text().strip()


def example(cloud: Cloud) -> Json:
    """The example machine of the demo: one disk from an image, one NIC, the sandbox's SSH key."""
    text = resources.files("compositions").joinpath("examples", f"{NAME}.yaml").read_text()
    machine: Json = yaml.safe_load(text)
    address = machine["spec"]["networkInterfaces"][0]["address"]
    assert address == f"{ADDRESS}/{PREFIX_BITS}", f"the example has another address now: {address}"
    machine["spec"]["cloudInit"] = {"sshAuthorizedKeys": [public_key(cloud)]}
    return machine
