"""The networks of a sandbox: which namespaces there are, and what cables and ports join their switches.

::

    tenant's client   eth0, eth1 ──── br0 ────────── uplink0  br0 ─── representors of its server
                      (a VLAN each)    │ top of rack          │ DPU    (the agent's ports)
    storage node      storage0 ─── br-storage ────── uplink1  br-storage ─── storage0

Tenants' networks are VLANs on one bridge; storage has a bridge of its own, and an address on each DPU. Addresses are
on veth ends, not on ports of the datapath itself: those go with ovs-vswitchd, and their addresses with them.
"""

from collections.abc import Sequence

from sandbox import network
from sandbox.inventory import TenantNetwork
from sandbox.ovs import BRIDGE, OpenVSwitch
from sandbox.paths import Layout

STORAGE_BRIDGE = "br-storage"
STORAGE_ADDRESS = "10.99.0.1"
"""Of the storage node, on the storage network."""

NVMF_PORT = 4420
"""NVMe/TCP's own (IANA); the storage node has a network namespace to itself."""

_PREFIX_BITS = 24
_FIRST_DPU_ADDRESS = 11
_STORAGE_DEVICE, _STORAGE_PORT = "storage0", "storage0-port"


def dpu_switch(layout: Layout, number: int) -> OpenVSwitch:
    """Open vSwitch of a DPU."""
    files, sockets = layout.dpu(number) / "ovs", layout.dpu_run(number)
    return OpenVSwitch(f"dpu{number}", files, sockets, layout.dpu_namespace(number))


def rack_switch(layout: Layout) -> OpenVSwitch:
    """The top-of-rack switch, an Open vSwitch too."""
    return OpenVSwitch("rack", layout.rack / "ovs", layout.rack_run, layout.rack_namespace)


def lay_cables(layout: Layout, servers: int, networks: Sequence[TenantNetwork]) -> None:
    """Have all namespaces, cables and addresses, and each switch its database. Harmless to repeat."""
    rack_switch(layout).prepare()
    rack, tenant, storage = layout.rack_namespace, layout.tenant_namespace, layout.storage_namespace
    for name in (rack, tenant, storage):
        network.ensure_namespace(name)
    for index, each in enumerate(networks):
        network.ensure_cable(rack, f"tenant{index}", tenant, f"eth{index}")
        network.ensure_address(tenant, f"eth{index}", f"{each.gateway}/{_PREFIX_BITS}")
    network.ensure_cable(rack, "storage", storage, _STORAGE_DEVICE)
    network.ensure_address(storage, _STORAGE_DEVICE, f"{STORAGE_ADDRESS}/{_PREFIX_BITS}")
    for number in range(servers):
        _lay_cables_of_dpu(layout, number)


def _lay_cables_of_dpu(layout: Layout, number: int) -> None:
    rack, dpu = layout.rack_namespace, layout.dpu_namespace(number)
    dpu_switch(layout, number).prepare()
    network.ensure_namespace(dpu)
    network.ensure_cable(rack, f"dpu{number}", dpu, "uplink0")
    network.ensure_cable(rack, f"dpu{number}-storage", dpu, "uplink1")
    network.ensure_cable(dpu, _STORAGE_PORT, dpu, _STORAGE_DEVICE)
    network.ensure_address(dpu, _STORAGE_DEVICE, f"{_dpu_address(number)}/{_PREFIX_BITS}")


def plug_in(layout: Layout, servers: int, networks: Sequence[TenantNetwork]) -> None:
    """Have the bridges and their ports, on switches that run. Harmless to repeat."""
    rack = rack_switch(layout)
    for bridge in (BRIDGE, STORAGE_BRIDGE):
        rack.ensure_bridge(bridge)
    for index, each in enumerate(networks):
        rack.ensure_port(BRIDGE, f"tenant{index}", vlan=each.vlan)
    rack.ensure_port(STORAGE_BRIDGE, "storage")
    for number in range(servers):
        rack.ensure_port(BRIDGE, f"dpu{number}")
        rack.ensure_port(STORAGE_BRIDGE, f"dpu{number}-storage")
        dpu = dpu_switch(layout, number)
        dpu.ensure_bridge(BRIDGE)
        dpu.ensure_bridge(STORAGE_BRIDGE)
        dpu.ensure_port(BRIDGE, "uplink0")
        dpu.ensure_port(STORAGE_BRIDGE, "uplink1")
        dpu.ensure_port(STORAGE_BRIDGE, _STORAGE_PORT)


def _dpu_address(number: int) -> str:
    return f"{STORAGE_ADDRESS.rpartition('.')[0]}.{_FIRST_DPU_ADDRESS + number}"
