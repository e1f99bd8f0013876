"""A whole metal cloud that belongs to a directory: brought up, looked at, taken down.

    with no cluster      control plane, Open vSwitch, SPDK targets, CSI driver, chassis, BMCs, function: all at once
    then                 CRDs, inventory and identities go in; the bridge gets its cables
    with the cluster     kube-controller-manager, the provider, the agents, bm-api

Coming up is idempotent: what runs by the right command line is left alone. A sandbox does not outlive its machine, so
after a reboot it begins anew.
"""

import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from provider.api.generation import crds
from provider.api.names import INSTALLATION_NAMESPACE, dpu_namespace, dpu_user
from sandbox import binaries, fabric, images, inventory, pki, processes, state, targets
from sandbox.aggregation import AggregatedApi
from sandbox.client import SupervisorClient
from sandbox.errors import AnotherShape
from sandbox.kubectl import Kubectl
from sandbox.kubernetes import ControlPlane
from sandbox.leftovers import take_away
from sandbox.paths import RUN_ROOT, Layout
from sandbox.process import ProcessSpec
from sandbox.targets import STAND_INS, TargetProcess, Targets

Progress = Callable[[str], None]

DEFAULT_IMAGE = "tiny"
_KEPT_AFTER_DOWN = ("log", "trace")


