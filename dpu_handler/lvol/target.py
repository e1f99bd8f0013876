"""SPDK's answers as values. Nothing here changes anything.

Shapes: ``bdev_get_bdevs``, ``bdev_lvol_get_lvstores``, ``nvmf_get_subsystems``, ``vhost_get_controllers`` as recorded
from a real target.
"""

import errno
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from dpu_handler.southbound import RpcRefused


class Target(Protocol):
    """The part of ``SpdkClient`` that the driver needs."""

    def call(
        self, method: str, params: Mapping[str, Any] | None = None, *, timeout_s: float | None = None
    ) -> Awaitable[Any]:
        """The result of one JSON-RPC request. Raises ``SouthboundError``."""
        ...


@dataclass(frozen=True, slots=True)
class Lvol:
    """A logical volume or snapshot.

    ``parent`` is the snapshot it is a clone of, ``esnap`` its external snapshot; ``clones`` names what stands on it.
    """

    uuid: str
    name: str
    size_bytes: int
    is_snapshot: bool = False
    parent: str | None = None
    esnap: str | None = None
    clones: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Lvstore:
    """An lvstore and its room, in bytes."""

    uuid: str
    name: str
    cluster_bytes: int
    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Subsystem:
    """An NVMe-oF subsystem: who may connect, what it shows, where it listens."""

    nqn: str
    hosts: frozenset[str]
    namespace_uuids: frozenset[str]
    listeners: frozenset[tuple[str, str]]
    any_host: bool = False


async def lvol(target: Target, name: str) -> Lvol | None:
    """The lvol of that UUID or alias (lvstore/name), or None; a bdev of another kind is none either."""
    bdev = await _bdev(target, name)
    return None if bdev is None else _lvol(bdev, name)


async def lvols(target: Target, lvstore: str) -> list[Lvol]:
    """All lvols and snapshots of an lvstore."""
    bdevs = await target.call("bdev_get_bdevs")
    inside = (bdev for bdev in bdevs if any(alias.startswith(f"{lvstore}/") for alias in bdev.get("aliases", ())))
    return [found for found in (_lvol(bdev, bdev["name"]) for bdev in inside) if found is not None]


def _lvol(bdev: dict[str, Any], name: str) -> Lvol | None:
    detail = bdev["driver_specific"].get("lvol")
    if detail is None:
        return None
    alias = next(iter(bdev.get("aliases", ())), name)
    return Lvol(
        uuid=bdev["uuid"],
        name=alias.rpartition("/")[2],
        size_bytes=bdev["num_blocks"] * bdev["block_size"],
        is_snapshot=detail["snapshot"],
        parent=detail.get("base_snapshot"),
        esnap=detail.get("external_snapshot_name") if detail.get("esnap_clone") else None,
        clones=frozenset(detail.get("clones", ())),
    )


async def bdev_exists(target: Target, name: str) -> bool:
    """Whether a bdev has that name or alias."""
    return await _bdev(target, name) is not None


async def lvstore(target: Target, name: str) -> Lvstore | None:
    """The lvstore of that name, or None."""
    for store in await target.call("bdev_lvol_get_lvstores"):
        if store["name"] == name:
            cluster = store["cluster_size"]
            return Lvstore(
                store["uuid"],
                name,
                cluster,
                store["free_clusters"] * cluster,
                store["total_data_clusters"] * cluster,
            )
    return None


async def has_tcp_transport(target: Target) -> bool:
    """Whether the NVMe-oF TCP transport was made."""
    return any(transport["trtype"].upper() == "TCP" for transport in await target.call("nvmf_get_transports"))


async def subsystems(target: Target) -> dict[str, Subsystem]:
    """All NVMe subsystems by NQN (the discovery subsystem is left out)."""
    return {
        entry["nqn"]: Subsystem(
            nqn=entry["nqn"],
            hosts=frozenset(host["nqn"] for host in entry.get("hosts", ())),
            namespace_uuids=frozenset(namespace["uuid"] for namespace in entry.get("namespaces", ())),
            listeners=frozenset(
                (address["traddr"], address["trsvcid"]) for address in entry.get("listen_addresses", ())
            ),
            any_host=entry.get("allow_any_host", False),
        )
        for entry in await target.call("nvmf_get_subsystems")
        if entry.get("subtype") == "NVMe"
    }


async def connected_hosts(target: Target, nqn: str) -> frozenset[str]:
    """Host NQNs with a live connection to the subsystem."""
    controllers = await target.call("nvmf_subsystem_get_controllers", {"nqn": nqn})
    return frozenset(controller["hostnqn"] for controller in controllers)


async def vhost_controllers_of(target: Target, lvol_uuid: str) -> frozenset[str]:
    """Names of the vhost controllers that serve the volume; they name it by UUID, whatever they were made with."""
    controllers = await target.call("vhost_get_controllers")
    return frozenset(
        controller["ctrlr"]
        for controller in controllers
        if controller["backend_specific"].get("block", {}).get("bdev") == lvol_uuid
    )


async def _bdev(target: Target, name: str) -> dict[str, Any] | None:
    try:
        found = await target.call("bdev_get_bdevs", {"name": name})
    except RpcRefused as refusal:
        if refusal.code == -errno.ENODEV:
            return None
        raise
    bdev: dict[str, Any] = found[0]
    return bdev
