"""The NVMe-oF target: subsystems, who may connect to them, and what they show.

The RPC is SPDK's; the wire is NBD. A subsystem has one NBD export for each host that it lists, named after both, made
when host and listener are there and cut hard when one of them goes: so a host that is not listed, or not any more,
finds nothing. The export's description tells what Identify tells: UUID, size, serial and model number; without a
namespace it is empty, and so is the export. When the namespace changes the export is cut and made anew at once, which
its hosts take for the asynchronous event that NVMe has for it.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from sandbox.spdk.bdevs import Bdev, BdevRegistry, Opening
from sandbox.spdk.data_path import DataPath
from sandbox.spdk.dispatch import (
    INTERNAL_ERROR,
    INVALID_PARAMETERS,
    INVALID_PARAMS,
    Json,
    MethodTable,
    RpcError,
)
from sandbox.spdk.nvmf_params import (
    AddNamespace,
    AllowAnyHost,
    CreateSubsystem,
    CreateTransport,
    GetTransports,
    Host,
    ListenAddress,
    Listener,
    MaybeNqn,
    Nqn,
    RemoveHost,
    RemoveNamespace,
    is_nqn,
)

_NO_NAMESPACE = "no-namespace"
"""The node that a subsystem without a namespace shows: it has no bytes."""
DISCOVERY_NQN = "nqn.2014-08.org.nvmexpress.discovery"
_INTERNAL = RpcError(INTERNAL_ERROR, "Internal error")
_LIMITS = {"min_cntlid": 1, "max_cntlid": 65519, "dmrsl": 2097152, "wzsl": 12}
_TRANSPORT = {
    "max_queue_depth": 128, "max_io_qpairs_per_ctrlr": 127, "in_capsule_data_size": 4096, "max_io_size": 131072,
    "max_aq_depth": 128, "iobuf_small_cache_size": 4294967295, "iobuf_large_cache_size": 4294967295,
    "dif_insert_or_strip": False, "zcopy": False, "c2h_success": True, "sock_priority": 0, "abort_timeout_sec": 1,
    "ack_timeout": 0, "data_wr_pool_size": 0, "disable_command_passthru": False, "kas": 100, "min_kato": 10000,
}  # fmt: skip


@dataclass
class Namespace:
    """A bdev that a subsystem shows; it holds the bdev open and claims it."""

    nsid: int
    bdev: Bdev
    opening: Opening
    uuid: str


@dataclass(frozen=True, slots=True)
class Export:
    """An NBD export that is there, and the node that it shows."""

    export_id: str
    node: str


@dataclass
class Subsystem:
    """One subsystem. `exports` are by host NQN."""

    nqn: str
    serial_number: str
    model_number: str
    allow_any_host: bool
    max_namespaces: int
    subtype: Literal["NVMe"] = "NVMe"
    hosts: list[str] = field(default_factory=list)
    namespaces: list[Namespace] = field(default_factory=list)
    listeners: list[ListenAddress] = field(default_factory=list)
    exports: dict[str, Export] = field(default_factory=dict)

    @property
    def node(self) -> str:
        return self.namespaces[0].bdev.node_name if self.namespaces else _NO_NAMESPACE


def export_name(subnqn: str, hostnqn: str) -> str:
    """Name of the NBD export through which a host reaches a subsystem."""
    return f"{subnqn} {hostnqn}"


class NvmfRpc:
    """The subsystems of one target. `daemon` serves the exports."""

    def __init__(self, registry: BdevRegistry, daemon: DataPath) -> None:
        self._registry = registry
        self._daemon = daemon
        self._transports: list[str] = []
        self._subsystems: dict[str, Subsystem] = {}
        self._server: tuple[str, str] | None = None

    def add_to(self, table: MethodTable) -> None:
        table.add("nvmf_create_transport", CreateTransport, self.create_transport)
        table.add("nvmf_get_transports", GetTransports, self.get_transports, optional=True)
        table.add("nvmf_create_subsystem", CreateSubsystem, self.create_subsystem)
        table.add("nvmf_delete_subsystem", Nqn, self.delete_subsystem)
        table.add("nvmf_get_subsystems", MaybeNqn, self.get_subsystems, optional=True)
        table.add("nvmf_subsystem_add_ns", AddNamespace, self.add_namespace)
        table.add("nvmf_subsystem_remove_ns", RemoveNamespace, self.remove_namespace)
        table.add("nvmf_subsystem_add_host", Host, self.add_host)
        table.add("nvmf_subsystem_remove_host", RemoveHost, self.remove_host)
        table.add("nvmf_subsystem_allow_any_host", AllowAnyHost, self.allow_any_host, recorded=False)
        table.add("nvmf_subsystem_add_listener", Listener, self.add_listener)
        table.add("nvmf_subsystem_remove_listener", Listener, self.remove_listener)
        table.add("nvmf_subsystem_get_controllers", Nqn, self.get_controllers)

    async def create_transport(self, params: CreateTransport) -> Json:
        if params.trtype in self._transports:
            raise RpcError(INTERNAL_ERROR, f"Transport type '{params.trtype}' already exists")
        if params.trtype != "TCP":
            raise INVALID_PARAMETERS
        self._transports.append(params.trtype)
        return True

    async def get_transports(self, params: GetTransports) -> Json:
        return [{"trtype": trtype, **_TRANSPORT} for trtype in self._transports if params.trtype in (None, trtype)]

    async def create_subsystem(self, params: CreateSubsystem) -> Json:
        if params.nqn in self._subsystems or not is_nqn(params.nqn):
            raise RpcError(INTERNAL_ERROR, f"Unable to create subsystem {params.nqn}")
        self._subsystems[params.nqn] = Subsystem(**params.model_dump())
        return True

    async def delete_subsystem(self, params: Nqn) -> Json:
        subsystem = self._get(params.nqn)
        del self._subsystems[params.nqn]
        subsystem.hosts.clear()
        await self._adjust(subsystem)
        for namespace in list(subsystem.namespaces):
            await self._drop(subsystem, namespace)
        return True

    async def get_subsystems(self, params: MaybeNqn) -> Json:
        if params.nqn is not None:
            return [_describe(self._get(params.nqn))]
        discovery = {"nqn": DISCOVERY_NQN, "subtype": "Discovery", "listen_addresses": []}
        listed = [discovery | {"allow_any_host": True, "hosts": []}]
        return listed + [_describe(subsystem) for subsystem in self._subsystems.values()]

    async def add_namespace(self, params: AddNamespace) -> Json:
        subsystem = self._get(params.nqn)
        wanted = params.namespace
        bdev = self._registry.find(wanted.bdev_name)
        nsid = wanted.nsid or 1
        taken = any(namespace.nsid == nsid for namespace in subsystem.namespaces)
        # The namespace claims the bdev: a second subsystem is refused by the target itself.
        if bdev is None or bdev.claim is not None or taken:
            raise INVALID_PARAMETERS
        await bdev.acquire_node()
        opening = bdev.open(
            lambda: self._namespace_gone(subsystem, nsid),
            self._namespace_resized,
            lambda: self._namespace_aside(subsystem),
        )
        bdev.claim = "exclusive_write"
        subsystem.namespaces.append(Namespace(nsid, bdev, opening, wanted.uuid or bdev.uuid))
        await self._adjust(subsystem)
        return nsid

    async def remove_namespace(self, params: RemoveNamespace) -> Json:
        subsystem = self._get(params.nqn)
        for namespace in list(subsystem.namespaces):
            if namespace.nsid == params.nsid:
                await self._drop(subsystem, namespace)
                return True
        raise INVALID_PARAMETERS

    async def add_host(self, params: Host) -> Json:
        subsystem = self._get(params.nqn)
        if params.host in subsystem.hosts or not is_nqn(params.host):
            raise _INTERNAL
        subsystem.hosts.append(params.host)
        await self._adjust(subsystem)
        return True

    async def remove_host(self, params: RemoveHost) -> Json:
        subsystem = self._get(params.nqn)
        if params.host not in subsystem.hosts:
            raise _INTERNAL
        subsystem.hosts.remove(params.host)
        await self._adjust(subsystem)
        return True

    async def allow_any_host(self, params: AllowAnyHost) -> Json:
        """The flag only: the NBD exports that stand for connections are made for hosts that are listed."""
        self._get(params.nqn).allow_any_host = params.allow_any_host
        return True

    async def add_listener(self, params: Listener) -> Json:
        subsystem = self._get(params.nqn)
        address = params.listen_address
        if address.trtype not in self._transports or address in subsystem.listeners:
            raise INVALID_PARAMETERS
        await self._listen(address)
        subsystem.listeners.append(address)
        await self._adjust(subsystem)
        return True

    async def remove_listener(self, params: Listener) -> Json:
        subsystem = self._get(params.nqn)
        if params.listen_address not in subsystem.listeners:
            raise INVALID_PARAMETERS
        subsystem.listeners.remove(params.listen_address)
        await self._adjust(subsystem)
        return True

    async def get_controllers(self, params: Nqn) -> Json:
        """Who is connected, as far as NBD tells: how many clients the server has, not which export each uses."""
        subsystem = self._get(params.nqn)
        if not subsystem.exports or self._server is None or not self._daemon.nbd_peers(*self._server):
            return []
        connected = [host for host in subsystem.hosts if host in subsystem.exports]
        return [
            {
                "cntlid": number,
                "cntrltype": "io",
                "hostnqn": host,
                "hostid": _host_id(host),
                "num_io_qpairs": 1,
            }
            for number, host in enumerate(connected, 1)
        ]

    def _get(self, nqn: str) -> Subsystem:
        subsystem = self._subsystems.get(nqn)
        if subsystem is None:
            raise RpcError(INVALID_PARAMS, f"Subsystem with NQN '{nqn}' not found")
        return subsystem

    async def _listen(self, address: ListenAddress) -> None:
        if self._server is None:
            inet = {"type": "inet", "data": {"host": address.traddr, "port": address.trsvcid}}
            # Each host has two connections to each of its exports, and there is no end to volumes.
            await self._daemon.execute_raw("nbd-server-start", {"addr": inet, "max-connections": 0})
            empty = {"driver": "null-co", "node-name": _NO_NAMESPACE, "size": 0, "read-zeroes": True}
            await self._daemon.execute_raw("blockdev-add", empty)
            self._server = (address.traddr, address.trsvcid)
        elif self._server != (address.traddr, address.trsvcid):
            # The storage daemon has one NBD server: a second address is beyond this stand-in.
            raise RpcError.from_errno(errno.EADDRINUSE, INVALID_PARAMS)

    async def _adjust(self, subsystem: Subsystem) -> None:
        """Have the exports that hosts, namespace and listeners ask for, and no others."""
        wanted = set(subsystem.hosts) if subsystem.listeners else set()
        for host, export in list(subsystem.exports.items()):
            if host not in wanted or export.node != subsystem.node:
                del subsystem.exports[host]
                await self._daemon.delete_export(export.export_id)
        for host in subsystem.hosts:
            if host in wanted and host not in subsystem.exports:
                await self._export(subsystem, host)

    async def _export(self, subsystem: Subsystem, host: str) -> None:
        name = export_name(subsystem.nqn, host)
        export = Export("ns-" + hashlib.sha256(name.encode()).hexdigest()[:24], subsystem.node)
        read_only = any(namespace.bdev.read_only for namespace in subsystem.namespaces)
        subsystem.exports[host] = export
        await self._daemon.execute_raw(
            "block-export-add",
            {
                "type": "nbd",
                "id": export.export_id,
                "node-name": export.node,
                "name": name,
                "description": json.dumps(_identity(subsystem)),
                "writable": not read_only,
            },
        )

    async def _drop(self, subsystem: Subsystem, namespace: Namespace) -> None:
        subsystem.namespaces.remove(namespace)
        await self._adjust(subsystem)
        namespace.bdev.close(namespace.opening)
        namespace.bdev.claim = None
        await namespace.bdev.release_node()

    @asynccontextmanager
    async def _namespace_aside(self, subsystem: Subsystem) -> AsyncIterator[None]:
        while subsystem.exports:
            await self._daemon.delete_export(subsystem.exports.popitem()[1].export_id)
        try:
            yield
        finally:
            await self._adjust(subsystem)

    async def _namespace_resized(self, _: int) -> None:
        """Nothing more: its exports are aside meanwhile, and are made anew."""

    async def _namespace_gone(self, subsystem: Subsystem, nsid: int) -> None:
        for namespace in list(subsystem.namespaces):
            if namespace.nsid == nsid:
                await self._drop(subsystem, namespace)


def _describe(subsystem: Subsystem) -> Json:
    return {
        "nqn": subsystem.nqn,
        "subtype": subsystem.subtype,
        "listen_addresses": [
            {
                "trtype": address.trtype,
                "adrfam": address.adrfam,
                "traddr": address.traddr,
                "trsvcid": address.trsvcid,
            }
            for address in subsystem.listeners
        ],
        "allow_any_host": subsystem.allow_any_host,
        "hosts": [{"nqn": host} for host in subsystem.hosts],
        "serial_number": subsystem.serial_number,
        "model_number": subsystem.model_number,
        "max_namespaces": subsystem.max_namespaces,
        "passthrough": False,
        **_LIMITS,
        "namespaces": [
            {
                "nsid": namespace.nsid,
                "bdev_name": namespace.bdev.name,
                "name": namespace.bdev.name,
                "nguid": namespace.uuid.replace("-", "").upper(),
                "uuid": namespace.uuid,
            }
            for namespace in subsystem.namespaces
        ],
    }


def _identity(subsystem: Subsystem) -> dict[str, Json]:
    return {
        key: value
        for namespace in subsystem.namespaces[:1]
        for key, value in (
            ("uuid", namespace.uuid),
            ("serial_number", subsystem.serial_number),
            ("model_number", subsystem.model_number),
            ("size_bytes", namespace.bdev.size_bytes),
        )
    }


def _host_id(host: str) -> str:
    digest = hashlib.sha256(host.encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"
