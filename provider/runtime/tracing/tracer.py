"""What callers use: ``with tracer.span("attach volume", trace=machine_trace(uid)): …``."""

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from pathlib import Path
from types import TracebackType
from typing import Protocol

from provider.runtime.tracing.files import Limits, remove_old
from provider.runtime.tracing.ids import TraceRef, root_span_id, span_id
from provider.runtime.tracing.journal import RECORDED, Journal, close_abandoned, recorded_ids
from provider.runtime.tracing.span import Attribute, Kind, Span


class Exporter(Protocol):
    """Takes ended spans elsewhere, without making the caller wait."""

    def export(self, span: Span) -> None:
        """Queue one ended span."""

    def close(self) -> None:
        """Send what is queued, then stop."""


class Tracer:
    """One per process. Without journal and exporter nothing is recorded, and trace ids are still passed on.

    The current span travels with the task (a context variable); it is found before ``trace`` is. A span with neither
    is none at all, except that a client's request always has one: it then stands in a trace of this process.
    """

    def __init__(
        self,
        service: str,
        *,
        journal: Journal | None = None,
        exporter: Exporter | None = None,
        recorded: set[str] | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.service = service
        self._journal = journal
        self._exporter = exporter
        self._recorded = recorded or set()
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._last_ns = 0
        self._active: ContextVar[_Scope | None] = ContextVar("active_span", default=None)
        own = hashlib.sha256(f"{service}\0{os.getpid()}\0{clock_ns()}".encode()).hexdigest()[:32]
        self._own_trace = TraceRef(own, "")

    @property
    def enabled(self) -> bool:
        """Whether spans are kept anywhere."""
        return self._journal is not None or self._exporter is not None

    def current(self) -> TraceRef | None:
        """The place where a span that is started now would hang, as far as this task knows."""
        scope = self._active.get()
        return None if scope is None else scope.ref

    def span(
        self,
        name: str,
        *,
        trace: TraceRef | None = None,
        kind: Kind = "internal",
        attributes: Mapping[str, Attribute] | None = None,
        lazy: bool = False,
    ) -> AbstractContextManager[Span]:
        """A span around a block. An exception that leaves the block marks it as failed.

        ``lazy``: kept only if something happened in it, that is, if another span was started within (a reconcile that
        finds nothing to do leaves no trace).
        """
        outer = self._active.get()
        parent = outer.ref if outer is not None else trace
        if parent is None and kind == "client":
            parent = self._own_trace
        return _Scope(self, outer, parent, name, kind, dict(attributes or {}), lazy)

    def record(
        self,
        name: str,
        *,
        trace: TraceRef,
        start_ns: int,
        end_ns: int,
        span_id: str | None = None,
        attributes: Mapping[str, Attribute] | None = None,
    ) -> None:
        """A span whose times stand somewhere else, such as in a status. Recorded again, it is not repeated."""
        if not self.enabled:
            return
        identity = span_id or _recorded_id(trace.trace_id, name, start_ns)
        with self._lock:
            if identity in self._recorded:
                return
            self._recorded.add(identity)
        parent = "" if identity == trace.parent_span_id else trace.parent_span_id
        known = {**(attributes or {}), RECORDED: True}
        self.end(Span(name, trace.trace_id, identity, parent, start_ns, "internal", known, end_ns))

    def record_root(
        self,
        machine_uid: str,
        trace: TraceRef,
        *,
        start_ns: int,
        end_ns: int,
        attributes: Mapping[str, Attribute] | None = None,
    ) -> None:
        """The root span of a provisioning, once it is over."""
        identity = root_span_id(machine_uid)
        self.record("provision", trace=trace, start_ns=start_ns, end_ns=end_ns, span_id=identity, attributes=attributes)

    def start(self, name: str, parent: TraceRef, kind: Kind, attributes: dict[str, Attribute]) -> Span:
        """A new span; not yet written anywhere."""
        with self._lock:
            # Strictly rising, so that two spans of one name never get one id.
            start_ns = self._last_ns = max(self._clock_ns(), self._last_ns + 1)
        identity = span_id(parent.trace_id, self.service, name, start_ns)
        return Span(name, parent.trace_id, identity, parent.parent_span_id, start_ns, kind, attributes)

    def begin(self, span: Span) -> None:
        """Write ahead."""
        if self._journal is not None:
            with self._lock:
                self._journal.begin(span)

    def end(self, span: Span) -> None:
        """Write out."""
        span.end_ns = span.end_ns or max(self._clock_ns(), span.start_ns)
        if self._journal is not None:
            with self._lock:
                self._journal.end(span)
        if self._exporter is not None:
            self._exporter.export(span)

    def close(self) -> None:
        """Flush and release."""
        if self._journal is not None:
            self._journal.close()
        if self._exporter is not None:
            self._exporter.close()


class _Scope(AbstractContextManager[Span]):
    """The block of one span; also where spans within it find their parent."""

    def __init__(
        self,
        tracer: Tracer,
        outer: "_Scope | None",
        parent: TraceRef | None,
        name: str,
        kind: Kind,
        attributes: dict[str, Attribute],
        lazy: bool,
    ) -> None:
        self._tracer = tracer
        self._outer = outer
        self._parent = parent
        self._new = (name, kind, attributes)
        self._lazy = lazy
        self._kept = False
        self._token: Token[_Scope | None] | None = None
        self._span: Span | None = None
        self.ref: TraceRef | None = parent

    def __enter__(self) -> Span:
        name, kind, attributes = self._new
        if self._parent is None or not self._tracer.enabled:
            # Not recorded, yet whatever hangs under it elsewhere may be.
            parent = self._parent or TraceRef("", "")
            span = Span(name, parent.trace_id, parent.parent_span_id, "", 0, kind, attributes)
        else:
            span = self._span = self._tracer.start(name, self._parent, kind, attributes)
            self.ref = span.trace
            if not self._lazy:
                self._keep()
        self._token = self._tracer._active.set(self)
        return span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            self._tracer._active.reset(self._token)
        if self._span is None or not self._kept:
            return
        if isinstance(error, asyncio.CancelledError):
            self._span.fail("cancelled")
        elif error is not None:
            self._span.fail(str(error) or type(error).__name__)
        self._tracer.end(self._span)

    def _keep(self) -> None:
        if self._kept or self._span is None:
            return
        self._kept = True
        if self._outer is not None:
            self._outer._keep()
        self._tracer.begin(self._span)


def make_tracer(
    service: str,
    *,
    version: str,
    directory: Path | None,
    otlp_endpoint: str | None,
    limits: Limits | None = None,
) -> Tracer:
    """The tracer of a process: files in ``directory``, OTLP/HTTP to ``otlp_endpoint`` (a base URL), either, or none.

    Closes the spans that a killed predecessor left open. ``limits`` are those of the files.
    """
    resource: dict[str, Attribute] = {"service.name": service, "service.version": version}
    exporter: Exporter | None = None
    if otlp_endpoint:
        # Imported only where it is used: 60 MiB and half a second that most processes do not need.
        from provider.runtime.tracing.export import OtlpExporter

        exporter = OtlpExporter(otlp_endpoint, resource)
    journal: Journal | None = None
    recorded: set[str] = set()
    if directory is not None:
        journal = Journal(directory, service, resource, limits)
        recorded = recorded_ids(directory, service)
        for span in close_abandoned(directory, service, resource):
            if exporter is not None:
                exporter.export(span)
        remove_old(directory, service, limits or Limits())
    return Tracer(service, journal=journal, exporter=exporter, recorded=recorded)


def _recorded_id(trace_id: str, name: str, start_ns: int) -> str:
    return span_id(trace_id, "", name, start_ns)
