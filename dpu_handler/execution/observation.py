"""Reads one DPU into values: three requests to SPDK and one to the device emulation, together; OVS from the replica."""

import asyncio
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from dpu_handler.execution.dpu import Dpu
from dpu_handler.planning.observed import Bdev, Function, NvmeController, Observed, Port, VhostController
from dpu_handler.southbound import Function as EmulatedFunction

Row = dict[str, Any]

OWNER = "metalplane-owner"
"""Key of ``Interface.external_ids``: UID of the EmulatedNIC that the port was made for."""

ATTACHED_MAC = "attached-mac"
"""Key of ``Interface.external_ids`` for the MAC behind a port (Open vSwitch's Integration Guide)."""


async def observe_disks(dpu: Dpu) -> Observed:
    """What matters to disks."""
    bdevs, nvme, vhost, functions = await asyncio.gather(
        dpu.spdk.bdevs(), dpu.spdk.nvme_controllers(), dpu.spdk.vhost_controllers(), dpu.emulation.function_list()
    )
    return Observed(
        bdevs={bdev.name: bdev for bdev in map(_bdev, bdevs)},
        nvme={controller.name: controller for controller in map(_nvme, nvme)},
        vhost={controller.name: controller for controller in map(_vhost, vhost)},
        functions=_functions(functions),
    )


async def observe_nics(dpu: Dpu) -> Observed:
    """What matters to NICs."""
    functions, ports = await asyncio.gather(dpu.emulation.function_list(), observe_ports(dpu))
    return Observed(functions=_functions(functions), ports=ports)


async def observe_ports(dpu: Dpu) -> dict[str, Port]:
    """Ports of the bridge, by name."""
    bridges = await dpu.ovsdb.rows("Bridge")
    ports, interfaces = await dpu.ovsdb.rows("Port"), await dpu.ovsdb.rows("Interface")
    on_bridge: set[UUID] = set()
    for bridge in bridges.values():
        if bridge["name"] == dpu.bridge:
            on_bridge |= set(bridge["ports"])
    found = (_port(ports[uuid], interfaces) for uuid in on_bridge if uuid in ports)
    return {port.name: port for port in found}


def _bdev(entry: Row) -> Bdev:
    specific = entry.get("driver_specific", {})
    return Bdev(
        name=entry["name"],
        uuid=entry["uuid"],
        size_bytes=entry["num_blocks"] * entry["block_size"],
        file=specific.get("aio", {}).get("filename"),
    )


def _nvme(entry: Row) -> NvmeController:
    paths = entry.get("ctrlrs", ())
    path = paths[0] if paths else {}
    return NvmeController(
        name=entry["name"],
        subnqn=path.get("trid", {}).get("subnqn", ""),
        hostnqn=path.get("host", {}).get("nqn", ""),
        connected=path.get("state") == "enabled",
        disabled=path.get("state") == "disabled",
    )


def _vhost(entry: Row) -> VhostController:
    block = entry.get("backend_specific", {}).get("block", {})
    sessions = entry.get("sessions", ())
    busy = any(session.get("inflight_task_cnt") for session in sessions)
    return VhostController(entry["ctrlr"], block.get("bdev"), len(sessions), busy)


def _functions(functions: Iterable[EmulatedFunction]) -> dict[int, Function]:
    return {
        function.slot: Function(
            slot=function.slot,
            backing=next(iter(function.backing.values()), ""),
            mac=function.mac,
            boot_index=function.boot_index,
            unplugging=function.state == "unplugging",
            driver_bound=function.driver_bound,
        )
        for function in functions
    }


def _port(port: Row, interfaces: dict[UUID, Row]) -> Port:
    row = next((interfaces[uuid] for uuid in port["interfaces"] if uuid in interfaces), {})
    external_ids = row.get("external_ids", {})
    return Port(
        name=port["name"],
        vlan=port.get("tag"),
        mac=external_ids.get(ATTACHED_MAC),
        owner=external_ids.get(OWNER),
        mtu=row.get("mtu_request"),
        ofport=row.get("ofport"),
        link_up=row.get("link_state") == "up",
    )
