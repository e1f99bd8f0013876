"""The files of one process's spans: a journal of what was begun, and the OTLP/JSON files of what has ended.

``<service>-<pid>-<start>.journal`` and ``….<number>.jsonl`` side by side. Both are appended to with one ``write`` for a
line and no fsync: what the kernel has taken survives the death of the process (not that of the machine, whose hardware
state is gone too). Each process holds a lock on its journal; a journal that can be locked has lost its process. The end
of its spans goes into *its own* last OTLP file, so that being killed while writing that repeats nothing.
Before a process begins its next OTLP file, what has ended leaves its journal. So all that a journal tells of either
ended in the process's last file or did not end, and earlier files may be removed.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from provider.runtime.tracing.files import Limits, SpanFile, files_of, last_file, remove_old
from provider.runtime.tracing.otlp_json import decode_span, encode_span, request_line, spans_of
from provider.runtime.tracing.span import Attribute, Span

RECORDED = "metalplane.recorded"
_COMPACT_AFTER = 20_000
_UNFINISHED = ".journal.new"


class Journal:
    """Not safe for several threads: the tracer serialises."""

    def __init__(
        self, directory: Path, service: str, resource: Mapping[str, Attribute], limits: Limits | None = None
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._service = service
        self._resource = resource
        self._limits = limits or Limits()
        self._path = directory / f"{service}-{os.getpid()}-{time.time_ns()}.journal"
        self._fd = _open_locked(self._path)
        self._out = SpanFile(self._path, self._limits.file_bytes)
        self._open: dict[str, Span] = {}
        self._begun = 0

    def begin(self, span: Span) -> None:
        """Write ahead that the span has begun."""
        self._open[span.span_id] = span
        self._begun += 1
        if self._begun > _COMPACT_AFTER:
            self._compact()
        else:
            os.write(self._fd, _begin_line(span))

    def end(self, span: Span) -> None:
        """Write the ended span out. It need not have begun here."""
        self._out.write(request_line(span, self._resource))
        self._open.pop(span.span_id, None)
        if self._out.full:
            self._compact()
            self._out.next()
            remove_old(self._path.parent, self._service, self._limits)

    def close(self) -> None:
        """Release the files; the journal goes if nothing is left open in it."""
        if not self._open:
            self._path.unlink(missing_ok=True)
        os.close(self._fd)
        self._out.close()

    def _compact(self) -> None:
        fresh = self._path.with_suffix(_UNFINISHED)
        fd = _open_locked(fresh)
        for span in self._open.values():
            os.write(fd, _begin_line(span))
        fresh.rename(self._path)
        os.close(self._fd)
        self._fd, self._begun = fd, len(self._open)


def close_abandoned(directory: Path, service: str, resource: Mapping[str, Attribute]) -> Iterator[Span]:
    """End every span that a dead process of ``service`` left open, with outcome ``unknown``; yields each."""
    for path in sorted(directory.glob(f"{service}-*.journal")):
        fd = _lock_if_abandoned(path)
        if fd is None:
            continue
        try:
            yield from _close_spans(path, resource)
            path.with_suffix(_UNFINISHED).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        finally:
            os.close(fd)


def recorded_ids(directory: Path, service: str) -> set[str]:
    """Ids of the spans with recorded times that earlier processes of ``service`` wrote out."""
    return {identity for path in files_of(directory, service) for identity in _recorded_in(path)}


def _recorded_in(path: Path) -> Iterator[str]:
    # Another process of the service may have removed it.
    with suppress(FileNotFoundError), path.open("rb") as lines:
        for line in lines:
            if RECORDED.encode() in line:
                yield from (span["spanId"] for span in spans_of(line))


def _close_spans(path: Path, resource: Mapping[str, Attribute]) -> Iterator[Span]:
    out_path = last_file(path)
    written = out_path.read_bytes() if out_path.exists() else b""
    ended = {span["spanId"] for line in written.splitlines() for span in spans_of(line)}
    last_sign_of_life_ns = path.stat().st_mtime_ns
    with out_path.open("ab") as out:
        if written and not written.endswith(b"\n"):
            out.write(b"\n")
        for line in path.read_bytes().splitlines():
            span = _begun_span(line)
            if span is None or span.span_id in ended:
                continue
            span.end_ns = max(span.start_ns, last_sign_of_life_ns)
            span.outcome, span.message = "unknown", "the process ended before the outcome was known"
            span.set("outcome", "unknown")
            out.write(request_line(span, resource))
            out.flush()
            ended.add(span.span_id)
            yield span


def _begin_line(span: Span) -> bytes:
    return json.dumps(encode_span(span), separators=(",", ":")).encode() + b"\n"


def _begun_span(line: bytes) -> Span | None:
    with suppress(ValueError):
        return decode_span(json.loads(line))
    return None


def _open_locked(path: Path) -> int:
    while True:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        fcntl.flock(fd, fcntl.LOCK_EX)
        # Between open and lock, somebody may have taken the new file for an abandoned one and removed it.
        with suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(fd).st_ino:
                return fd
        os.close(fd)


def _lock_if_abandoned(path: Path) -> int | None:
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    with suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between open and lock, its process may have put another in its place.
        if path.stat().st_ino == os.fstat(fd).st_ino:
            return fd
    os.close(fd)
    return None
