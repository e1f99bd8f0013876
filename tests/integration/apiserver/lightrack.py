"""Machines on light servers: BMCs that speak IPMI, and serial consoles that echo.

No controller runs: the test says which machine holds a server, and switches it on.
"""

import os
import secrets
import signal
import sys
from typing import Any

from provider.api import API_VERSION
from provider.api.names import INSTALLATION_NAMESPACE
from provider.api.resources import LEASE, SECRET, SERVER, SERVERCLAIM
from provider.apiserver.console.ownership import lease_name
from sandbox import inventory
from sandbox.process import ProcessSpec, Ready
from tests.conformance.bmc.bmc_rig import free_udp_port
from tests.conformance.emulation.rig import Caller
from tests.integration.apiserver.installed import InstalledApi
from tests.integration.manifests import manifest
from tests.integration.waiting import eventually

Json = dict[str, Any]

FLEET = "fleet"
SERVERS = 24
_SECRET = "light-bmc"
_PREFIX = "light-"


class LightRack:
    """The servers, in the inventory and as one process; each is given to one machine after the other."""

    def __init__(self, api: InstalledApi) -> None:
        self._api = api
        self._rest = api.rest
        self._supervisor = api.apiserver.supervisor
        self._run = api.apiserver.layout.run / FLEET
        self._ports = _udp_ports(SERVERS)
        self._free = iter(range(SERVERS))

    def start(self) -> None:
        """Return when all BMCs answer."""
        password = secrets.token_hex(8)
        file = self._api.apiserver.layout.files / "fleet.password"
        file.write_text(password)
        self._run.mkdir(mode=0o700)
        options = {"run-dir": self._run, "bmc-ports": ",".join(map(str, self._ports)), "password-file": file}
        argv = (sys.executable, "-m", "sandbox.fleet", *(f"--{name}={value}" for name, value in options.items()))
        ready = tuple(Ready("rmcp", f"127.0.0.1:{port}") for port in self._ports)
        self._supervisor.start([ProcessSpec(FLEET, argv, ready=ready)])
        credentials = {"username": inventory.BMC_USER, "password": password}
        metadata = {"name": _SECRET, "namespace": INSTALLATION_NAMESPACE}
        self._rest.create(
            SECRET, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": credentials}
        )

    def stop(self) -> None:
        for server in self._rest.all_of(SERVER):
            if server["metadata"]["name"].startswith(_PREFIX):
                self._rest.delete(SERVER, server)
        self._rest.ask("DELETE", SECRET.path(INSTALLATION_NAMESPACE, _SECRET))
        self._supervisor.stop([FLEET])

    def machine(self, namespace: str) -> Json:
        """A machine that runs, on a server that nobody had before."""
        number = next(self._free)
        spec = {
            "bmc": self._bmc(number),
            "dpu": {"name": f"{_PREFIX}dpu{number}"},
            "slots": 8,
            "nicSlots": [],
            "capacity": {"cpus": 1, "memory": "1Gi"},
            "allowedNamespaces": [namespace],
        }
        self.power_on(f"{_PREFIX}{number}")
        self._rest.create(SERVER, manifest(SERVER, f"{_PREFIX}{number}", None, spec))
        return self.machine_on(f"{_PREFIX}{number}", namespace)

    def machine_on(self, server: str, namespace: str) -> Json:
        """A machine that holds that server, whoever held it before."""
        machine = self._api.machine(namespace)
        self.give(server, machine)
        return machine

    def give(self, server: str, machine: Json) -> None:
        """Have a machine hold that server, whoever held it before."""
        claim = self._api.child(SERVERCLAIM, machine, "server", {"cpus": 1})
        seen = {"status": {"atProvider": {"serverName": server}}}
        self._rest.patch(SERVERCLAIM, claim, seen, subresource="status")
        reference = {key: claim["metadata"][key] for key in ("namespace", "name", "uid")}
        reference |= {"apiVersion": API_VERSION, "kind": SERVERCLAIM.kind}
        self._rest.patch(SERVER, {"metadata": {"name": server}}, {"spec": {"claimRef": reference}})

    def bmc(self) -> Json:
        """The BMC of a server that is on and that nobody had before, as a Server of any name has it."""
        number = next(self._free)
        self.power_on(f"{_PREFIX}{number}")
        return self._bmc(number)

    def _bmc(self, number: int) -> Json:
        secret = {"name": _SECRET}
        return {"protocol": "ipmi", "address": "127.0.0.1", "port": self._ports[number], "secretRef": secret}

    def server_of(self, machine: Json) -> str:
        """The server that a machine was given."""
        metadata = machine["metadata"]
        claim = self._rest.get(SERVERCLAIM, f"{metadata['name']}-server", metadata["namespace"])
        name: str = claim["status"]["atProvider"]["serverName"]
        return name

    def owner(self, server: str) -> str:
        """The replica that has the server's console, once one has."""

        def holder() -> str:
            answer = self._rest.ask("GET", LEASE.path(INSTALLATION_NAMESPACE, lease_name(server)))
            return "" if answer.refusal else str(answer.body["spec"]["holderIdentity"])

        return eventually(holder, bool)

    def power_on(self, server: str) -> None:
        """As its BMC does it when it is told."""
        number = server.removeprefix(_PREFIX)
        Caller(self._run / f"server{number}" / "control.sock")("power_on")

    def restart_bmcs(self) -> None:
        """Kill all BMCs at once; return when they answer again, and know nothing of any session. Servers are off."""
        before = self.pid(FLEET)
        os.kill(before, signal.SIGKILL)
        eventually(lambda: self.pid(FLEET), lambda pid: pid not in (0, before))

    def pid(self, name: str) -> int:
        """Of a process that is ready; else 0."""
        report = next(report for report in self._supervisor.status() if report["name"] == name)
        return int(report["pid"]) if report["state"] == "ready" else 0


def _udp_ports(count: int) -> list[int]:
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_udp_port())
    return sorted(ports)
