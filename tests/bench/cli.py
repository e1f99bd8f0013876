"""bmctl beside kubectl, as a user's shell starts them: a process each time, against an API server with our kinds.

Nothing controls the machines; what is compared is start-up, the request and the table. kubectl has its discovery
cached, as on a user's machine.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from provider.api.resources import BAREMETALMACHINE
from sandbox.apiserver import ApiServer
from tests.bench.options import Options
from tests.bench.progress import say
from tests.bench.report import Figure, Report
from tests.bench.waiting import BenchFailed
from tests.integration.manifests import MACHINE_SPEC, manifest

_MACHINES = 20
_LEAST_SAMPLES = 15
_LIMIT_S = 60.0
_MOST_TIMES_KUBECTL = 3.0
_HELP_LIMIT_MS = 150.0


def measure(report: Report, options: Options) -> None:
    """Measure with a control plane that is made for it, and report."""
    say("bmctl and kubectl, side by side")
    with tempfile.TemporaryDirectory(prefix="metalplane-cli-") as temporary:
        server = ApiServer(options.directory or Path(temporary))
        try:
            server.up()
            server.kubectl.apply(
                manifest(BAREMETALMACHINE, f"bm-{number:02}", "default", MACHINE_SPEC) for number in range(_MACHINES)
            )
            commands = _commands(server)
            _check(commands)
            found = _turns(commands, max(options.samples, _LEAST_SAMPLES))
        finally:
            server.down()
    _report(report, found)


def _commands(server: ApiServer) -> dict[str, list[str]]:
    bmctl = str(Path(sys.executable).with_name("bmctl"))
    at = f"--kubeconfig={server.layout.kubeconfig}"
    return {
        "kubectl get": server.kubectl.command("get", "baremetalmachines"),
        "bmctl get": [bmctl, "get", at],
        "kubectl --help": server.kubectl.command("--help"),
        "bmctl --help": [bmctl, "--help"],
        "python -c pass": [sys.executable, "-c", "pass"],
    }


def _check(commands: Mapping[str, Sequence[str]]) -> None:
    """Both get the same machines."""
    for name in ("kubectl get", "bmctl get"):
        lines = _run(commands[name]).splitlines()
        if len(lines) != _MACHINES + 1:
            raise BenchFailed(f"Running {name}", cause=f"it printed {len(lines)} lines for {_MACHINES} machines")


def _turns(commands: Mapping[str, Sequence[str]], samples: int) -> dict[str, list[float]]:
    """Milliseconds of each command, one after the other in each round."""
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(samples):
        for name, argv in commands.items():
            began = time.monotonic()
            _run(argv)
            found[name].append((time.monotonic() - began) * 1000)
    return found


def _run(argv: Sequence[str]) -> str:
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=_LIMIT_S, check=False, env=os.environ | {"TERM": "dumb"}
    )
    if done.returncode:
        raise BenchFailed(f"Running {' '.join(argv)}", cause=done.stderr.strip())
    return done.stdout


def _report(report: Report, found: Mapping[str, Sequence[float]]) -> None:
    section = report.section("bmctl beside kubectl: start to end of a process", "time", "times kubectl")
    for name, samples in found.items():
        section.add(name, Figure(f"CLI: {name}", "ms", _rounded(samples)), _ratio(name, found))
    times = median(_pairs("bmctl get", "kubectl get", found))
    help_ms = median(found["bmctl --help"])
    section.notes.append(
        f"Asked for: bmctl get at most {_MOST_TIMES_KUBECTL:g} x kubectl get ({_met(times <= _MOST_TIMES_KUBECTL)});"
        f" bmctl --help under {_HELP_LIMIT_MS:g} ms ({_met(help_ms < _HELP_LIMIT_MS)})."
        f" {_MACHINES} machines; ratios in pairs of the same round."
    )


def _met(held: bool) -> str:
    return "met" if held else "NOT met"


def _ratio(name: str, found: Mapping[str, Sequence[float]]) -> Figure | None:
    if not name.startswith("bmctl "):
        return None
    other = name.replace("bmctl", "kubectl")
    return Figure(f"CLI: {name}: times {other}", "x", _rounded(_pairs(name, other, found)))


def _pairs(name: str, other: str, found: Mapping[str, Sequence[float]]) -> list[float]:
    return [mine / theirs for mine, theirs in zip(found[name], found[other], strict=True)]


def _rounded(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(value, 3) for value in values)
