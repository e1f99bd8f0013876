"""Exports: which DPU may reach a volume, and that no second one ever does.

Whoever holds a volume is in its record, and a host NQN is never used for a second attach (``names.host``): a DPU that
was fenced and comes back replays its queued writes under its old name, and that name must not open anything.
How a volume leaves the target is a ``Way``: ``nvmf`` over the network, ``local`` on the DPU's own target.
"""

import time
import uuid as uuids
from collections.abc import Callable, Iterable
from typing import Protocol

from dpu_handler.lvol.errors import CallAgain, NoSuchObject, NotNow
from dpu_handler.lvol.records import ExportRecord, ExportRecords
from dpu_handler.lvol.target import Target


class Way(Protocol):
    """How a volume reaches the node that holds it."""

    async def open(self, target: Target, record: ExportRecord) -> None:
        """Let the record's node reach the volume, and no other."""
        ...

    async def close(self, target: Target, lvol_uuid: str) -> None:
        """Return once nobody can reach the volume. Raises ``CallAgain`` while somebody still does."""
        ...

    async def reaches(self, target: Target, record: ExportRecord) -> bool:
        """Whether the record's node has the volume open now, and so would be told that it is another size."""
        ...

    async def out_of_shape(self, target: Target, records: Iterable[ExportRecord], /) -> list[str]:
        """UUIDs of those volumes that are not open as their records say."""
        ...

    def context(self, record: ExportRecord) -> dict[str, str]:
        """The ``publish_context`` of CSI: what the node needs to know."""
        ...


class Exports:
    """The exports of one storage node."""

    def __init__(self, records: ExportRecords, way: Way, clock: Callable[[], float] = time.time) -> None:
        self._records = records
        self._way = way
        self._clock = clock
        self._unread: set[str] = set()
        """Opened by this process to a node that has not been seen connected: nobody has read the volume's size."""

    async def publish(self, target: Target, lvol_uuid: str, node_id: str) -> dict[str, str]:
        """Open the volume to one node and no other; the ``publish_context`` that the node attaches with."""
        _check_node(node_id)
        record = self._records.get(lvol_uuid)
        if record is None or record.node_id is None:
            # The first of a volume is the time, so that no generation comes again if the records are ever lost.
            generation = int(self._clock()) if record is None else record.generation + 1
            record = ExportRecord(lvol_uuid, generation, node_id)
            await self._records.put(record)
            self._unread.add(lvol_uuid)
        elif record.node_id != node_id:
            raise NotNow(
                f"Publishing volume {lvol_uuid} to node {node_id}: node {record.node_id} holds it. "
                "Unpublish it from there first."
            )
        await self._way.open(target, record)
        return self._way.context(record)

    async def unpublish(self, target: Target, lvol_uuid: str, node_id: str) -> None:
        """Close the volume to the node, and make sure that nobody is connected. Done already is fine.

        What the target exports decides, and the record only whose it is: without one, whoever is let in is put out.
        """
        record = self._records.get(lvol_uuid)
        if record is not None and record.node_id is not None and node_id and record.node_id != node_id:
            return
        await self._way.close(target, lvol_uuid)
        if record is not None and record.node_id is not None:
            await self._records.put(ExportRecord(lvol_uuid, record.generation, None))

    async def check_reached(self, target: Target, lvol_uuid: str) -> None:
        """Raises ``CallAgain`` while some node holds the volume and would not be told that it grows.

        SPDK's initiator has a namespace's new size from the notice of it alone. It looks at no size when it connects
        again (``bdev_nvme_reconnect_ctrlr_poll``), so what grew while a DPU was cut off stays small there for good. A
        node that has not connected yet reads the size when it does.
        """
        record = self._records.get(lvol_uuid)
        if record is None or record.node_id is None:
            return
        if await self._way.reaches(target, record):
            self._unread.discard(lvol_uuid)
            return
        if lvol_uuid in self._unread:
            return
        raise CallAgain(
            f"Growing volume {lvol_uuid}: node {record.node_id} holds it and is not connected to it now, so it would "
            "not be told of the new size. Call again once it is back, or unpublish the volume."
        )

    async def note_readers(self, target: Target) -> None:
        """Remember which nodes have connected since their volumes were opened; to be called every second or so."""
        for lvol_uuid in list(self._unread):
            record = self._records.get(lvol_uuid)
            if record is None or record.node_id is None or await self._way.reaches(target, record):
                self._unread.discard(lvol_uuid)

    async def rebuild(self, target: Target, lvol_uuid: str) -> None:
        """Make the target match the volume's record, as that is now."""
        record = self._records.get(lvol_uuid)
        if record is not None and record.node_id is not None:
            await self._way.open(target, record)

    async def out_of_shape(self, target: Target) -> list[str]:
        """Volumes that somebody holds and that the target does not export as their records say."""
        return await self._way.out_of_shape(target, self._records.held())

    def holder(self, lvol_uuid: str) -> str | None:
        """The node that holds the volume, if any does."""
        record = self._records.get(lvol_uuid)
        return None if record is None else record.node_id

    def forget(self, lvol_uuid: str) -> None:
        """The volume was deleted."""
        self._records.forget(lvol_uuid)


def _check_node(node_id: str) -> None:
    try:
        uuids.UUID(node_id)
    except ValueError as error:
        raise NoSuchObject(
            f"There is no node {node_id!r}: a node id is the UID of the Server that the DPU sits in."
        ) from error
