"""The table of a cloud's processes: the product's parts by their command lines, and the stand-ins they meet here.

The stages of coming up are the functions: what needs no cluster, and what does.
"""

import os
import sys
import uuid
from pathlib import Path

from provider.api.names import INSTALLATION_NAMESPACE, dpu_namespace
from sandbox import fabric, inventory
from sandbox.fleet.paths import STORAGE_SOCKET
from sandbox.inventory import ServerSize
from sandbox.ovs import BRIDGE
from sandbox.paths import Layout
from sandbox.process import ProcessSpec, Ready
from sandbox.state import Ports
from sandbox.targets import TargetProcess, Targets, dpu_target, storage_target

FUNCTION = "function-metalplane"
LVSTORE = "lvs0"
POOL_SIZE_BYTES = 256 << 30
"""Of the storage node's pool: a sparse file, so this costs nothing until it is written to."""

LIGHT_POOL_SIZE_BYTES = 4 << 40
"""Nothing is ever written to it."""

RELAY_PORT = 6443
_STORAGE_MIB, _DPU_MIB = 512, 1024
"""Memory of a real target, in ordinary pages: less fails to start."""

_BOOT_LEDGER = "METALPLANE_BOOT_LEDGER"


def bmc_password_file(layout: Layout, number: int) -> Path:
    return layout.server(number) / "bmc-password"


def rack(layout: Layout) -> list[ProcessSpec]:
    """The top-of-rack switch."""
    return fabric.rack_switch(layout).processes()


def storage(layout: Layout, targets: Targets) -> list[ProcessSpec]:
    """The storage node: an SPDK target (unless the DPU's is it) and the CSI driver that serves volumes from it."""
    target = storage_target(layout, targets)
    csi_socket = layout.storage_run / "csi.sock"
    way = {"protocol": "nvmf-tcp", "traddr": fabric.STORAGE_ADDRESS, "trsvcid": fabric.NVMF_PORT}
    driver = _module(
        "dpu_handler.lvol",
        endpoint=f"unix:{csi_socket}",
        spdk_socket=target.socket,
        image_dir=layout.storage / "images",
        pool_file=layout.storage / "pool.img",
        pool_size_bytes=POOL_SIZE_BYTES,
        lvstore=LVSTORE,
        trace_dir=layout.trace,
        **({"protocol": "bdev"} if targets.are_one else way),
    )
    lvol = ProcessSpec("lvol", driver, ready=(Ready("unix", str(csi_socket)),))
    if targets.are_one:
        return [lvol]
    if targets.storage is not None:
        return [_real(layout, target, targets.storage, "--interrupt-mode", core=0, memory_mib=_STORAGE_MIB), lvol]
    return [_stand_in(layout, "storage", target, layout.storage / "spdk"), lvol]


def dpu(layout: Layout, number: int, ports: Ports, targets: Targets) -> list[ProcessSpec]:
    """What a DPU runs beside its agent: Open vSwitch, an SPDK target, and the way to the API server."""
    relay = _module("sandbox.relay", netns=layout.dpu_namespace(number), port=RELAY_PORT, target_port=ports.apiserver)
    return [
        *fabric.dpu_switch(layout, number).processes(),
        _dpu_target(layout, number, targets),
        ProcessSpec(f"relay-dpu{number}", relay),
    ]


