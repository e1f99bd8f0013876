"""A metal cloud of light servers: for whoever tries the control plane with hundreds of machines.

The control plane, the provider, the function and the CSI driver are those of any sandbox; servers, DPUs and the storage
node are in one process (``sandbox.fleet``). There are no switches and no network namespaces, and nothing is traced.
"""

import time

from provider.api.generation import crds
from sandbox import binaries, inventory, processes, state
from sandbox.cloud import Cloud
from sandbox.kubernetes import ControlPlane
from sandbox.paths import RUN_ROOT
from sandbox.process import ProcessSpec


class LightCloud(Cloud):
    """The sandbox of a directory, with light servers. Making the object touches nothing."""

    light = True

    def _up(self) -> None:
        self._began = time.monotonic()
        programs = binaries.find_or_build()
        chosen = self._state()
        control_plane = ControlPlane(self.layout, chosen.ports, programs)
        control_plane.administrator()
        self._directories(chosen.servers)
        self.supervisor.ensure_running()
        with self._step("control plane"):
            self.supervisor.start([*control_plane.serving(), self._function(chosen)])
        with self._step("kinds"):
            self.kubectl.apply_definitions(crds())
        with self._step("golden image and inventory"):
            image, password = self._golden_image(chosen.image), self.bmc_password(0)
            self.kubectl.apply(inventory.light_objects(image, chosen.ports.bmc, password))
        with self._step("controllers, agents, light servers"):
            self.supervisor.start([control_plane.controllers(), *self._with_cluster(chosen, control_plane)])
            self._wait_leases([chosen.servers - 1])

    def _directories(self, servers: int) -> None:  # noqa: ARG002  (they have none of their own)
        RUN_ROOT.mkdir(mode=0o755, exist_ok=True)
        self.layout.run.mkdir(mode=0o700, exist_ok=True)
        for directory in (self.layout.log, self.layout.storage, self.layout.storage_run, self.layout.server(0)):
            directory.mkdir(parents=True, exist_ok=True)

    def _with_cluster(self, chosen: state.State, control_plane: ControlPlane) -> list[ProcessSpec]:
        agents = control_plane.identity(self.layout.files / "fleet.kubeconfig", inventory.FLEET_USER)
        return [*processes.fleet(self.layout, chosen.ports, agents), self._provider(chosen, control_plane)]
