"""Clients side by side: each a process of its own, asked in turns, so that each round meets the machine in one mood."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from tests.bench.waiting import BenchFailed

_WARM_UP_S = 0.05


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked, and how many at a time."""

    name: str
    in_flight: int


@dataclass(frozen=True, slots=True)
class Slice:
    """What one client did in its turn."""

    operations: int
    wall_s: float
    cpu_s: float

    @property
    def rate(self) -> float:
        """Operations per second."""
        return self.operations / self.wall_s

    @property
    def cpu_us(self) -> float:
        """CPU time of one operation, in microseconds."""
        return self.cpu_s / self.operations * 1e6


class Client:
    """A process of ``tests.bench.clients``."""

    def __init__(self, name: str, targets: Mapping[str, str]) -> None:
        self._name = name
        argv = [sys.executable, "-m", "tests.bench.clients", name, json.dumps(targets)]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def answer(self, load: str) -> Any:
        """What the client makes of one reply."""
        return self._ask({"answer": load})["answer"]

    def run(self, load: Load, seconds: float) -> Slice:
        return Slice(**self._ask({"load": load.name, "in_flight": load.in_flight, "seconds": seconds}))

    def _ask(self, task: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        if line := self._process.stdout.readline():
            outcome: dict[str, Any] = json.loads(line)
            return outcome
        raise BenchFailed(f"Running the client {self._name}", cause=f"it ended at {task}; see above")


@contextmanager
def clients(targets: Mapping[str, Mapping[str, str]]) -> Iterator[dict[str, Client]]:
    """The clients of these names, each with whom it asks."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(Client(name, theirs)) for name, theirs in targets.items()}


def take_turns(
    runners: Mapping[str, Client], loads: Sequence[Load], rounds: int, seconds: float
) -> dict[tuple[str, Load], list[Slice]]:
    """Slices by client and load, one of each a round; each round begins with another client."""
    names = list(runners)
    found: dict[tuple[str, Load], list[Slice]] = {(name, load): [] for name in names for load in loads}
    for load in loads:
        for name in names:
            runners[name].run(load, _WARM_UP_S)
    for number in range(rounds):
        for load in loads:
            first = number % len(names)
            for name in names[first:] + names[:first]:
                found[name, load].append(runners[name].run(load, seconds))
    return found


def faster(ours: Sequence[Slice], theirs: Sequence[Slice]) -> tuple[float, ...]:
    """How many times as fast we are, round by round."""
    return tuple(mine.rate / other.rate for mine, other in zip(ours, theirs, strict=True))


def cheaper(ours: Sequence[Slice], theirs: Sequence[Slice]) -> tuple[float, ...]:
    """How many times as much CPU the other takes for an operation, round by round."""
    return tuple(other.cpu_us / mine.cpu_us for mine, other in zip(ours, theirs, strict=True))
