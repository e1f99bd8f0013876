"""What a run found: figures with their samples, printed as tables and written as JSON."""

import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from statistics import median
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

Json = dict[str, Any]

_WIDTH = 120
_DIGITS = {"s": 2, "%": 2, "MiB": 1, "x": 2, "op/s": 0, "us": 1}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure; ``samples`` in the order in which they were taken."""

    name: str
    unit: str
    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.samples)

    def text(self) -> str:
        return f"{self._number(self.median)} {self.unit}".rstrip()

    def spread(self) -> str:
        if len(set(self.samples)) == 1:
            return ""
        return f"{self._number(min(self.samples))} .. {self._number(max(self.samples))} {self.unit}".rstrip()

    def _number(self, value: float) -> str:
        digits = _DIGITS.get(self.unit, 0 if float(value).is_integer() else 1)
        return f"{value:.{digits}f}"

    def to_json(self) -> Json:
        middle = round(self.median, 3)
        return {
            "name": self.name,
            "value": middle,
            "unit": self.unit,
            "samples": list(self.samples),
            "median": middle,
        }


@dataclass(frozen=True, slots=True)
class Section:
    """Rows of figures under their columns; a row's cells may be missing. Columns in ``brief`` show medians alone."""

    title: str
    columns: tuple[str, ...]
    brief: tuple[str, ...] = ()
    rows: list[tuple[str, tuple[Figure | None, ...]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, label: str, *figures: Figure | None) -> None:
        self.rows.append((label, figures))


class Report:
    """All sections of one run."""

    def __init__(self) -> None:
        self._sections: list[Section] = []

    def section(self, title: str, *columns: str, brief: tuple[str, ...] = ()) -> Section:
        self._sections.append(Section(title, columns, brief))
        return self._sections[-1]

    @property
    def figures(self) -> list[Figure]:
        return [figure for section in self._sections for _, row in section.rows for figure in row if figure]

    def print(self) -> None:
        """To standard output, at least 120 columns wide."""
        console = Console(highlight=False, width=max(Console().width, _WIDTH))
        console.print(f"\n{_where()}")
        for section in self._sections:
            console.print(_table(section))
            for note in section.notes:
                console.print(Padding(note, (0, 0, 0, 2)))

    def write(self, path: Path) -> None:
        """The figures as a JSON list, each with name, value, unit, samples and median."""
        path.write_text(json.dumps([figure.to_json() for figure in self.figures], indent=1) + "\n")


def _where() -> str:
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    return f"{now} UTC, {os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}; load {load}"


def _table(section: Section) -> Table:
    table = Table(box=SIMPLE_HEAD, title=section.title, title_justify="left", title_style="bold")
    table.add_column("")
    for column in section.columns:
        table.add_column(column, justify="right", no_wrap=True)
        if column not in section.brief:
            table.add_column("", style="dim", no_wrap=True)
    for label, figures in section.rows:
        table.add_row(label, *_cells(section, figures))
    return table


def _cells(section: Section, figures: Sequence[Figure | None]) -> Iterator[str]:
    for column, figure in zip_longest(section.columns, figures):
        yield figure.text() if figure else ""
        if column not in section.brief:
            yield figure.spread() if figure else ""
