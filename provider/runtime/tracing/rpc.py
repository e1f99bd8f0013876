"""Spans around the requests of JSON-RPC clients: one span for each request, found again by the request's id."""

from collections.abc import Iterator
from contextlib import contextmanager

from provider.runtime.tracing.span import Attribute
from provider.runtime.tracing.tracer import Tracer


class RpcTracer:
    """Gives each request of a southbound client its span. Attributes follow OpenTelemetry's RPC conventions."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def request(self, system: str, method: str, request_id: int) -> Iterator[None]:
        """Around one request to ``system`` (spdk, ovsdb, emulation), from before it is sent until its reply."""
        attributes: dict[str, Attribute] = {
            "rpc.system": "jsonrpc",
            "rpc.service": system,
            "rpc.method": method,
            "rpc.jsonrpc.request_id": request_id,
        }
        with self._tracer.span(f"{system} {method}", kind="client", attributes=attributes):
            yield
