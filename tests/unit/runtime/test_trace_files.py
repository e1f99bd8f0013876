"""Trace files are bounded, and what is kept of them tells each request once, whoever was killed when."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from provider.runtime import tracefiles
from provider.runtime.tracing import Tracer, journal, machine_trace, make_tracer
from provider.runtime.tracing.files import Limits, SpanFile

MACHINE = "11111111-2222-3333-4444-555555555555"
TRACE = machine_trace(MACHINE)
DEADLINE_S = 20.0
SMALL = Limits(file_bytes=4_000, kept_bytes=16_000)

# Rolls its files over many times under one long span, then stands still in the middle of a request.
VICTIM = """
import sys, threading
from pathlib import Path
from provider.runtime.tracing import machine_trace, make_tracer
from provider.runtime.tracing.files import Limits
limits = Limits(file_bytes=4_000, kept_bytes=16_000)
tracer = make_tracer("victim", version="1", directory=Path(sys.argv[1]), otlp_endpoint=None, limits=limits)
with tracer.span("long", trace=machine_trace(sys.argv[2])):
    for number in range(300):
        with tracer.span(f"request {number}", kind="client"):
            pass
    with tracer.span("last", kind="client"):
        print("in the middle", flush=True)
        threading.Event().wait()
"""


class Killed(BaseException):
    """The process ends here."""


def tracer(directory: Path, limits: Limits = SMALL) -> Tracer:
    return make_tracer("victim", version="1", directory=directory, otlp_endpoint=None, limits=limits)


def work(made: Tracer, *numbers: int) -> None:
    for number in numbers:
        with made.span(f"request {number}", trace=TRACE, kind="client"):
            pass


def told(directory: Path) -> list[tracefiles.Span]:
    """As they are read, and each written but once."""
    written = [json.loads(line) for path in directory.glob("*.jsonl") for line in path.read_text().splitlines()]
    read = tracefiles.read(directory, TRACE.trace_id)
    assert len(written) == len(read)
    return read


def outcomes(directory: Path) -> dict[str, str]:
    return {span.name: span.error for span in told(directory)}


def files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.jsonl"))


def size_bytes(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())


def test_files_roll_over_and_the_newest_are_kept(tmp_path: Path) -> None:
    made = tracer(tmp_path)
    for number in range(300):
        work(made, number)
        assert size_bytes(tmp_path) < SMALL.kept_bytes + 2 * SMALL.file_bytes
    made.close()
    kept = [int(span.name.split()[1]) for span in told(tmp_path)]
    assert 10 < len(kept) < 300
    assert kept == list(range(300 - len(kept), 300)), "the newest, without a gap"


def test_small_files_are_bounded_by_their_number(tmp_path: Path) -> None:
    few = Limits(kept_files=3)
    for number in range(10):
        made = tracer(tmp_path, few)
        work(made, number)
        made.close()
        assert len(files(tmp_path)) <= 4
    assert [span.name for span in told(tmp_path)][-1] == "request 9"


def test_a_process_killed_after_its_old_files_are_gone_leaves_one_span_for_each_request(tmp_path: Path) -> None:
    command = [sys.executable, "-c", VICTIM, str(tmp_path), MACHINE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
        try:
            assert victim.stdout is not None
            assert victim.stdout.readline() == "in the middle\n"
        finally:
            victim.kill()
            assert victim.wait(DEADLINE_S) == -signal.SIGKILL
    before = outcomes(tmp_path)
    assert "request 0" not in before
    tracer(tmp_path, Limits()).close()
    unknown = {name for name, error in outcomes(tmp_path).items() if error}
    assert unknown == {"last", "long"}
    assert outcomes(tmp_path).keys() - before.keys() == unknown, "what was removed is not told again"


@pytest.mark.parametrize(
    ("where", "what"),
    [(Path, "rename"), (SpanFile, "next"), (journal, "remove_old")],
    ids=["before the journal is shortened", "before the next file", "before old files go"],
)
def test_a_kill_while_rolling_over_repeats_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: Any, what: str
) -> None:
    def kill(*_: Any) -> None:
        raise Killed

    made = tracer(tmp_path)
    monkeypatch.setattr(where, what, kill)
    with pytest.raises(Killed):
        work(made, *range(300))
    monkeypatch.undo()
    done = outcomes(tmp_path)
    lose_the_lock(tmp_path)
    tracer(tmp_path).close()
    assert outcomes(tmp_path) == done
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".jsonl"]


def lose_the_lock(directory: Path) -> None:
    """As the kernel does for a process that ends: let go of the files that are open there."""
    for link in list(Path("/proc/self/fd").iterdir()):
        # One of them was the listing's own.
        if link.is_symlink() and link.readlink().parent == directory:
            os.close(int(link.name))


def test_what_a_living_process_writes_is_not_removed_by_another(tmp_path: Path) -> None:
    quiet = tracer(tmp_path)
    work(quiet, 1000)
    busy = tracer(tmp_path)
    work(busy, *range(300))
    work(quiet, 1001)
    assert {"request 1000", "request 1001"} <= outcomes(tmp_path).keys()
    busy.close()
    quiet.close()


def test_a_journal_that_is_replaced_at_this_moment_is_left_to_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    living = journal.Journal(tmp_path, "victim", {})
    really_open = os.open

    def open_late(*args: Any) -> int:
        fd = really_open(*args)
        monkeypatch.undo()
        living._compact()
        return fd

    monkeypatch.setattr(os, "open", open_late)
    assert list(journal.close_abandoned(tmp_path, "victim", {})) == []
    assert list(tmp_path.glob("*.journal"))
    living.close()


def test_a_recorded_step_is_found_in_whichever_file_it_stands(tmp_path: Path) -> None:
    for _ in range(2):
        made = tracer(tmp_path, Limits(file_bytes=2_000))
        made.record("step ServerBound", trace=TRACE, start_ns=1_000, end_ns=2_000)
        work(made, *range(30))
        made.close()
    assert len(files(tmp_path)) > 4
    assert Counter(json.dumps("step ServerBound") in path.read_text() for path in files(tmp_path))[True] == 1