def server(layout: Layout, number: int, ports: Ports, size: ServerSize) -> list[ProcessSpec]:
    """A server: its chassis, and its BMC."""
    name = f"server{number}"
    run = layout.server_run(number)
    emulation_socket = layout.dpu_run(number) / "emulation.sock"
    chassis = _module(
        "sandbox.chassis",
        server=name,
        uuid=uuid.uuid5(uuid.NAMESPACE_URL, f"sandbox:{layout.id}:{name}"),
        emulation_socket=emulation_socket,
        control_socket=run / "control.sock",
        console_socket=run / "console.sock",
        state_dir=layout.server(number),
        netns=layout.dpu_namespace(number),
        representors=",".join(inventory.NIC_SLOTS.values()),
        slots=inventory.SLOTS,
        cpus=size.cpus,
        memory_mib=size.memory_mib,
        request_log=layout.log / f"emulation-dpu{number}.requests.jsonl",
    )
    bmc = _module(
        "sandbox.bmc",
        address="127.0.0.1",
        port=ports.bmc[number],
        username=inventory.BMC_USER,
        password_file=bmc_password_file(layout, number),
        control_socket=run / "control.sock",
        console_socket=run / "console.sock",
        state_dir=layout.server(number) / "bmc",
    )
    # The test suite counts the boots of all its servers in one file.
    ledger = {_BOOT_LEDGER: os.environ[_BOOT_LEDGER]} if _BOOT_LEDGER in os.environ else {}
    return [
        ProcessSpec(
            f"chassis-{name}",
            chassis,
            environment=ledger,
            ready=(Ready("unix", str(run / "control.sock")), Ready("unix", str(emulation_socket))),
        ),
        ProcessSpec(f"bmc-{name}", bmc, ready=(Ready("rmcp", f"127.0.0.1:{ports.bmc[number]}"),)),
    ]


def fleet(layout: Layout, ports: Ports, kubeconfig: Path) -> list[ProcessSpec]:
    """All light servers with their agents, and the storage node with its CSI driver."""
    servers = _module(
        "sandbox.fleet",
        run_dir=layout.run,
        bmc_ports=",".join(map(str, ports.bmc)),
        password_file=bmc_password_file(layout, 0),
        kubeconfig=kubeconfig,
    )
    storage_socket, csi_socket = layout.run / STORAGE_SOCKET, layout.storage_run / "csi.sock"
    driver = _module(
        "dpu_handler.lvol",
        endpoint=f"unix:{csi_socket}",
        spdk_socket=storage_socket,
        image_dir=layout.storage / "images",
        pool_file=layout.storage / "pool.img",
        pool_size_bytes=LIGHT_POOL_SIZE_BYTES,
        lvstore=LVSTORE,
        protocol="nvmf-tcp",
        traddr="127.0.0.1",
        trsvcid=fabric.NVMF_PORT,
    )
    return [
        ProcessSpec("fleet", servers, ready=(Ready("unix", str(storage_socket)),), ready_timeout_s=120.0),
        ProcessSpec("lvol", driver, ready=(Ready("unix", str(csi_socket)),)),
    ]


def function(ports: Ports, certificates: Path) -> ProcessSpec:
    """The composition function, which answers callers of its own authority only."""
    address = f"127.0.0.1:{ports.function}"
    return ProcessSpec(
        "function",
        _module("provider.function", address=address),
        environment={"TLS_SERVER_CERTS_DIR": str(certificates)},
        ready=(Ready("tcp", address),),
    )


def provider(
    layout: Layout, ports: Ports, kubeconfig: Path, function_certificates: Path, *, trace_dir: Path | None
) -> ProcessSpec:
    """The provider: engine, scheduler, controllers, CSI."""
    argv = _module(
        "provider",
        kubeconfig=kubeconfig,
        engine="embedded",
        function=f"{FUNCTION}=127.0.0.1:{ports.function}",
        function_tls_dir=function_certificates,
        csi=f"{inventory.CSI_DRIVER}=unix:{layout.storage_run / 'csi.sock'}",
        namespace=INSTALLATION_NAMESPACE,
        identity="provider",
        **({} if trace_dir is None else {"trace_dir": trace_dir}),
    )
    return ProcessSpec("provider", argv)


