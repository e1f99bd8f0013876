"""``python -m tests.faults``: kills at every step, and the table of steps and what became of them.

The steps are not listed by hand: a life without faults is gone through first, and its spans say which external calls
there are and who makes them. Each call is then met twice, just before it leaves and just after its reply came, with its
caller and with each process that it reaches killed (SIGKILL). After each case the machine must have come to what was
asked for, and be gone without a trace: on the targets, the switch, the chassis, the API, the disk.

A cloud of its own comes up and is taken down again. Boots of servers are not limited here.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from sandbox.cloud import Cloud
from sandbox.errors import SandboxError
from tests.faults.cases import PHASES, Case, calls, cases, run

_LEDGER = "METALPLANE_BOOT_LEDGER"


def main() -> int:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="metalplane-faults-") as directory:
        os.environ[_LEDGER] = str(Path(directory) / "boots")
        cloud = Cloud(directory, progress=_say)
        try:
            cloud.up()
            chosen = _choose(cloud, arguments)
            failed = _run_all(cloud, chosen)
        except SandboxError as error:
            print(f"faults: {error}", file=sys.stderr)
            return 1
        finally:
            cloud.down()
    _say(f"\n{len(chosen) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--phase", choices=PHASES, action="append", help="only this phase (may be given again)")
    parser.add_argument("--victim", action="append", help="only this process (may be given again)")
    parser.add_argument("--call", help="only calls with this in their names")
    parser.add_argument("--most-of-a-name", type=int, default=2, help="of calls of one name, the first so many")
    parser.add_argument("--sample", type=int, help="only so many cases, chosen by --seed")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _choose(cloud: Cloud, arguments: argparse.Namespace) -> list[Case]:
    found = [
        case
        for case in cases(calls(cloud, arguments.most_of_a_name))
        if (not arguments.phase or case.phase in arguments.phase)
        and (not arguments.victim or case.victim in arguments.victim)
        and (not arguments.call or arguments.call in case.call.name)
    ]
    if arguments.sample is not None and arguments.sample < len(found):
        found = sorted(random.Random(arguments.seed).sample(found, arguments.sample))
    _say(f"{len(found)} cases")
    return found


def _run_all(cloud: Cloud, chosen: Sequence[Case]) -> list[Case]:
    failed: list[Case] = []
    for number, case in enumerate(chosen, 1):
        began = time.monotonic()
        try:
            outcome = "ok" if run(cloud, case) else "ok (the call was not made this time)"
        except (AssertionError, SandboxError, pytest.fail.Exception) as error:
            failed.append(case)
            outcome = f"FAILED\n{error}"
        _say(f"{number:4}/{len(chosen)}  {time.monotonic() - began:5.1f} s  {case}: {outcome}")
    return failed


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
