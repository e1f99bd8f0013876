"""Memory and idle CPU of the product's processes, with their children, while one machine runs and nothing happens."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from sandbox.cloud import Cloud

PROCESSES = ("provider", "agent-dpu0", "function", "lvol")


@dataclass(frozen=True, slots=True)
class Footprint:
    """One process: resident memory at the end, and CPU over the time as a share of one core."""

    name: str
    rss_mib: float
    cpu_percent: float


def at_rest(cloud: Cloud, seconds: float, names: Sequence[str] = PROCESSES) -> list[Footprint]:
    """Look at the processes twice, that long apart."""
    pids = {report["name"]: report["pid"] for report in cloud.supervisor.status()}
    trees = {name: _tree(pids[name]) for name in names}
    before = {name: _cpu_s(tree) for name, tree in trees.items()}
    began = time.monotonic()
    time.sleep(seconds)  # the measurement itself
    elapsed_s = time.monotonic() - began
    return [
        Footprint(name, _rss_mib(tree), 100 * (_cpu_s(tree) - before[name]) / elapsed_s) for name, tree in trees.items()
    ]


def _tree(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _cpu_s(tree: Sequence[psutil.Process]) -> float:
    return sum(times.user + times.system for times in (process.cpu_times() for process in tree))


def _rss_mib(tree: Sequence[psutil.Process]) -> float:
    return sum(process.memory_info().rss for process in tree) / (1 << 20)