def api(
    ports: Ports, replica: int, kubeconfig: Path, certificates: Path, *, trace_dir: Path | None, **options: object
) -> ProcessSpec:
    """A replica of bm-api. All listen at one port of this machine, where an installation has a Service.

    ``options``: more of its command line.
    """
    peer = f"127.0.0.1:{ports.api_peers[replica]}"
    argv = _module(
        "provider.apiserver",
        kubeconfig=kubeconfig,
        namespace=INSTALLATION_NAMESPACE,
        identity=f"api{replica}",
        address="127.0.0.1",
        port=ports.api,
        advertise=peer,
        tls_dir=certificates,
        **({} if trace_dir is None else {"trace_dir": trace_dir}),
        **options,
    )
    return ProcessSpec(f"api{replica}", (*argv, "--share-port"), ready=(Ready("tcp", peer),))


def agent(layout: Layout, number: int, kubeconfig: Path, node_id: str) -> ProcessSpec:
    """A DPU's agent, inside its network namespace."""
    run = layout.dpu_run(number)
    target = dpu_target(layout, number)
    argv = _module(
        "dpu_handler",
        kubeconfig=kubeconfig,
        dpu=f"dpu{number}",
        namespace=dpu_namespace(f"dpu{number}"),
        node_id=node_id,
        spdk_socket=target.socket,
        vhost_dir=run / "vhost",
        ovsdb_socket=run / "db.sock",
        bridge=BRIDGE,
        emulation_socket=run / "emulation.sock",
        state_dir=layout.dpu(number) / "agent",
        trace_dir=layout.trace,
    )
    return ProcessSpec(f"agent-dpu{number}", argv, network_namespace=layout.dpu_namespace(number))


def _dpu_target(layout: Layout, number: int, targets: Targets) -> ProcessSpec:
    target, vhost = dpu_target(layout, number), layout.dpu_run(number) / "vhost"
    if targets.dpu is None:
        return _stand_in(layout, f"dpu{number}", target, layout.dpu(number) / "spdk", vhost_dir=vhost)
    # SPDK's NVMe/TCP initiator refuses interrupt mode; with the pool on this very target there is nothing to attach.
    idle = ("--interrupt-mode",) if targets.are_one else ()
    return _real(layout, target, targets.dpu, *idle, "-S", str(vhost), core=number + 1, memory_mib=_DPU_MIB)


def _stand_in(layout: Layout, name: str, target: TargetProcess, directory: Path, **options: object) -> ProcessSpec:
    argv = _module(
        "sandbox.spdk",
        socket=target.socket,
        dir=directory,
        request_log=layout.log / f"spdk-{name}.requests.jsonl",
        **options,
    )
    return _target(target, argv)


def _real(
    layout: Layout, target: TargetProcess, program: str, *options: str, core: int, memory_mib: int
) -> ProcessSpec:
    """SPDK itself, without PCI devices and huge pages. Where there are more targets than cores, they share them."""
    cores = sorted(os.sched_getaffinity(0))
    argv = (
        *(program, "--rpc-socket", str(target.socket), "--no-pci", "--no-huge", "--mem-size", str(memory_mib)),
        *("--cpumask", f"[{cores[core % len(cores)]}]", "--disable-cpumask-locks", "--num-trace-entries", "0"),
        # SPDK asks for cores without limit else: one that crashes would leave a gigabyte in the working directory.
        *("--limit-coredump", *options),
    )
    # Where DPDK keeps the files that a killed process leaves behind: with the sockets, so that they go with them.
    return _target(target, argv, RUNTIME_DIRECTORY=str(layout.run))


def _target(target: TargetProcess, argv: tuple[str, ...], **environment: str) -> ProcessSpec:
    ready = (Ready("unix", str(target.socket)),)
    return ProcessSpec(
        target.name, argv, environment=environment, network_namespace=target.network_namespace, ready=ready
    )


def _module(name: str, **options: object) -> tuple[str, ...]:
    flags = (f"--{option.replace('_', '-')}={value}" for option, value in options.items())
    return (sys.executable, "-m", name, *flags)
