"""Servers of a test's own: in the inventory, with an IPMI BMC, and with a chassis that only knows its power."""

import json
import socket
import socketserver
import sys
import threading
from collections.abc import Sequence
from typing import Any

from provider.api.names import dpu_namespace, dpu_user
from provider.api.resources import NAMESPACE, SERVER
from sandbox import inventory
from sandbox.apiserver import ApiServer
from sandbox.process import ProcessSpec, Ready
from tests.integration.installation import IMAGE, renamed
from tests.integration.manifests import edited
from tests.integration.rest import Rest

Json = dict[str, Any]

_PASSWORD = "secret"
_TEMPLATE = {"server": "server0", "dpu": "dpu0"}


class Chassis(socketserver.ThreadingUnixStreamServer):
    """Answers the BMC on the chassis' control socket, and remembers what it was told."""

    daemon_threads = True

    def __init__(self, path: str) -> None:
        super().__init__(path, _Call)
        self.power = "off"
        self.commands: list[str] = []
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def answer(self, method: str) -> Any:
        if method == "power_get":
            return self.power
        self.commands.append(method)
        if method in ("power_on", "power_off", "power_soft"):
            self.power = "on" if method == "power_on" else "off"
        return True


class _Call(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        request = json.loads(self.rfile.read())  # the caller closes its side after the request
        assert isinstance(self.server, Chassis)
        result = self.server.answer(request["method"])
        self.wfile.write(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}).encode())


class Rack:
    """One server called NAME, with DPU ``dpu-NAME``: in the inventory just as the sandbox writes its first one.

    It has a label to choose it by, and is open to ``tenants`` only, for machines of other tests may be about.
    """

    def __init__(self, apiserver: ApiServer, rest: Rest, name: str, tenants: Sequence[str]) -> None:
        self._apiserver, self._rest, self._tenants = apiserver, rest, list(tenants)
        self.server, self.dpu = name, f"dpu-{name}"
        self.namespace = dpu_namespace(self.dpu)
        run = apiserver.layout.run
        self.chassis = Chassis(str(run / f"{name}.sock"))
        self._bmc = f"bmc-{name}"
        port = _free_udp_port()
        password = apiserver.layout.files / f"{name}.password"
        password.write_text(_PASSWORD)
        options = {
            "port": port,
            "username": inventory.BMC_USER,
            "password-file": password,
            "control-socket": run / f"{name}.sock",
            "console-socket": run / f"{name}.console.sock",
            "state-dir": apiserver.layout.files / f"{name}.bmc",
        }
        argv = (sys.executable, "-m", "sandbox.bmc", *(f"--{option}={value}" for option, value in options.items()))
        apiserver.supervisor.start([ProcessSpec(self._bmc, argv, ready=(Ready("rmcp", f"127.0.0.1:{port}"),))])
        apiserver.kubectl.apply(self._objects(port))
        self.agent = Rest.of_user(apiserver, dpu_user(self.dpu), groups=(inventory.DPU_GROUP,))

    def take_away(self) -> None:
        self._rest.ask("DELETE", SERVER.path(None, self.server))
        self._rest.ask("DELETE", NAMESPACE.path(None, self.namespace))
        self._apiserver.supervisor.stop([self._bmc])
        self.chassis.shutdown()
        self.chassis.server_close()

    def holder(self) -> Json | None:
        """Who holds the server."""
        reference: Json | None = self._rest.get(SERVER, self.server)["spec"].get("claimRef")
        return reference

    def _objects(self, bmc_port: int) -> list[Json]:
        """What the inventory holds for its first server, under our names."""
        server, dpu = _TEMPLATE["server"], _TEMPLATE["dpu"]
        names = {
            server: self.server,
            f"{server}-bmc": f"{self.server}-bmc",
            dpu: self.dpu,
            dpu_user(dpu): dpu_user(self.dpu),
            dpu_namespace(dpu): self.namespace,
        }
        written = inventory.objects(IMAGE, [(bmc_port, _PASSWORD)])
        copies = renamed([obj for obj in written if any(f'"{name}"' in json.dumps(obj) for name in names)], names)
        own = {"metadata.labels": {"rack": self.server}, "spec.allowedNamespaces": self._tenants}
        return [edited(obj, own) if obj["kind"] == SERVER.kind else obj for obj in copies]


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
