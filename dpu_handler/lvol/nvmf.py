"""The way over the network: an NVMe-oF subsystem for each volume, which lists exactly one host.

The host list is the only exclusivity between DPUs that the target enforces, so it never has two entries.
"""

import asyncio
from collections.abc import Iterable

from dpu_handler.lvol import names, planning
from dpu_handler.lvol import target as seen
from dpu_handler.lvol.errors import CallAgain
from dpu_handler.lvol.execution import converge
from dpu_handler.lvol.records import ExportRecord
from dpu_handler.lvol.target import Target

PROTOCOL = "nvmf-tcp"
_DISCONNECT_S = 20.0
_LOOK_AGAIN_S = 0.1


class NvmeTcp:
    """Volumes leave through one NVMe/TCP listener."""

    def __init__(self, listener: planning.Listener) -> None:
        self._listener = listener

    async def open(self, target: Target, record: ExportRecord) -> None:
        """Have the volume's subsystem show it to the record's host and no other."""
        host = _host(record)

        async def plan() -> planning.Plan:
            known = await seen.subsystems(target)
            return planning.export(record.lvol_uuid, host, self._listener, known.get(names.subsystem(record.lvol_uuid)))

        await converge(target, f"Exporting volume {record.lvol_uuid} to {host}", plan)

    async def close(self, target: Target, lvol_uuid: str) -> None:
        """Revoke every host, wait until none is connected, and delete the subsystem."""
        nqn = names.subsystem(lvol_uuid)
        attempt = f"Closing the export of volume {lvol_uuid}"

        async def plan() -> planning.Plan:
            subsystem = (await seen.subsystems(target)).get(nqn)
            if subsystem is None:
                return ()
            return planning.unexport(subsystem, await self._disconnected(target, nqn, subsystem.hosts))

        await converge(target, attempt, plan)
        if nqn in await seen.subsystems(target):
            raise CallAgain(f"{attempt}: a host is still connected after {_DISCONNECT_S:g} s. Call again.")

    async def reaches(self, target: Target, record: ExportRecord) -> bool:
        """Whether the record's host is connected."""
        nqn = names.subsystem(record.lvol_uuid)
        # A target that has just come back exports nothing yet.
        return nqn in await seen.subsystems(target) and _host(record) in await seen.connected_hosts(target, nqn)

    async def out_of_shape(self, target: Target, records: Iterable[ExportRecord], /) -> list[str]:
        """Volumes whose subsystem is missing or another than it should be."""
        known = await seen.subsystems(target)
        return [
            record.lvol_uuid
            for record in records
            if planning.export(
                record.lvol_uuid, _host(record), self._listener, known.get(names.subsystem(record.lvol_uuid))
            )
        ]

    def context(self, record: ExportRecord) -> dict[str, str]:
        """All that ``bdev_nvme_attach_controller`` needs."""
        return {
            "protocol": PROTOCOL,
            "traddr": self._listener.traddr,
            "trsvcid": self._listener.trsvcid,
            "subnqn": names.subsystem(record.lvol_uuid),
            "hostnqn": _host(record),
            "nsid": "1",
            "uuid": record.lvol_uuid,
        }

    async def _disconnected(self, target: Target, nqn: str, hosts: frozenset[str]) -> frozenset[str]:
        """Who is still connected, once no host is listed: they are given time to be cut off."""
        if hosts:
            return frozenset()
        deadline = asyncio.get_running_loop().time() + _DISCONNECT_S
        connected = await seen.connected_hosts(target, nqn)
        while connected and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(_LOOK_AGAIN_S)
            connected = await seen.connected_hosts(target, nqn)
        return connected


def _host(record: ExportRecord) -> str:
    return names.host(record.node_id or "", record.generation)
