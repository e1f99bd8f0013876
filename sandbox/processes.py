"""The table of a cloud's processes: the product's parts by their command lines, and the stand-ins they meet here.

The stages of coming up are the functions: what needs no cluster, and what does.
"""

import os
import sys
import uuid
from pathlib import Path

from provider.api.names import INSTALLATION_NAMESPACE, dpu_namespace
from sandbox import fabric, inventory
from sandbox.inventory import ServerSize
from sandbox.ovs import BRIDGE
from sandbox.paths import Layout
from sandbox.process import ProcessSpec, Ready
from sandbox.state import Ports

FUNCTION = "function-metalplane"
LVSTORE = "lvs0"
POOL_SIZE_BYTES = 256 << 30
"""Of the storage node's pool: a sparse file, so this costs nothing until it is written to."""

RELAY_PORT = 6443
_BOOT_LEDGER = "METALPLANE_BOOT_LEDGER"


def bmc_password_file(layout: Layout, number: int) -> Path:
    return layout.server(number) / "bmc-password"


def rack(layout: Layout) -> list[ProcessSpec]:
    """The top-of-rack switch."""
    return fabric.rack_switch(layout).processes()


def storage(layout: Layout) -> list[ProcessSpec]:
    """The storage node: an SPDK target and the CSI driver that serves volumes from it."""
    spdk_socket = layout.storage_run / "spdk.sock"
    csi_socket = layout.storage_run / "csi.sock"
    driver = _module(
        "dpu_handler.lvol",
        endpoint=f"unix:{csi_socket}",
        spdk_socket=spdk_socket,
        image_dir=layout.storage / "images",
        pool_file=layout.storage / "pool.img",
        pool_size_bytes=POOL_SIZE_BYTES,
        lvstore=LVSTORE,
        traddr=fabric.STORAGE_ADDRESS,
        trsvcid=fabric.NVMF_PORT,
        trace_dir=layout.trace,
    )
    return [
        _spdk(layout, "storage", layout.storage_namespace, socket=spdk_socket, dir=layout.storage / "spdk"),
        ProcessSpec("lvol", driver, ready=(Ready("unix", str(csi_socket)),)),
    ]


def dpu(layout: Layout, number: int, ports: Ports) -> list[ProcessSpec]:
    """What a DPU runs beside its agent: Open vSwitch, an SPDK target, and the way to the API server."""
    relay = _module("sandbox.relay", netns=layout.dpu_namespace(number), port=RELAY_PORT, target_port=ports.apiserver)
    run = layout.dpu_run(number)
    target = {"socket": run / "spdk.sock", "dir": layout.dpu(number) / "spdk", "vhost_dir": run / "vhost"}
    return [
        *fabric.dpu_switch(layout, number).processes(),
        _spdk(layout, f"dpu{number}", layout.dpu_namespace(number), **target),
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


def function(ports: Ports, certificates: Path) -> ProcessSpec:
    """The composition function, which answers callers of its own authority only."""
    address = f"127.0.0.1:{ports.function}"
    return ProcessSpec(
        "function",
        _module("provider.function", address=address),
        environment={"TLS_SERVER_CERTS_DIR": str(certificates)},
        ready=(Ready("tcp", address),),
    )


def provider(layout: Layout, ports: Ports, kubeconfig: Path, function_certificates: Path) -> ProcessSpec:
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
        trace_dir=layout.trace,
    )
    return ProcessSpec("provider", argv)


def agent(layout: Layout, number: int, kubeconfig: Path, node_id: str) -> ProcessSpec:
    """A DPU's agent, inside its network namespace."""
    run = layout.dpu_run(number)
    argv = _module(
        "dpu_handler",
        kubeconfig=kubeconfig,
        dpu=f"dpu{number}",
        namespace=dpu_namespace(f"dpu{number}"),
        node_id=node_id,
        spdk_socket=run / "spdk.sock",
        vhost_dir=run / "vhost",
        ovsdb_socket=run / "db.sock",
        bridge=BRIDGE,
        emulation_socket=run / "emulation.sock",
        state_dir=layout.dpu(number) / "agent",
        trace_dir=layout.trace,
    )
    return ProcessSpec(f"agent-dpu{number}", argv, network_namespace=layout.dpu_namespace(number))


def _spdk(layout: Layout, name: str, network_namespace: str, *, socket: Path, **options: Path) -> ProcessSpec:
    log = layout.log / f"spdk-{name}.requests.jsonl"
    argv = _module("sandbox.spdk", socket=socket, request_log=log, **options)
    return ProcessSpec(f"spdk-{name}", argv, network_namespace=network_namespace, ready=(Ready("unix", str(socket)),))


def _module(name: str, **options: object) -> tuple[str, ...]:
    flags = (f"--{option.replace('_', '-')}={value}" for option, value in options.items())
    return (sys.executable, "-m", name, *flags)
