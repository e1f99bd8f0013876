"""Rows of a report that set clients side by side: operations per second, CPU of one, both beside a baseline."""

from collections.abc import Mapping, Sequence

from tests.bench.report import Figure, Section
from tests.bench.turns import Load, Slice, cheaper, faster

Found = Mapping[tuple[str, Load], Sequence[Slice]]

COLUMNS = ("rate", "CPU per op", "speed", "CPU saved")
BRIEF = COLUMNS[:2]
"""Their spread is the machine's mood; that of the ratios, taken in pairs, is what counts."""


def add_rows(section: Section, found: Found, labels: Mapping[str, str], *, baseline: str, server: str) -> None:
    """A row for each load and client, in words of ``labels``; both ratios are to the client ``baseline``."""
    loads = list(dict.fromkeys(load for _, load in found))
    for load in loads:
        for client, label in labels.items():
            mine, theirs = found[client, load], found[baseline, load]
            row, name = f"{load.name}, {load.in_flight}: {label}", f"{load.name}, {load.in_flight} in flight: {label}"
            rate = Figure(f"{server}: {name}: rate", "op/s", tuple(round(each.rate, 1) for each in mine))
            cpu = Figure(f"{server}: {name}: CPU", "us", tuple(round(each.cpu_us, 2) for each in mine))
            if client == baseline:
                section.add(row, rate, cpu)
            else:
                section.add(row, rate, cpu, *_ratios(f"{server}: {name}", mine, theirs))


def _ratios(name: str, mine: Sequence[Slice], theirs: Sequence[Slice]) -> tuple[Figure, Figure]:
    speed = Figure(f"{name}: times the baseline's rate", "x", _rounded(faster(mine, theirs)))
    return speed, Figure(f"{name}: times less CPU than the baseline", "x", _rounded(cheaper(mine, theirs)))


def _rounded(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(value, 3) for value in values)
