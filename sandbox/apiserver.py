"""A control plane alone, with our CRDs: for tests that need a real API server, and for trying things by hand.

``python -m sandbox.apiserver --dir DIR`` brings one up for that directory (its kubeconfig is printed) and leaves it
running; with ``--down`` it takes it away.
"""

import argparse
import sys
from pathlib import Path

from provider.api.generation import crds
from sandbox import binaries, state
from sandbox.client import SupervisorClient
from sandbox.errors import SandboxError
from sandbox.kubectl import Kubectl
from sandbox.kubernetes import ControlPlane
from sandbox.leftovers import take_away
from sandbox.paths import Layout


class ApiServer:
    """etcd, kube-apiserver and kube-controller-manager under a supervisor of their own."""

    def __init__(self, directory: Path | str) -> None:
        self.layout = Layout.of(directory)
        self.supervisor = SupervisorClient(self.layout)
        programs = binaries.find()
        chosen = state.read(self.layout.state) or state.choose(0, "", self.layout.id)
        state.write(self.layout.state, chosen)
        self.control_plane = ControlPlane(self.layout, chosen.ports, programs)
        self.kubectl = Kubectl(programs.kubectl, self.layout.kubeconfig)

    def up(self, *, kinds: bool = True) -> None:
        """Have it running, with our ``kinds`` served and the controllers seeing them."""
        self.control_plane.administrator()
        self.supervisor.ensure_running()
        self.supervisor.start(self.control_plane.serving())
        if kinds:
            self.kubectl.apply_definitions(crds())
        self.supervisor.start([self.control_plane.controllers()])

    def down(self) -> None:
        """Leave nothing but its files."""
        take_away(self.layout)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.apiserver", description="A control plane with our CRDs.")
    parser.add_argument("--dir", type=Path, required=True, help="directory that it belongs to")
    parser.add_argument("--down", action="store_true", help="take it away")
    arguments = parser.parse_args()
    try:
        if arguments.down:
            take_away(Layout.of(arguments.dir))
        else:
            arguments.dir.mkdir(parents=True, exist_ok=True)
            server = ApiServer(arguments.dir)
            server.up()
            print(server.layout.kubeconfig)
    except SandboxError as error:
        print(f"apiserver: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
