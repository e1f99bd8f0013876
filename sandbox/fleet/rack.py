"""All light servers of a process, with their DPUs, BMCs and the storage node."""

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from dpu_handler.execution.dpu import Dpu
from dpu_handler.probe.prober import Prober
from dpu_handler.southbound import EmulationClient, SpdkClient
from sandbox import inventory
from sandbox.chassis.methods import control_methods, emulation_methods
from sandbox.chassis.rpc import RequestLog
from sandbox.chassis.rpc import RpcServer as ChassisServer
from sandbox.fleet.agents import Agents, LightDpu
from sandbox.fleet.answers import Answers
from sandbox.fleet.bmc import LightBMC
from sandbox.fleet.chassis import LightChassis
from sandbox.fleet.disks import Disks, NoFiles
from sandbox.fleet.paths import STORAGE_SOCKET
from sandbox.fleet.switch import BRIDGE, RowsOfSwitch
from sandbox.spdk import cli as target
from sandbox.spdk.rpc_server import RequestLog as NoLog
from sandbox.spdk.rpc_server import RpcServer as TargetServer

_ADDRESS = "127.0.0.1"


class LightServer:
    """One server: its chassis and BMC, and of its DPU the target, the switch and the agent's clients."""

    def __init__(self, number: int, run: Path, disks: Disks) -> None:
        self.name, self.dpu_name = f"server{number}", f"dpu{number}"
        self.run = run / self.name
        self._disks = disks
        representors = inventory.NIC_SLOTS.values()
        self.chassis = LightChassis(self.name, disks, slots=inventory.SLOTS, representors=representors)
        self._probes: list[Answers] = []

    async def open(self, resources: contextlib.AsyncExitStack, bmc_port: int, password: str) -> None:
        """Serve its sockets."""
        self.run.mkdir(parents=True, exist_ok=True)
        for socket, methods in (
            ("control.sock", control_methods(self.chassis)),
            ("emulation.sock", emulation_methods(self.chassis)),
        ):
            server = ChassisServer(self.run / socket, methods, RequestLog(None))
            await server.start()
            resources.push_async_callback(server.stop)
        resources.callback(serve_target(self.run / "spdk.sock", self._disks, self.run).close)
        guid = uuid.uuid5(uuid.NAMESPACE_URL, f"light:{self.run}")
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: LightBMC(
                self.chassis, self.chassis.serial, guid=guid, username=inventory.BMC_USER, password=password
            ),
            local_addr=(_ADDRESS, bmc_port),
        )
        resources.callback(transport.close)

    def dpu(self) -> LightDpu:
        """What its agent works with."""
        clients = Dpu(
            SpdkClient(str(self.run / "spdk.sock")),
            EmulationClient(str(self.run / "emulation.sock")),
            RowsOfSwitch(link_is_up=self.chassis.has_link),
            BRIDGE,
            self.run,
        )
        return LightDpu(self.dpu_name, clients, self._probe, self.run / "agent")

    def follow(self, changed: Callable[[str], None]) -> None:
        """Tell the probes and the agent whenever slots or power are others."""

        def tell() -> None:
            for probe in self._probes:
                probe.listen()
            changed(self.dpu_name)

        self.chassis.changed = tell

    def _probe(self, _: Dpu, changed: Callable[[str], None]) -> Prober:
        self._probes.append(Answers(self.chassis, changed))
        return self._probes[-1]


async def serve(
    run: Path, kubeconfig: Path | None, bmc_ports: Sequence[int], password: str, stop: asyncio.Event
) -> None:
    """Serve the storage node, all servers and (with a ``kubeconfig``) their agents until ``stop`` is set."""
    disks = Disks()
    async with contextlib.AsyncExitStack() as resources:
        resources.callback(serve_target(run / STORAGE_SOCKET, disks, run).close)
        servers = [LightServer(number, run, disks) for number in range(len(bmc_ports))]
        for server, port in zip(servers, bmc_ports, strict=True):
            await server.open(resources, port, password)
        if kubeconfig is None:
            await stop.wait()
            return
        agents = Agents(kubeconfig, [server.dpu() for server in servers])
        for server in servers:
            server.follow(agents.changed)
        await agents.run(stop)


def serve_target(socket: Path, disks: Disks, vhost_dir: Path) -> TargetServer:
    """An SPDK target's RPC at that socket, answered at once."""
    listener = target.listen(socket)
    table = target.methods(disks, NoFiles(), vhost_dir)
    return TargetServer(listener, table, poll_interval_s=0.0, request_log=NoLog(None))
