"""Hundreds of machines at once, on light servers: to Ready, at rest, back to nothing; beside their bare writes.

Each number of machines has a cloud of its own. The raw replay follows in the same cloud, once our processes have
stopped: the same number of writes to the same kinds, by a client that decides nothing (``replay``).
"""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from sandbox.lightcloud import LightCloud
from tests.bench.footprint import Footprint, Used, at_rest, everything_mib, used
from tests.bench.machines import Machines, connect
from tests.bench.options import Options
from tests.bench.progress import say
from tests.bench.replay import replay, templates
from tests.bench.report import Figure, Report, Section
from tests.bench.writes import Audit, by_kind

_OURS = ("provider", "function", "lvol", "fleet")
_SETTLES_S = 10.0
_LIMIT_S = 600.0
_LIMIT_PER_MACHINE_S = 2.0
_GOAL_WALL, _GOAL_IDLE_PERCENT = 3, 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one number of machines took. ``created`` and ``deleted`` are the writes of the two.

    ``servers_mib`` and ``machines_mib``: memory of the whole sandbox, with free servers and with a machine on each.
    """

    machines: int
    ready_s: float
    each_s: tuple[float, ...]
    gone_s: float
    replay_s: float
    replayed: int
    created: int
    deleted: int
    at_rest: Counter[tuple[str, str]]
    used: dict[str, Used]
    resting: list[Footprint]
    servers_mib: float
    machines_mib: float


def measure(report: Report, options: Options) -> None:
    """One cloud after the other."""
    outcomes = [_one(machines, options) for machines in options.fleets]
    _report(report, outcomes, options.idle_s)


def _one(machines: int, options: Options) -> Outcome:
    with _cloud(machines, options.directory) as cloud:
        return asyncio.run(_measure(cloud, machines, options.idle_s))


async def _measure(cloud: LightCloud, machines: int, idle_s: float) -> Outcome:
    audit = Audit(cloud.layout.log / "audit.jsonl")
    limit_s = _LIMIT_S + machines * _LIMIT_PER_MACHINE_S
    async with connect(cloud.layout.kubeconfig) as client:
        servers_mib = everything_mib(cloud)
        before, began, began_at = used(cloud, _OURS), time.monotonic(), time.time()
        fleet = Machines(client, machines)
        await fleet.create(limit_s)
        ready_s = time.monotonic() - began
        say(f"{machines} machines: Ready after {ready_s:.1f} s")
        await asyncio.sleep(_SETTLES_S)
        after, machines_mib, settled_at = used(cloud, _OURS), everything_mib(cloud), time.time()
        say(f"{machines} machines: {machines_mib:.0f} MiB in all, {servers_mib:.0f} MiB before they were made")
        resting = await asyncio.to_thread(at_rest, cloud, idle_s, _OURS)
        rested_at = time.time()
        created = audit.ours(began_at, settled_at)
        found = await templates(client, created, machines)
        await fleet.delete(limit_s)
        gone_s = max(fleet.gone.values()) - fleet.asked_to_go
        say(f"{machines} machines: gone after {gone_s:.1f} s")
        await asyncio.sleep(_SETTLES_S)
        deleted = audit.ours(rested_at, time.time())
        await asyncio.to_thread(cloud.supervisor.stop, _OURS)
        replay_s, replayed = await replay(client, found, machines)
        say(f"{machines} machines: {replayed} bare writes took {replay_s:.1f} s")
    each = tuple(fleet.ready[name] - fleet.created[name] for name in fleet.ready)
    rest = by_kind(audit.ours(settled_at, rested_at))
    spent = {name: Used(after[name].cpu_s - before[name].cpu_s, after[name].rss_mib) for name in _OURS}
    # The replay does some kinds only, so its time is brought to the number of writes that ours were.
    scaled_s = replay_s * len(created) / replayed
    return Outcome(
        machines,
        ready_s,
        each,
        gone_s,
        scaled_s,
        replayed,
        len(created),
        len(deleted),
        rest,
        spent,
        resting,
        servers_mib,
        machines_mib,
    )


@contextmanager
def _cloud(machines: int, chosen: Path | None) -> Iterator[LightCloud]:
    with tempfile.TemporaryDirectory(prefix="metalplane-scale-") as temporary:
        cloud = LightCloud(chosen or temporary, servers=machines, progress=say)
        try:
            say(f"Bringing up {machines} light servers")
            cloud.up()
            yield cloud
        finally:
            cloud.down()


def _report(report: Report, outcomes: Sequence[Outcome], idle_s: float) -> None:
    columns = tuple(str(outcome.machines) for outcome in outcomes)
    wall = report.section("light machines at once", *columns, brief=columns)
    _row(wall, "all Ready", "s", outcomes, [each.ready_s for each in outcomes])
    _row(wall, "raw replay of those writes", "s", outcomes, [each.replay_s for each in outcomes])
    _row(wall, "all Ready / raw replay", "x", outcomes, [each.ready_s / each.replay_s for each in outcomes])
    _row(wall, "create to Ready, p50", "s", outcomes, [_quantile(each.each_s, 50) for each in outcomes])
    _row(wall, "create to Ready, p99", "s", outcomes, [_quantile(each.each_s, 99) for each in outcomes])
    _row(wall, "all gone", "s", outcomes, [each.gone_s for each in outcomes])
    _row(wall, "writes to create one", "", outcomes, [each.created / each.machines for each in outcomes])
    _row(wall, "writes to delete one", "", outcomes, [each.deleted / each.machines for each in outcomes])
    wall.notes.append(f"Goal: all Ready within {_GOAL_WALL} x the raw replay. Leases and Events are not counted.")
    spent = report.section("CPU to create one light machine, and memory with all of them", *columns, brief=columns)
    for name in _OURS:
        cpu_ms = [1000 * each.used[name].cpu_s / each.machines for each in outcomes]
        _row(spent, f"{name}, CPU for one", "ms", outcomes, cpu_ms)
        _row(spent, f"{name}, RSS", "MiB", outcomes, [each.used[name].rss_mib for each in outcomes])
    _row(spent, "whole sandbox, servers only, RSS", "MiB", outcomes, [each.servers_mib for each in outcomes])
    _row(spent, "whole sandbox, RSS", "MiB", outcomes, [each.machines_mib for each in outcomes])
    spent.notes.append("fleet: all agents, and everything that they meet: DPUs, chassis, BMCs, the storage node.")
    rest = report.section(f"light machines at rest for {idle_s:g} s", *columns, brief=columns)
    _row(rest, "writes", "", outcomes, [each.at_rest.total() for each in outcomes])
    for index, name in enumerate(_OURS):
        _row(rest, f"{name}, CPU", "%", outcomes, [each.resting[index].cpu_percent for each in outcomes])
    for outcome in outcomes:
        told = (f"{count} x {verb} {resource}" for (resource, verb), count in sorted(outcome.at_rest.items()))
        rest.notes.extend(f"Written with {outcome.machines}: {each}." for each in told)
    rest.notes.append(f"Goal: no writes, and below {_GOAL_IDLE_PERCENT} % of a core.")


def _row(section: Section, label: str, unit: str, outcomes: Sequence[Outcome], values: Sequence[float]) -> None:
    section.add(
        label,
        *(
            Figure(f"{label}, {outcome.machines} light machines", unit, (value,))
            for outcome, value in zip(outcomes, values, strict=True)
        ),
    )


def _quantile(values: Sequence[float], percent: int) -> float:
    return quantiles(values, n=100)[percent - 1]
