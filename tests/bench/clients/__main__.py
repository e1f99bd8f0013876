"""``python -m tests.bench.clients CLIENT TARGETS``: one client of the benchmark, in a process of its own.

So that its CPU is the client's alone, and no other client shares its interpreter. TARGETS is a JSON object: by the
name of a load, whom to ask (see the client). A line of standard input is a task, a line of standard output its outcome:

    {"load": "small", "in_flight": 64, "seconds": 0.2}  ->  {"operations": 9152, "wall_s": 0.2003, "cpu_s": 0.1312}
    {"answer": "small"}                                 ->  {"answer": ...}, what the client made of one reply
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from resource import RUSAGE_CHILDREN, getrusage
from typing import Any, Protocol

from tests.bench.clients import ovsdb, spdk


class Client(Protocol):
    """One way of asking a server."""

    def answer(self, load: str) -> Any:
        """What one operation of that load gives."""
        ...

    def run(self, load: str, in_flight: int, seconds: float) -> int:
        """Operations carried out, ``in_flight`` at a time, until the time is over."""
        ...


CLIENTS: Mapping[str, Callable[[Mapping[str, str]], Client]] = {
    "spdk-native": spdk.Native,
    "spdk-plain": spdk.Plain,
    "spdk-pypi": spdk.PyPI,
    "spdk-raw": spdk.Raw,
    "ovsdb-native": ovsdb.Native,
    "ovsdb-plain": ovsdb.Plain,
    "ovsdb-idl": ovsdb.Idl,
    "ovsdb-vsctl": ovsdb.Vsctl,
}


def main() -> None:
    name, targets = sys.argv[1:]
    client = CLIENTS[name](json.loads(targets))
    for line in sys.stdin:
        print(json.dumps(_carry_out(client, json.loads(line))), flush=True)


def _carry_out(client: Client, task: Mapping[str, Any]) -> dict[str, Any]:
    if "answer" in task:
        return {"answer": client.answer(task["answer"])}
    cpu_s, began = _cpu_s(), time.perf_counter()
    operations = client.run(task["load"], task["in_flight"], task["seconds"])
    return {"operations": operations, "wall_s": time.perf_counter() - began, "cpu_s": _cpu_s() - cpu_s}


def _cpu_s() -> float:
    """User and system time of all threads, and of the commands that were run."""
    commands = getrusage(RUSAGE_CHILDREN)
    return time.process_time() + commands.ru_utime + commands.ru_stime


if __name__ == "__main__":
    main()
