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
    before = used(cloud, names)
    began = time.monotonic()
    time.sleep(seconds)  # the measurement itself
    elapsed_s = time.monotonic() - began
    after = used(cloud, names)
    return [
        Footprint(name, after[name].rss_mib, 100 * (after[name].cpu_s - before[name].cpu_s) / elapsed_s)
        for name in names
    ]


@dataclass(frozen=True, slots=True)
class Used:
    """What a process with its children has used of the processors since it was started, and holds of the memory."""

    cpu_s: float
    rss_mib: float


def used(cloud: Cloud, names: Sequence[str]) -> dict[str, Used]:
    """Of the processes of those names."""
    pids = {report["name"]: report["pid"] for report in cloud.supervisor.status()}
    trees = {name: _tree(pids[name]) for name in names}
    return {name: Used(_cpu_s(tree), _rss_mib(tree)) for name, tree in trees.items()}


def everything_mib(cloud: Cloud) -> float:
    """Resident memory of all processes of the cloud."""
    return sum(_rss_mib(_tree(report["pid"])) for report in cloud.supervisor.status() if report["pid"])


def _tree(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _cpu_s(tree: Sequence[psutil.Process]) -> float:
    return sum(times.user + times.system for times in (process.cpu_times() for process in tree))


def _rss_mib(tree: Sequence[psutil.Process]) -> float:
    return sum(process.memory_info().rss for process in tree) / (1 << 20)
