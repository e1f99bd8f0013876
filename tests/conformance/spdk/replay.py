"""Replays recorded exchanges: asks what was asked then, and tells where the answer differs from the recorded one.

What a run chooses anew is bound to what stands in the recording, at its first sight, and must agree from then on:
UUIDs, files, the listener's port. Some members tell about the machine and not of the request: their type counts.
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID

from tests.conformance.spdk.targets import Targets, free_port
from tests.conformance.spdk.wire import Wire

PAIRS = Path(__file__).parent / "pairs"
LISTENER = "4420"
CLOSED = "4499"
RECORDED_FILES = PurePosixPath("/var/lib/spdk")
OF_THE_MACHINE = frozenset({"cpumask", "hostid", "numa_id"})
"""Members that tell of processors, of the initiator's invented identity, of memory's nodes."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NGUID = re.compile(r"[0-9A-F]{32}")


@dataclass(slots=True)
class Binding:
    """What stands for what: recorded values to this run's."""

    directory: Path
    ports: dict[str, str]
    uuids: dict[str, str] = field(default_factory=dict)
    varying: frozenset[str] = OF_THE_MACHINE

    def request(self, value: Any) -> Any:
        """A recorded request in this run's terms."""
        if isinstance(value, dict):
            return {name: self.request(member) for name, member in value.items()}
        if isinstance(value, list):
            return [self.request(member) for member in value]
        if not isinstance(value, str):
            return value
        if value in self.ports:
            return self.ports[value]
        if PurePosixPath(value).is_relative_to(RECORDED_FILES):
            return str(self.file(value))
        # A UUID that the recording itself chose in a request is this run's too.
        return _UUID.sub(lambda found: self.uuids.setdefault(found.group(), found.group()), value)

    def file(self, recorded: str) -> Path:
        """This run's file for a recorded one."""
        return self.directory / PurePosixPath(recorded).name

    def same(self, recorded: str, seen: str) -> bool:
        """Whether a string of a reply is what was recorded, UUIDs being bound as they come."""
        if PurePosixPath(recorded).is_relative_to(RECORDED_FILES):
            return PurePosixPath(seen).name == PurePosixPath(recorded).name
        if _NGUID.fullmatch(recorded):
            return _NGUID.fullmatch(seen) is not None and self._bound(str(UUID(recorded)), str(UUID(seen)))
        if _UUID.sub("", recorded) != _UUID.sub("", seen):
            return self.ports.get(recorded) == seen
        pairs = zip(_UUID.findall(recorded), _UUID.findall(seen), strict=True)
        return all(self._bound(*pair) for pair in pairs)

    def _bound(self, recorded: str, seen: str) -> bool:
        return self.uuids.setdefault(recorded, seen) == seen and list(self.uuids.values()).count(seen) == 1


def stories() -> list[str]:
    """The names of the recorded stories; the first needs a target that has just started."""
    return sorted(path.stem for path in PAIRS.glob("*.jsonl"))


def parts(story: str) -> set[str]:
    """Which targets a story needs: storage, dpu."""
    return {line["to"] for line in _lines(story) if "to" in line}


def recorded_methods() -> set[str]:
    """Methods of which some answer was recorded."""
    return {line["request"]["method"] for story in stories() for line in _lines(story) if "pair" in line}


def replay(story: str, targets: Targets) -> list[str]:
    """Run a story from its first line to its last; all differences, each named by its pair."""
    directory = targets.directory / story
    directory.mkdir()
    binding = Binding(directory, {LISTENER: str(targets.port), CLOSED: str(free_port())})
    wires = {part: Wire(targets.socket(part)) for part in sorted(parts(story))}
    try:
        return [found for number, line in enumerate(_lines(story), 1) for found in _step(number, line, binding, wires)]
    finally:
        for wire in wires.values():
            wire.__exit__()


def _lines(story: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (PAIRS / f"{story}.jsonl").read_text().splitlines()]


def _step(number: int, line: dict[str, Any], binding: Binding, wires: dict[str, Wire]) -> Iterator[str]:
    if "file" in line:
        path = binding.file(line["file"])
        path.touch()
        os.truncate(path, line["size_bytes"])
        return
    asked = line.get("request") or line["do"]
    reply = wires[line["to"]].exchange({"jsonrpc": "2.0", "id": number, **binding.request(asked)})
    name = line.get("pair", f"line {number} ({asked['method']})")
    if reply.pop("jsonrpc", None) != "2.0" or reply.pop("id", None) != number:
        yield f"{name}: the reply is no JSON-RPC 2.0 reply to request {number}"
    if "do" in line:
        if "error" in reply and reply["error"]["message"] not in line.get("unless", ()):
            yield f"{name}: {reply['error']}"
        return
    binding.varying = OF_THE_MACHINE.union(line.get("varies", ()))
    for where in differences(line["response"], reply, binding):
        yield f"{name}: {where}"


def differences(recorded: Any, seen: Any, binding: Binding, at: str = "reply") -> Iterator[str]:
    """Where a reply departs from the recorded one."""
    if type(recorded) is not type(seen):
        yield f"{at}: {seen!r} for {recorded!r}"
    elif isinstance(recorded, dict):
        yield from _members(recorded, seen, binding, at)
    elif isinstance(recorded, list):
        if len(recorded) != len(seen):
            yield f"{at}: {len(seen)} entries for {len(recorded)}"
        for index, pair in enumerate(zip(recorded, seen, strict=False)):
            yield from differences(*pair, binding, f"{at}[{index}]")
    elif not (binding.same(recorded, seen) if isinstance(recorded, str) else recorded == seen):
        yield f"{at}: {seen!r} for {recorded!r}"


def _members(recorded: dict[str, Any], seen: dict[str, Any], binding: Binding, at: str) -> Iterator[str]:
    for name in recorded.keys() ^ seen.keys():
        yield f"{at}.{name}: {'missing' if name in recorded else 'not in the recording'}"
    for name in recorded.keys() & seen.keys():
        if name not in binding.varying:
            yield from differences(recorded[name], seen[name], binding, f"{at}.{name}")
        elif type(recorded[name]) is not type(seen[name]):
            yield f"{at}.{name}: {seen[name]!r} for {recorded[name]!r}"
