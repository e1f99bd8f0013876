"""Round trips of attaching one disk and plugging one NIC, counted from the spans of the machine's trace.

A span covers one request from its leaving to its answer. Requests that overlap in time could not wait for one another,
so they share a round; the number of rounds is the longest chain of requests each of which left after the one before had
been answered. That each request to SPDK and to the device emulation has exactly one span is checked against the logs
of those who answered them.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from sandbox.paths import Layout
from tests.bench import spans
from tests.bench.spans import Span
from tests.bench.waiting import BenchFailed, wait_for

_LOGS = {"spdk": "spdk-{place}.requests.jsonl", "emulation": "emulation-{place}.requests.jsonl"}


@dataclass(frozen=True, slots=True)
class Operation:
    """A piece of work: the spans ``work`` on one object, up to the one that has sent ``by`` (and ``first`` before).

    ``place`` names the request logs of those whom it asks.
    """

    name: str
    work: str
    by: str
    first: str
    place: str


OPERATIONS = (
    Operation("disk attach", "reconcile EmulatedDisk", "emulation_plug", "bdev_nvme_attach_controller", "dpu0"),
    Operation("NIC plug", "reconcile EmulatedNIC", "emulation_plug", "transact", "dpu0"),
    Operation("volume export", "serve ControllerPublishVolume", "nvmf_subsystem_add_listener", "", "storage"),
)


@dataclass(frozen=True, slots=True)
class Request:
    """One request: who was asked what, and when by Unix time in nanoseconds."""

    service: str
    method: str
    number: int
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Work:
    """One span of work, and the requests that it sent itself."""

    name: str
    subject: str
    start_ns: int
    requests: tuple[Request, ...]

    def sent(self, method: str) -> bool:
        return any(request.method == method for request in self.requests)


def rounds(requests: Iterable[Request]) -> list[list[Request]]:
    """The requests by rounds: a new one begins when a request leaves after one of the round's was answered."""
    found: list[list[Request]] = []
    answered_ns = 0
    for request in sorted(requests, key=lambda each: each.start_ns):
        if not found or request.start_ns >= answered_ns:
            found.append([])
            answered_ns = request.end_ns
        found[-1].append(request)
        answered_ns = min(answered_ns, request.end_ns)
    return found


def story(requests: Iterable[Request]) -> str:
    """The rounds in words."""
    return " > ".join(" + ".join(request.method for request in each) for each in rounds(requests))


class Trace:
    """The trace of one machine, from the files that the product's parts write."""

    def __init__(self, layout: Layout, machine_uid: str) -> None:
        self._layout = layout
        self._machine_uid = machine_uid

    def requests_of(self, operation: Operation) -> list[Request]:
        """All requests of the operation, in one reconcile or in several of the same object."""
        requests = wait_for(f"the trace of a {operation.name}", lambda: self._requests_of(operation))
        self._check_logged(operation, requests)
        return requests

    def _requests_of(self, operation: Operation) -> list[Request] | None:
        works = sorted(self._works(operation.work), key=lambda work: work.start_ns)
        for subject in dict.fromkeys(work.subject for work in works):
            mine = [work for work in works if work.subject == subject]
            last = next((index for index, work in enumerate(mine) if work.sent(operation.by)), None)
            if last is not None:
                until = mine[: last + 1]
                if not operation.first or any(work.sent(operation.first) for work in until):
                    return list(chain.from_iterable(work.requests for work in until))
        return None

    def _works(self, name: str) -> Iterator[Work]:
        found = list(spans.of_machine(self._layout, self._machine_uid))
        for span in found:
            if span.name == name:
                sent = tuple(_request(each) for each in found if each.parent_span_id == span.span_id and _asks(each))
                yield Work(name, str(span.attributes.get("k8s.object", span.span_id)), span.start_ns, sent)

    def _check_logged(self, operation: Operation, requests: Sequence[Request]) -> None:
        for service, file in _LOGS.items():
            path = self._layout.log / file.format(place=operation.place)
            wanted = {request.number for request in requests if request.service == service}
            if wanted and (missing := wanted - set(_logged(path))):
                raise BenchFailed(f"Comparing the trace with {path}", cause=f"{len(missing)} spans have no request")


def _asks(span: Span) -> bool:
    return span.attributes.get("rpc.system") == "jsonrpc"


def _request(span: Span) -> Request:
    service, method, number = (span.attributes[f"rpc.{key}"] for key in ("service", "method", "jsonrpc.request_id"))
    return Request(str(service), str(method), int(str(number)), span.start_ns, span.end_ns)


def _logged(path: Path) -> list[int]:
    return [int(json.loads(line)["id"]) for line in path.read_text().splitlines()]
