"""The OTLP/JSON files of a service: none grows without bound, and the oldest of them go.

``<service>-<pid>-<start>.<number>.jsonl``: a process begins the next one when the present one is full. What is removed
is the oldest, whoever wrote it, except the last file of a process whose journal is there: the journal is told from it.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Limits:
    """A file is full at ``file_bytes``; of all files of a service the newest are kept, so many and so much."""

    file_bytes: int = 32 << 20
    kept_bytes: int = 128 << 20
    kept_files: int = 256


class SpanFile:
    """Where a process writes: one line a ``write``, no fsync."""

    def __init__(self, journal: Path, limit_bytes: int) -> None:
        self._journal = journal
        self._limit_bytes = limit_bytes
        self._number = 0
        self._fd = self._open()
        self._size_bytes = 0

    @property
    def full(self) -> bool:
        """Whether the next line belongs into the next file."""
        return self._size_bytes >= self._limit_bytes

    def write(self, line: bytes) -> None:
        """Append one line."""
        self._size_bytes += os.write(self._fd, line)

    def next(self) -> None:
        """Go on in a new file."""
        self._number += 1
        full, self._fd, self._size_bytes = self._fd, self._open(), 0
        os.close(full)

    def close(self) -> None:
        """Release the file."""
        os.close(self._fd)

    def _open(self) -> int:
        path = self._journal.with_suffix(f".{self._number:06}.jsonl")
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


def last_file(journal: Path) -> Path:
    """Where the process of a journal wrote last, or would have."""
    written = journal.parent.glob(f"{journal.stem}.*.jsonl")
    return max(written, default=journal.with_suffix(".000000.jsonl"))


def files_of(directory: Path, service: str) -> Iterator[Path]:
    """All files of a service."""
    return directory.glob(f"{service}-*.jsonl")


def remove_old(directory: Path, service: str, limits: Limits) -> None:
    """Remove what is beyond the limits."""
    newest_first = sorted(_seen(directory, service), reverse=True)
    # Looked at after the files: who begins meanwhile is newer than all of them.
    needed = {last_file(journal) for journal in directory.glob(f"{service}-*.journal")}
    total_bytes = 0
    for count, (_, path, size_bytes) in enumerate(newest_first, 1):
        total_bytes += size_bytes
        beyond = count > limits.kept_files or total_bytes > limits.kept_bytes
        if beyond and path not in needed:
            path.unlink(missing_ok=True)


def _seen(directory: Path, service: str) -> Iterator[tuple[int, Path, int]]:
    for path in files_of(directory, service):
        # Another process of the service may be removing as well.
        with suppress(FileNotFoundError):
            status = path.stat()
            yield status.st_mtime_ns, path, status.st_size
