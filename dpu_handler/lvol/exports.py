"""Exports: which DPU may reach a volume, as an NVMe-oF subsystem that lists exactly one host.

The host list is the only exclusivity between DPUs that the target enforces, so it never has two entries, and a host NQN
is never used for a second attach (``names.host``): a DPU that was fenced and comes back replays its queued writes under
its old name, and that name must not open anything.
"""

import asyncio
import time
import uuid as uuids
from collections.abc import Callable

from dpu_handler.lvol import names, planning
from dpu_handler.lvol import target as seen
from dpu_handler.lvol.errors import CallAgain, NoSuchObject, NotNow
from dpu_handler.lvol.execution import converge
from dpu_handler.lvol.records import ExportRecord, ExportRecords
from dpu_handler.lvol.target import Target

_DISCONNECT_S = 20.0
_LOOK_AGAIN_S = 0.1


class Exports:
    """The exports of one storage node."""

    def __init__(
        self, records: ExportRecords, listener: planning.Listener, clock: Callable[[], float] = time.time
    ) -> None:
        self._records = records
        self._listener = listener
        self._clock = clock

    async def publish(self, target: Target, lvol_uuid: str, node_id: str) -> dict[str, str]:
        """Open the volume to one node and no other; the ``publish_context`` that the node attaches with."""
        _check_node(node_id)
        record = self._records.get(lvol_uuid)
        if record is None or record.node_id is None:
            # The first of a volume is the time, so that no generation comes again if the records are ever lost.
            generation = int(self._clock()) if record is None else record.generation + 1
            record = ExportRecord(lvol_uuid, generation, node_id)
            await self._records.put(record)
        elif record.node_id != node_id:
            raise NotNow(
                f"Publishing volume {lvol_uuid} to node {node_id}: node {record.node_id} holds it. "
                "Unpublish it from there first."
            )
        await self._export(target, record)
        return self._context(record)

    async def unpublish(self, target: Target, lvol_uuid: str, node_id: str) -> None:
        """Close the volume to the node, and make sure that nobody is connected. Done already is fine.

        What the target exports decides, and the record only whose it is: without one, whoever is let in is put out.
        """
        record = self._records.get(lvol_uuid)
        if record is not None and record.node_id is not None and node_id and record.node_id != node_id:
            return
        await self._revoke(target, lvol_uuid)
        if record is not None and record.node_id is not None:
            await self._records.put(ExportRecord(lvol_uuid, record.generation, None))

    async def rebuild(self, target: Target, lvol_uuid: str) -> None:
        """Make the target match the volume's record, as that is now."""
        record = self._records.get(lvol_uuid)
        if record is not None and record.node_id is not None:
            await self._export(target, record)

    async def out_of_shape(self, target: Target) -> list[str]:
        """Volumes that somebody holds and that the target does not export as their records say."""
        known = await seen.subsystems(target)
        wrong = []
        for record in self._records.held():
            subsystem = known.get(names.subsystem(record.lvol_uuid))
            if planning.export(record.lvol_uuid, _host(record), self._listener, subsystem):
                wrong.append(record.lvol_uuid)
        return wrong

    def holder(self, lvol_uuid: str) -> str | None:
        """The node that holds the volume, if any does."""
        record = self._records.get(lvol_uuid)
        return None if record is None else record.node_id

    def forget(self, lvol_uuid: str) -> None:
        """The volume was deleted."""
        self._records.forget(lvol_uuid)

    async def _export(self, target: Target, record: ExportRecord) -> None:
        host = _host(record)

        async def plan() -> planning.Plan:
            known = await seen.subsystems(target)
            subsystem = known.get(names.subsystem(record.lvol_uuid))
            return planning.export(record.lvol_uuid, host, self._listener, subsystem)

        await converge(target, f"Exporting volume {record.lvol_uuid} to {host}", plan)

    async def _revoke(self, target: Target, lvol_uuid: str) -> None:
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

    def _context(self, record: ExportRecord) -> dict[str, str]:
        return {
            "protocol": "nvmf-tcp",
            "traddr": self._listener.traddr,
            "trsvcid": self._listener.trsvcid,
            "subnqn": names.subsystem(record.lvol_uuid),
            "hostnqn": _host(record),
            "nsid": "1",
            "uuid": record.lvol_uuid,
        }


def _host(record: ExportRecord) -> str:
    return names.host(record.node_id or "", record.generation)


def _check_node(node_id: str) -> None:
    try:
        uuids.UUID(node_id)
    except ValueError as error:
        raise NoSuchObject(
            f"There is no node {node_id!r}: a node id is the UID of the Server that the DPU sits in."
        ) from error
