"""External calls as spans tell of them: which there were, and the moment at which one begins or has ended.

A span stands in its process's journal before the request leaves, and in its trace file once the reply is there.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Json = dict[str, Any]
Edge = Literal["before", "after"]

_CLIENT = 3
"""``SpanKind`` SPAN_KIND_CLIENT (opentelemetry/proto/trace/v1/trace.proto)."""

_LOOKS = ("_get_", "function_list", "get_schema", "monitor", "wait_for_examine", "kube get", "kube list", "Lease")
"""In the names of calls that change nothing, and of heartbeats."""

_BETWEEN_LOOKS_S = 0.001


@dataclass(frozen=True, slots=True, order=True)
class Call:
    """The ``number``-th call (from 1) of that name by that process, or its successors, since some moment.

    A process is named as the sandbox's supervisor names it: two agents are two, though their service is one.
    """

    process: str
    name: str
    number: int

    def __str__(self) -> str:
        return f"{self.process}: {self.name} #{self.number}"

    @property
    def system(self) -> str:
        """What is called: the first word of its name."""
        return self.name.split(" ")[0]


class Spans:
    """What was written to a directory of traces since the object was made. ``processes``: names of those, by pid."""

    def __init__(self, directory: Path, processes: Callable[[], Mapping[int, str]]) -> None:
        self._directory = directory
        self._processes = processes
        self._names: dict[int, str] = dict(processes())
        self._read: dict[Path, int] = {path: path.stat().st_size for path in self._files()}
        self._counts: dict[Edge, Counter[tuple[str, str]]] = {"before": Counter(), "after": Counter()}

    def wait(self, call: Call, edge: Edge, timeout_s: float) -> bool:
        """Return as soon as the call is about to be made, or has just ended; False where it was not made in time."""
        deadline = time.monotonic() + timeout_s
        while self._look()[edge][call.process, call.name] < call.number:
            if time.monotonic() > deadline:
                return False
            time.sleep(_BETWEEN_LOOKS_S)
        return True

    def calls(self, most_of_a_name: int) -> list[Call]:
        """The calls that changed something, in no order; of a name the first few."""
        ended = self._look()["after"]
        return sorted(
            Call(process, name, number)
            for (process, name), count in ended.items()
            for number in range(1, min(count, most_of_a_name) + 1)
        )

    def _look(self) -> dict[Edge, Counter[tuple[str, str]]]:
        for path in self._files():
            edge: Edge = "before" if path.suffix == ".journal" else "after"
            for span in self._new_spans(path):
                name = _name(span)
                if span["kind"] == _CLIENT and not any(look in name for look in _LOOKS):
                    self._counts[edge][self._process(path), name] += 1
        return self._counts

    def _process(self, path: Path) -> str:
        """Who writes the file; its service, where the process ended before anybody looked."""
        service, pid, _ = path.name.rsplit("-", 2)
        if int(pid) not in self._names:
            self._names |= self._processes()
        return self._names.get(int(pid), service)

    def _new_spans(self, path: Path) -> Iterator[Json]:
        known = self._read.get(path, 0)
        try:
            if path.stat().st_size <= known:
                return
            with path.open("rb") as file:
                file.seek(known)
                new = file.read()
        except FileNotFoundError:
            return  # a journal goes with its process
        whole = new[: new.rfind(b"\n") + 1]
        self._read[path] = known + len(whole)
        for line in whole.splitlines():
            document = json.loads(line)
            if "resourceSpans" not in document:
                yield document
                continue
            for resource in document["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    yield from scope["spans"]

    def _files(self) -> list[Path]:
        return [*self._directory.glob("*.journal"), *self._directory.glob("*.jsonl")]


def _name(span: Json) -> str:
    """The call's name without the object that it was made for: ``kube apply Volume/tenant-a/x`` is one of many."""
    name: str = span["name"]
    return name.split("/")[0]
