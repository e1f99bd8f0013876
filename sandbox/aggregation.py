"""bm-api in a sandbox: two replicas at one port, their certificates, and what the API server has to know of them."""

from pathlib import Path

from provider.api.subresources import API_SERVICE, service_host
from sandbox import inventory, pki, processes
from sandbox.kubectl import Kubectl
from sandbox.kubernetes import ControlPlane
from sandbox.paths import Layout
from sandbox.process import ProcessSpec
from sandbox.state import Ports

_PATIENCE = "--timeout=60s"


class AggregatedApi:
    """Both replicas serve at once, as in an installation: whoever is killed, the other goes on."""

    def __init__(self, layout: Layout, control_plane: ControlPlane, ports: Ports) -> None:
        self._layout = layout
        self._control_plane = control_plane
        self._ports = ports
        self._authority = pki.Authority(layout.pki / "api", "metalplane-api")

    def replicas(self, *, trace_dir: Path | None = None, **options: object) -> list[ProcessSpec]:
        """The processes. They need the inventory: without its rights they read nothing.

        ``options``: more of their command lines.
        """
        kubeconfig = self._control_plane.identity(self._layout.files / "api.kubeconfig", inventory.API_USER)
        credential = self._authority.server("server", names=(service_host(), "localhost", "127.0.0.1"))
        served = pki.as_directory(credential, self._authority.certificate, self._layout.pki / "api-server")
        return [
            processes.api(self._ports, replica, kubeconfig, served, trace_dir=trace_dir, **options)
            for replica in range(len(self._ports.api_peers))
        ]

    def register(self, kubectl: Kubectl) -> None:
        """Have the API server pass requests on to the replicas, once they serve; return when it does."""
        kubectl.apply(inventory.aggregated_api(self._ports.api, self._authority.certificate.read_bytes()))
        kubectl.run("wait", "--for=condition=Available", f"apiservice/{API_SERVICE}", _PATIENCE)
