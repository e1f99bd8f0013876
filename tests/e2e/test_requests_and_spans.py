"""Every request that a target, a switch or a chassis received has exactly one span, also where its sender was killed.

The logs are the other side's own: the stand-in's and the chassis' request logs, and ovsdb-server's debug log. SPDK
itself keeps no such log.
"""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import fabric
from sandbox.cloud import Cloud
from tests.e2e.tenant import Tenant, kill
from tests.waiting import wait_for

Json = dict[str, Any]

_OUR_IDS_BEGIN_AT = 1 << 32
"""Ids of the agent and the driver begin at a random point high up; those of other clients count from zero."""
_OVSDB_REQUEST = re.compile(r'received request, method="(?P<method>\w+)".* id=(?P<id>\d+)$')


@pytest.fixture
def ovsdb_log(cloud: Cloud) -> Iterator[Path]:
    """ovsdb-server's log, with every JSON-RPC message in it while the test runs."""
    switch = fabric.dpu_switch(cloud.layout, 0)
    say = ["ovs-appctl", "-t", str(switch.sockets / "ovsdb-server.ctl"), "vlog/set"]
    subprocess.run([*say, "jsonrpc:console:dbg"], check=True, capture_output=True)
    yield cloud.layout.log / "ovsdb-server-dpu0.log"
    subprocess.run([*say, "jsonrpc:console:info"], check=True, capture_output=True)


def test_each_request_has_one_span(cloud: Cloud, tenant: Tenant, ovsdb_log: Path) -> None:
    machine = tenant.apply(runStrategy="Halted")
    machine.wait_step("ServerBound")
    kill(cloud, "agent-dpu0", "lvol")
    machine.wait_status("Stopped")
    machine.delete()
    kill(cloud, "agent-dpu0", "lvol")
    machine.wait_gone()

    received = {*requests(cloud.layout.log), *ovsdb_requests(ovsdb_log)}
    logging = {"emulation", "ovsdb"} if cloud.spdk.are_real else {"spdk", "emulation", "ovsdb"}
    assert {service for service, _ in received} == logging
    # A span is written out when its request has ended, or by the successor of the process that was killed.
    wait_for(lambda: not received - spans(cloud.layout.trace).keys(), "a span for each request")
    doubled = {request: count for request, count in spans(cloud.layout.trace).items() if count > 1}
    assert doubled == {}


def requests(log: Path) -> Iterator[tuple[str, int]]:
    """Service and id of each request of ours in the request logs."""
    for path in log.glob("*.requests.jsonl"):
        for line in path.read_text().splitlines():
            request: Json = json.loads(line)
            if isinstance(request["id"], int) and request["id"] >= _OUR_IDS_BEGIN_AT:
                yield path.name.partition("-")[0], request["id"]


def ovsdb_requests(log: Path) -> Iterator[tuple[str, int]]:
    for line in log.read_text(errors="replace").splitlines():
        found = _OVSDB_REQUEST.search(line)
        if found and int(found["id"]) >= _OUR_IDS_BEGIN_AT:
            yield "ovsdb", int(found["id"])


def spans(directory: Path) -> Counter[tuple[str, int]]:
    """How many spans there are for each request, by service and id (OTLP-JSON, one export request a line)."""
    found: Counter[tuple[str, int]] = Counter()
    for path in directory.glob("*.jsonl"):
        # A line that is being written has no end yet.
        for line in path.read_bytes().split(b"\n")[:-1]:
            for span in _spans_of(json.loads(line)):
                attributes: Json = {each["key"]: each["value"] for each in span.get("attributes", ())}
                if "rpc.jsonrpc.request_id" in attributes:
                    service = attributes["rpc.service"]["stringValue"]
                    found[service, int(attributes["rpc.jsonrpc.request_id"]["intValue"])] += 1
    return found


def _spans_of(export: Json) -> Iterator[Json]:
    for resource in export["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            yield from scope["spans"]
