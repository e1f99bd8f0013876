"""Spans sent by OTLP/HTTP, as a collector receives them: decoded with OpenTelemetry's own protobuf."""

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from provider.runtime.tracing.export import OtlpExporter
from provider.runtime.tracing.ids import machine_trace
from provider.runtime.tracing.tracer import Tracer

MACHINE = "11111111-2222-3333-4444-555555555555"


class Collector(HTTPServer):
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        self.received: list[tuple[str, ExportTraceServiceRequest]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.received.append((self.path, ExportTraceServiceRequest.FromString(body)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_spans_reach_the_collector_under_the_machines_trace(collector: Collector) -> None:
    exporter = OtlpExporter(collector.url, {"service.name": "metalplane-test"})
    tracer = Tracer("metalplane-test", exporter=exporter)
    with (
        pytest.raises(ValueError, match="no such bdev"),
        tracer.span("reconcile", trace=machine_trace(MACHINE)),
        tracer.span("spdk bdev_get_bdevs", kind="client", attributes={"rpc.jsonrpc.request_id": 7}),
    ):
        raise ValueError("no such bdev")
    exporter.close()

    ((path, request),) = collector.received
    assert path == "/v1/traces"
    (resource,) = request.resource_spans
    assert {each.key: each.value.string_value for each in resource.resource.attributes} == {
        "service.name": "metalplane-test"
    }
    inner, outer = resource.scope_spans[0].spans
    assert (inner.name, outer.name) == ("spdk bdev_get_bdevs", "reconcile")
    assert inner.trace_id.hex() == outer.trace_id.hex() == MACHINE.replace("-", "")
    assert inner.parent_span_id == outer.span_id
    assert outer.parent_span_id.hex() == machine_trace(MACHINE).parent_span_id
    assert inner.attributes[0].key == "rpc.jsonrpc.request_id"
    assert inner.attributes[0].value.int_value == 7
    assert inner.status.message == "no such bdev"
    assert inner.start_time_unix_nano <= inner.end_time_unix_nano
