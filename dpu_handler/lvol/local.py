"""The way without a network: the pool is on the DPU's own target, and its volumes are bdevs there already.

A target cannot attach to itself, so this is how one target is storage node and DPU at once. Nothing has to be opened,
and nothing can be revoked: a volume is closed when the agent has taken its vhost controller away.
"""

from collections.abc import Iterable

from dpu_handler.lvol import target as seen
from dpu_handler.lvol.errors import CallAgain
from dpu_handler.lvol.records import ExportRecord
from dpu_handler.lvol.target import Target

PROTOCOL = "bdev"


class OwnTarget:
    """Volumes stay on their target, where the DPU's agent serves them."""

    async def open(self, target: Target, record: ExportRecord) -> None:
        """The bdev is there as long as the pool is open."""

    async def close(self, target: Target, lvol_uuid: str) -> None:
        """See that no vhost controller serves the volume: deleting a served one leaves the server a dead disk."""
        serving = await seen.vhost_controllers_of(target, lvol_uuid)
        if serving:
            raise CallAgain(
                f"Closing volume {lvol_uuid}: vhost controller {', '.join(sorted(serving))} still serves it. "
                "Call again once the agent has taken it away."
            )

    async def reaches(self, _target: Target, _record: ExportRecord, /) -> bool:
        """There is nothing between the volume and its disk."""
        return True

    async def out_of_shape(self, _target: Target, _records: Iterable[ExportRecord], /) -> list[str]:
        """None: there is nothing to rebuild."""
        return []

    def context(self, record: ExportRecord) -> dict[str, str]:
        """The UUID is the bdev's name."""
        return {"protocol": PROTOCOL, "uuid": record.lvol_uuid}
