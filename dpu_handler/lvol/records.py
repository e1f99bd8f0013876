"""The small files beside the pool: what must outlive the target's memory and is not in the pool itself.

One JSON file a volume that was ever exported: who holds it, and the generation of its last attach. Written, and synced
to disk, *before* the target is asked for anything, so that after a crash at any point an earlier generation is never
handed out again.

One empty file for each image that may be in the pool, whose snapshot's name has room for a part of its sha256 only;
and one for each that is to go and may not be gone yet.
"""

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

IMPORTED, DROPPED = ".imported", ".dropped"


@dataclass(frozen=True, slots=True)
class ExportRecord:
    """Who holds a volume. ``node_id`` is None between attaches; the generation only ever rises."""

    lvol_uuid: str
    generation: int
    node_id: str | None


class ExportRecords:
    """The records in one directory, read once and written through."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        read = (_read(path) for path in sorted(directory.glob("*.json")))
        self._known = {record.lvol_uuid: record for record in read}

    def get(self, lvol_uuid: str) -> ExportRecord | None:
        """The record of one volume, if it was ever exported."""
        return self._known.get(lvol_uuid)

    async def put(self, record: ExportRecord) -> None:
        """Replace the record, durably."""
        await asyncio.to_thread(write_durably, self._path(record.lvol_uuid), json.dumps(asdict(record)))
        self._known[record.lvol_uuid] = record

    def forget(self, lvol_uuid: str) -> None:
        """The volume is gone: its UUID never comes again, so neither does its generation."""
        self._path(lvol_uuid).unlink(missing_ok=True)
        self._known.pop(lvol_uuid, None)

    def held(self) -> list[ExportRecord]:
        """Records of the volumes that somebody holds."""
        return [record for record in self._known.values() if record.node_id is not None]

    def _path(self, lvol_uuid: str) -> Path:
        return self._directory / f"{lvol_uuid}.json"


class ImageMarks:
    """Images of which one thing is so, each a file ``<sha256>`` with a suffix that says what."""

    def __init__(self, directory: Path, suffix: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._suffix = suffix
        self._known = {path.stem for path in directory.glob(f"*{suffix}")}

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._known))

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self._known

    async def add(self, sha256: str) -> None:
        """Remember it, durably."""
        await asyncio.to_thread(write_durably, self._path(sha256), "")
        self._known.add(sha256)

    def remove(self, sha256: str) -> None:
        """It is so no more."""
        self._path(sha256).unlink(missing_ok=True)
        self._known.discard(sha256)

    def _path(self, sha256: str) -> Path:
        return self._directory / f"{sha256}{self._suffix}"


def _read(path: Path) -> ExportRecord:
    """A record; keys of other versions of the driver are passed over."""
    told = json.loads(path.read_text())
    return ExportRecord(told["lvol_uuid"], told["generation"], told["node_id"])


def write_durably(path: Path, text: str) -> None:
    """Replace a file so that after a crash it has the old content or the new one, on disk."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
