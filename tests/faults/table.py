"""What became of the cases: a table for each phase, a row for each step, a column for each fault."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tests.faults.calls import Call
from tests.faults.cases import Case
from tests.faults.fault import API_SERVER, CONTROLLER_MANAGER, KINDS, Fault
from tests.faults.life import PHASES, Phase

Json = dict[str, Any]
Outcome = Literal["ok", "FAILED", "not made"]

_NOT_RUN = "-"
_COLUMNS = (
    *(f"{who} killed {edge}" for who in ("caller", "called", CONTROLLER_MANAGER) for edge in ("before", "after")),
    *(f"{API_SERVER} {kind}" for kind in ("hangs", "away")),
    *KINDS,
)


@dataclass(frozen=True, slots=True)
class Result:
    """``not made``: the call was not made this time, so nothing was struck. ``told`` is what was wrong."""

    case: Case
    outcome: Outcome
    seconds: float
    told: str = ""


def markdown(results: Sequence[Result]) -> str:
    """All phases that any case is of, and below them what failed, and why, and what was not made, and why not."""
    parts = [_table(phase, results) for phase in PHASES if any(result.case.phase == phase for result in results)]
    failed = [result for result in results if result.outcome == "FAILED"]
    parts += [f"### {result.case}\n\n{_indented(result.told)}" for result in failed]
    not_made = [f"- {result.case}: {result.told}" for result in results if result.outcome == "not made"]
    parts += ["\n".join(["### Not made", "", *not_made])] if not_made else []
    return "\n\n".join([*parts, summary(results)]) + "\n"


def summary(results: Sequence[Result]) -> str:
    counts = {outcome: sum(result.outcome == outcome for result in results) for outcome in ("ok", "FAILED", "not made")}
    return f"{counts['ok']} ok, {counts['FAILED']} failed, {counts['not made']} not made"


def write(results: Sequence[Result], path: Path) -> None:
    """Every case as JSON to ``path``, the table beside it with the suffix ``.md``."""
    path.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
    path.with_suffix(".md").write_text(markdown(results))


def read(path: Path) -> list[Result]:
    """What was written there; nothing where nothing was."""
    return [_result(each) for each in json.loads(path.read_text())] if path.exists() else []


def _result(told: Json) -> Result:
    case, call = told["case"], told["case"]["call"]
    fault = Fault(**case["fault"])
    known = Case(case["phase"], None if call is None else Call(**call), case["edge"], fault)
    return Result(known, told["outcome"], told["seconds"], told["told"])


def _table(phase: Phase, results: Sequence[Result]) -> str:
    cells: dict[str, dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for result in sorted((each for each in results if each.case.phase == phase), key=lambda each: each.case.place):
        cells[_row(result.case)][_column(result.case)].append(result)
    columns = [column for column in _COLUMNS if any(column in row for row in cells.values())]
    rows = [(step, *(_cell(row.get(column, ())) for column in columns)) for step, row in cells.items()]
    heading = (f"{phase}: what is struck" if phase == "run" else f"{phase}: step", *columns)
    return "\n".join(_lines([heading, *rows]))


def _row(case: Case) -> str:
    return case.fault.victim if case.call is None else str(case.call)


def _column(case: Case) -> str:
    fault = case.fault
    if case.call is None:
        return fault.kind
    if fault.kind != "killed":
        return f"{fault.victim} {fault.kind}"
    caller_or_called = "caller" if case.of_caller else "called"
    who = CONTROLLER_MANAGER if fault.victim == CONTROLLER_MANAGER else caller_or_called
    return f"{who} killed {case.edge}"


def _cell(results: Sequence[Result]) -> str:
    """What became of the cases of a cell; where they differ, whose is which."""
    victims: dict[str, list[str]] = defaultdict(list)
    for result in results:
        victims[result.outcome].append(result.case.fault.victim)
    if len(victims) < 2:
        return next(iter(victims), _NOT_RUN)
    return "; ".join(f"{outcome} ({', '.join(each)})" for outcome, each in sorted(victims.items()))


def _lines(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        yield f"| {' | '.join(text.ljust(width) for text, width in zip(row, widths, strict=True))} |"
        if number == 0:
            yield f"|{'|'.join('-' * (width + 2) for width in widths)}|"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