class Cloud:
    """The sandbox of ``directory``. Making the object touches nothing.

    ``servers``: how many there must be; without it, as many as there are, or one. ``image``: the golden image that
    machines boot, and that servers are made large enough for; without it, that which is there, or the smallest.
    """

    light = False
    """Whether its servers are light ones."""

    def __init__(
        self,
        directory: Path | str,
        *,
        servers: int | None = None,
        image: str | None = None,
        progress: Progress = lambda _: None,
    ) -> None:
        self.layout = Layout.of(directory)
        self.supervisor = SupervisorClient(self.layout)
        self._servers = servers
        self._image = image
        self._progress = progress
        self._began = time.monotonic()

    @property
    def servers(self) -> int:
        """How many servers the sandbox that is up has; 0 where none is."""
        chosen = state.read(self.layout.state)
        return 0 if chosen is None else chosen.servers

    @property
    def image(self) -> str | None:
        """Name of the golden image of the sandbox that is up."""
        chosen = state.read(self.layout.state)
        return None if chosen is None else chosen.image

    @property
    def spdk(self) -> Targets:
        """The SPDK targets of the sandbox that is up."""
        chosen = state.read(self.layout.state)
        return STAND_INS if chosen is None else chosen.targets

    @property
    def storage_target(self) -> TargetProcess:
        """The target that the pool is on."""
        return targets.storage_target(self.layout, self.spdk)

    @property
    def kubectl(self) -> Kubectl:
        """The administrator's."""
        return Kubectl(binaries.find().kubectl, self.layout.kubeconfig)

    def up(self) -> None:
        """Have everything running and ready; raises ``SandboxError`` with the first thing that would not."""
        with self._alone():
            self._up()

    def _up(self) -> None:
        self._began = time.monotonic()
        programs = binaries.find_or_build()
        chosen = self._state()
        control_plane = ControlPlane(self.layout, chosen.ports, programs)
        control_plane.administrator()
        pki.ssh_key(self.layout.ssh_key, f"sandbox-{self.layout.id}")
        self._directories(chosen.servers)
        with self._step("network namespaces"):
            fabric.lay_cables(self.layout, chosen.servers, inventory.tenants(chosen.servers))
        self.supervisor.ensure_running()
        with ThreadPoolExecutor(max_workers=1) as beside:
            image = beside.submit(self._golden_image, chosen.image)
            with self._step("control plane, storage node, DPUs, servers"):
                self.supervisor.start([*control_plane.serving(), *self._without_cluster(chosen)])
                self._check_targets(chosen)
            with self._step("switches"):
                fabric.plug_in(self.layout, chosen.servers, inventory.tenants(chosen.servers))
            with self._step("kinds"):
                self.kubectl.apply_definitions(crds())
            with self._step("golden image and inventory"):
                passwords = [self.bmc_password(number) for number in range(chosen.servers)]
                self.kubectl.apply(
                    inventory.objects(image.result(), list(zip(chosen.ports.bmc, passwords, strict=True)))
                )
        with self._step("controllers, agents, bm-api"):
            api = AggregatedApi(self.layout, control_plane, chosen.ports)
            replicas = api.replicas(trace_dir=self.layout.trace)
            self.supervisor.start([control_plane.controllers(), *self._with_cluster(chosen, control_plane), *replicas])
            self._wait_leases(range(chosen.servers))
            api.register(self.kubectl)

    def down(self) -> None:
        """Leave nothing of it but logs and traces. Harmless when nothing is there."""
        take_away(self.layout)
        if self.layout.files.exists():
            for entry in self.layout.files.iterdir():
                if entry.name not in _KEPT_AFTER_DOWN:
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def tenant_command(self, command: Sequence[str]) -> list[str]:
        """``command`` as it is run where a tenant's client sits."""
        return ["nsenter", f"--net=/run/netns/{self.layout.tenant_namespace}", "--", *command]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One at a time: two that make keys for the same cloud would each keep a half. The lock leaves no file."""
        self.layout.directory.mkdir(parents=True, exist_ok=True)
        directory = os.open(self.layout.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            yield
        finally:
            os.close(directory)

    def _state(self) -> state.State:
        chosen = state.read(self.layout.state)
        named = targets.from_environment(self._servers or (chosen.servers if chosen else 1))
        wanted = targets.choose(chosen.targets if chosen else None, named)
        if chosen is None:
            take_away(self.layout)
            shutil.rmtree(self.layout.files, ignore_errors=True)
            image = self._image or DEFAULT_IMAGE
            chosen = state.choose(self._servers or 1, image, self.layout.id, wanted, light=self.light)
            state.write(self.layout.state, chosen)
        for what, asked, present in (
            ("light servers only:", self.light, chosen.light),
            ("servers", self._servers, chosen.servers),
            ("image", self._image, chosen.image),
        ):
            if asked not in (None, present):
                raise AnotherShape(
                    f"Bringing up the sandbox of {self.layout.directory} with {what} {asked}",
                    cause=f"it is there with {present}",
                    next_step="Take it down first: `python -m sandbox down`.",
                )
        return chosen

    def _directories(self, servers: int) -> None:
        RUN_ROOT.mkdir(mode=0o755, exist_ok=True)
        self.layout.run.mkdir(mode=0o700, exist_ok=True)
        wanted = [self.layout.log, self.layout.trace, self.layout.storage, self.layout.storage_run]
        for number in range(servers):
            wanted += [self.layout.dpu(number), self.layout.dpu_run(number), self.layout.dpu_run(number) / "vhost"]
            wanted += [self.layout.server(number), self.layout.server_run(number)]
        for directory in wanted:
            directory.mkdir(parents=True, exist_ok=True)

    def _without_cluster(self, chosen: state.State) -> list[ProcessSpec]:
        specs = [
            *processes.rack(self.layout),
            *processes.storage(self.layout, chosen.targets),
            self._function(chosen),
        ]
        for number in range(chosen.servers):
            self.bmc_password(number)
            specs += processes.dpu(self.layout, number, chosen.ports, chosen.targets)
            specs += processes.server(self.layout, number, chosen.ports, inventory.server_size(chosen.image))
        return specs

    def _function(self, chosen: state.State) -> ProcessSpec:
        authority = pki.Authority(self.layout.pki / "function", "metalplane-function")
        certificates = authority.server("server", names=("function-metalplane", "localhost", "127.0.0.1"))
        served = pki.as_directory(certificates, authority.certificate, self.layout.pki / "function-server")
        return processes.function(chosen.ports, served)

    def _provider(self, chosen: state.State, control_plane: ControlPlane) -> ProcessSpec:
        authority = pki.Authority(self.layout.pki / "function", "metalplane-function")
        credential = authority.client("client", common_name="metalplane-engine")
        calling = pki.as_directory(credential, authority.certificate, self.layout.pki / "function-client")
        identity = control_plane.identity(self.layout.files / "provider.kubeconfig", inventory.PROVIDER_USER)
        # Of a thousand machines, spans would be most of what is written.
        return processes.provider(
            self.layout, chosen.ports, identity, calling, trace_dir=None if chosen.light else self.layout.trace
        )

    def _check_targets(self, chosen: state.State) -> None:
        """A real target is whatever its user named: what it can do, it is asked."""
        if not chosen.targets.are_real:
            return
        if not chosen.targets.are_one:
            targets.check(targets.storage_target(self.layout, chosen.targets), ("pool", "exports"))
        for number in range(chosen.servers):
            targets.check(targets.dpu_target(self.layout, number), chosen.targets.dpu_parts)

    def _with_cluster(self, chosen: state.State, control_plane: ControlPlane) -> list[ProcessSpec]:
        specs = [self._provider(chosen, control_plane)]
        for number in range(chosen.servers):
            identity = control_plane.identity(
                self.layout.dpu(number) / "kubeconfig",
                dpu_user(f"dpu{number}"),
                groups=(inventory.DPU_GROUP,),
                server=f"https://127.0.0.1:{processes.RELAY_PORT}",
            )
            # The node id of a DPU is the UID of its server: no two servers ever share an NVMe host name.
            uid = self.kubectl.run("get", f"server/server{number}", "--output=jsonpath={.metadata.uid}")
            specs.append(processes.agent(self.layout, number, identity, uid))
        return specs

    def _wait_leases(self, servers: Iterable[int]) -> None:
        """Provider and agents are ready when they hold their Leases."""
        leases = [(INSTALLATION_NAMESPACE, "metalplane-provider")]
        leases += [(dpu_namespace(f"dpu{number}"), "agent") for number in servers]
        for namespace, name in leases:
            arguments = (f"lease/{name}", f"--namespace={namespace}", "--timeout=60s")
            self.kubectl.run("wait", "--for=create", *arguments)
            self.kubectl.run("wait", "--for=jsonpath={.spec.holderIdentity}", *arguments)

    def bmc_password(self, number: int) -> str:
        """The administrator's password at a server's BMC."""
        path = processes.bmc_password_file(self.layout, number)
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(8))
        return path.read_text()

    def _golden_image(self, name: str) -> images.Image:
        """The image of that name; a cloud keeps the bytes that it came up with."""
        directory = self.layout.storage / "images"
        try:
            record = json.loads((directory / f"{name}.json").read_text())
        except FileNotFoundError:
            return images.build(name, directory)
        path = directory / f"{record['sha256']}.raw"
        return images.Image(record["name"], record["sha256"], record["sizeBytes"], path)

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        now = time.monotonic()
        self._progress(f"{now - self._began:6.1f} s  {name} ({now - began:.1f} s)")
