"""SPDK clients side by side, against a lean peer, the stand-in, and a real target where ``SPDK_TGT`` names one.

The stand-in costs more than any client, and a real target polls its socket every 4 ms: with either, the server decides
the rate, and only the CPU tells clients apart. So a lean peer, which gives the stand-in's own answers, shows the rates.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sandbox import targets
from tests.bench.clients.spdk import METHODS
from tests.bench.comparison import BRIEF, COLUMNS, Found, add_rows
from tests.bench.options import Options
from tests.bench.progress import say
from tests.bench.report import Figure, Report
from tests.bench.turns import Load, cheaper, clients, faster, take_turns
from tests.bench.waiting import BenchFailed, wait_for
from tests.conformance.spdk.wire import Wire

_LABELS = {"spdk-native": "native", "spdk-plain": "plain Python", "spdk-pypi": "PyPI spdk", "spdk-raw": "raw socket"}
_OURS, _BASELINE = "spdk-native", "spdk-pypi"
_LOADS = [Load(name, in_flight) for name in METHODS for in_flight in (1, 64)]
_SLICE_S = 0.25
_BDEVS = 3
"""So many bdevs make ``bdev_get_bdevs`` a reply of 3.3 KB."""
_BDEV_BYTES = 1 << 20
_LEAN = "lean peer"


def measure(report: Report, options: Options) -> None:
    """Measure against each server, and report, the goals last."""
    with tempfile.TemporaryDirectory(prefix="mpb-") as temporary, ExitStack() as stack:
        directory = Path(temporary)
        servers = {"stand-in --fast": stack.enter_context(_target(directory / "stand-in", _stand_in))}
        if (named := targets.from_environment(1)) is not None:
            servers[f"SPDK itself ({named.dpu})"] = stack.enter_context(_target(directory / "spdk", _real(named)))
        answers = _answers(servers["stand-in --fast"])
        lean = {load: stack.enter_context(_lean(directory, load, answers[load])) for load in METHODS}
        everyone: dict[str, Mapping[str, str]] = {_LEAN: lean}
        everyone |= {server: dict.fromkeys(METHODS, str(socket)) for server, socket in servers.items()}
        sizes = {load: len(json.dumps(answer, separators=(",", ":"))) for load, answer in answers.items()}
        for server, sockets in everyone.items():
            found = _against(server, sockets, options.samples)
            _add(report, server, found, sizes)
            if server == _LEAN:
                goals = found
    _add_goals(report, goals)


def _against(server: str, sockets: Mapping[str, str], rounds: int) -> Found:
    say(f"SPDK clients against the {server}")
    with clients(dict.fromkeys(_LABELS, sockets)) as runners:
        for load in METHODS:
            said = {name: runner.answer(load) for name, runner in runners.items()}
            if any(answer != said[_OURS] for answer in said.values()):
                raise BenchFailed(f"Comparing what clients make of {METHODS[load]}", cause=f"they differ: {said}")
        return take_turns(runners, _LOADS, rounds, _SLICE_S)


def _add(report: Report, server: str, found: Found, sizes: Mapping[str, int]) -> None:
    section = report.section(f"SPDK clients, {server}", *COLUMNS, brief=BRIEF)
    add_rows(section, found, _LABELS, baseline=_BASELINE, server=f"SPDK, {server}")
    replies = ", ".join(f"{load}: {METHODS[load]}, a result of {size} bytes" for load, size in sizes.items())
    section.notes.append(
        f"{replies}. Numbers: in flight. Speed and CPU saved: times PyPI spdk's, in pairs of the same round."
    )
    section.notes.append("CPU: user and system time of the client's process, all threads, without the server's.")


def _add_goals(report: Report, found: Found) -> None:
    section = report.section(f"Goals of the native client, awaited from Python, {_LEAN}", "measured", "goal")
    for load in _LOADS:
        ours, theirs = found[_OURS, load], found[_BASELINE, load]
        one = load.in_flight == 1
        what = "times PyPI spdk's rate" if one else "times less CPU than PyPI spdk"
        measured = faster(ours, theirs) if one else cheaper(ours, theirs)
        label = f"{what}, {load.in_flight} in flight, {load.name}"
        goal = Figure(f"goal: {label}", "x", (2.0 if one else 5.0,))
        figure = Figure(f"native: {label}", "x", tuple(round(value, 3) for value in measured))
        section.add(label, figure, goal)
        if figure.median < goal.median:
            section.notes.append(f"Not reached: {label}.")


@contextmanager
def _lean(directory: Path, load: str, answer: Any) -> Iterator[str]:
    """The socket of a lean peer that gives this one answer."""
    socket = directory / f"{load}.sock"
    command = [sys.executable, "-m", "tests.bench.clients.peer", str(socket)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(answer, separators=(",", ":")).encode())
        process.stdin.close()
        wait_for(f"a lean peer on {socket}", socket.exists)
        yield str(socket)
    finally:
        process.kill()
        process.wait()


@contextmanager
def _target(directory: Path, argv: Callable[[Path, Path], list[str]]) -> Iterator[Path]:
    """The socket of a target with a few bdevs."""
    socket = directory / "spdk.sock"
    directory.mkdir()
    environment = {**os.environ, "RUNTIME_DIRECTORY": str(directory)}  # where DPDK would leave files behind
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(argv(socket, directory), env=environment, stdout=log, stderr=log)
    try:
        wait_for(f"a target on {socket}", lambda: _filled(process, socket, directory / "log"))
        yield socket
    finally:
        process.terminate()
        process.wait()


def _filled(process: "subprocess.Popen[bytes]", socket: Path, log: Path) -> bool:
    if process.poll() is not None:
        raise BenchFailed("Starting an SPDK target", cause=f"it ended by itself:\n{log.read_text()[-2000:]}")
    try:
        with Wire(socket) as wire:
            for number in range(_BDEVS):
                file = socket.with_name(f"aio{number}")
                file.write_bytes(bytes(_BDEV_BYTES))
                wire.call("bdev_aio_create", name=file.name, filename=str(file), block_size=512)
    except OSError:
        return False
    return True


def _answers(socket: Path) -> dict[str, Any]:
    with Wire(socket) as wire:
        return {load: wire.call(method) for load, method in METHODS.items()}


def _stand_in(socket: Path, directory: Path) -> list[str]:
    return [sys.executable, "-m", "sandbox", "spdk", "--socket", str(socket), "--dir", str(directory), "--fast"]


def _real(named: targets.Targets) -> Callable[[Path, Path], list[str]]:
    assert named.dpu is not None, "from_environment gives none without it"
    options = ("--no-pci", "--no-huge", "--mem-size", "512", "--disable-cpumask-locks", "--limit-coredump")
    return lambda socket, _: [str(named.dpu), "--rpc-socket", str(socket), *options]
