"""``python -m tests.faults``: a fault at every step of a machine's life, and the table of steps and faults.

The steps are not listed by hand: a life without faults is gone through first, and its spans say which external calls
there are and who makes them. Each call is then met just before it leaves and just after its reply came: its caller and
each process that it reaches are killed (SIGKILL); kube-controller-manager is, where a volume is attached or detached;
and at one call of each sort the API server hangs, or is away, for half a minute. Then each process is killed under a
machine that runs and writes; and a DPU with writes under way hangs, or is shut out from its volume, while that goes to
another DPU. After each case the machine must have come to what was asked for and be gone without a
trace on the targets, the switch, the chassis, the API and the disk; no volume may have had two writers at any moment;
and what was acknowledged to a machine that wrote must be read again with all caches dropped.

A cloud of its own comes up, and a new one after each case that failed; whatever happens, it is taken down. Boots of
servers are not limited here.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.cloud import Cloud
from sandbox.errors import SandboxError
from tests.faults import table
from tests.faults.cases import Case, NotMadeError, calls, cases, prepare, run
from tests.faults.fault import KINDS
from tests.faults.life import PHASES, Phase
from tests.faults.table import Result

_LEDGER = "METALPLANE_BOOT_LEDGER"
_INTERRUPTED = 130


def main() -> int:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    results = [each for each in table.read(arguments.output) if each.outcome != "FAILED"] if arguments.go_on else []
    known = {result.case for result in results}
    try:
        with _cloud(servers=2 if "move" in _phases(arguments) else 1) as cloud:
            _run_all(cloud, _choose(cloud, arguments, known), arguments.logs, results)
    except SandboxError as error:
        print(f"faults: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    finally:
        if results:
            _say(f"\n{table.markdown(results)}")
            table.write(results, arguments.output)
    return 1 if any(result.outcome == "FAILED" for result in results) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--phase", choices=PHASES, action="append", help="only this phase (may be given again)")
    parser.add_argument("--victim", action="append", help="only this process (may be given again)")
    parser.add_argument("--fault", choices=KINDS, action="append", help="only this sort of fault")
    parser.add_argument("--call", help="only calls with this in their names")
    parser.add_argument("--most-of-a-name", type=int, default=2, help="of calls of one name, the first so many")
    parser.add_argument("--sample", type=int, help="only so many cases, chosen by --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--list", action="store_true", help="say which cases there are, and run none")
    parser.add_argument(
        "--output", type=Path, default=Path("faults.json"), help="all results; the table goes beside it"
    )
    parser.add_argument(
        "--go-on", action="store_true", help="keep the results that --output has, and run what failed or is not there"
    )
    parser.add_argument("--logs", type=Path, help="directory for logs and traces of the cases that failed")
    return parser.parse_args()


@contextmanager
def _cloud(servers: int) -> Iterator[Cloud]:
    with tempfile.TemporaryDirectory(prefix="metalplane-faults-") as directory:
        os.environ[_LEDGER] = str(Path(directory) / "boots")
        cloud = Cloud(directory, servers=servers, progress=_say)
        try:
            _bring_up(cloud)
            yield cloud
        finally:
            cloud.down()


def _bring_up(cloud: Cloud) -> None:
    cloud.up()
    prepare(cloud)


def _phases(arguments: argparse.Namespace) -> Sequence[Phase]:
    return arguments.phase or PHASES


def _choose(cloud: Cloud, arguments: argparse.Namespace, known: AbstractSet[Case]) -> list[Case]:
    made = calls(cloud, arguments.most_of_a_name, _phases(arguments))
    found = [case for case in cases(made) if _is_wanted(case, arguments) and case not in known]
    if arguments.sample is not None and arguments.sample < len(found):
        found = sorted(random.Random(arguments.seed).sample(found, arguments.sample), key=lambda case: case.place)
    _say(f"{len(found)} cases")
    if arguments.list:
        _say("\n".join(map(str, found)))
        return []
    return found


def _is_wanted(case: Case, arguments: argparse.Namespace) -> bool:
    return (
        case.phase in _phases(arguments)
        and (not arguments.victim or case.fault.victim in arguments.victim)
        and (not arguments.fault or case.fault.kind in arguments.fault)
        and (not arguments.call or (case.call is not None and arguments.call in case.call.name))
    )


def _run_all(cloud: Cloud, chosen: list[Case], logs: Path | None, results: list[Result]) -> None:
    """Run them, adding to the results, which are told even where a signal ends the run."""
    for number, case in enumerate(chosen, 1):
        result = _run(cloud, case)
        _say(f"{number:4}/{len(chosen)}  {result.seconds:5.1f} s  {case}: {result.outcome}  {result.told}".rstrip())
        results.append(result)
        if result.outcome == "FAILED":
            _begin_anew(cloud, None if logs is None else logs / f"{number}")


def _run(cloud: Cloud, case: Case) -> Result:
    began = time.monotonic()
    try:
        run(cloud, case)
    except NotMadeError as error:
        return Result(case, "not made", time.monotonic() - began, str(error))
    except (AssertionError, SandboxError, pytest.fail.Exception) as error:
        return Result(case, "FAILED", time.monotonic() - began, str(error))
    except Exception:  # whatever it was, the other cases are run
        return Result(case, "FAILED", time.monotonic() - began, traceback.format_exc())
    return Result(case, "ok", time.monotonic() - began)


def _begin_anew(cloud: Cloud, logs: Path | None) -> None:
    """What a case that failed left behind must not fail those after it."""
    cloud.down()
    if logs is not None:
        for directory in (cloud.layout.log, cloud.layout.trace):
            shutil.copytree(directory, logs / directory.name, dirs_exist_ok=True)
    _bring_up(cloud)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
