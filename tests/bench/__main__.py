"""``python -m tests.bench``: figures of this checkout on this machine, side by side in one run.

A cloud of its own comes up and boots are taken in turns: the image alone, without metalplane, then a machine through
metalplane; so both meet the same machine in the same mood. All other figures are taken from the same machines' traces
and audit log, and from the last one at rest. Whatever happens, the cloud is taken down.
"""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.cloud import Cloud
from sandbox.errors import SandboxError
from tests.bench.bareboot import BareServer
from tests.bench.findings import Findings, Sample
from tests.bench.footprint import at_rest
from tests.bench.provisioning import Provisioning
from tests.bench.roundtrips import OPERATIONS, Trace
from tests.bench.writes import Audit

_LEDGER = "METALPLANE_BOOT_LEDGER"
_INTERRUPTED = 130


def main() -> int:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with _cloud(arguments.dir) as (cloud, ledger):
            findings = _measure(cloud, ledger, arguments)
    except SandboxError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    report = findings.report()
    report.print()
    report.write(arguments.output)
    _say(f"\nAll samples: {arguments.output}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Figures, side by side in one run.")
    parser.add_argument("--samples", type=_positive, default=7, help="boots of each sort (default 7)")
    parser.add_argument("--idle-s", type=float, default=30.0, help="how long to watch a machine at rest (default 30)")
    parser.add_argument("--output", type=Path, default=Path("bench.json"), help="all samples (default bench.json)")
    parser.add_argument("--dir", type=Path, help="directory for the cloud, whose logs stay (default: a temporary one)")
    return parser.parse_args()


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


@contextmanager
def _cloud(chosen: Path | None) -> Iterator[tuple[Cloud, Path]]:
    """A cloud that is up, and the file in which its chassis note their boots."""
    with tempfile.TemporaryDirectory(prefix="metalplane-bench-") as temporary:
        ledger = Path(temporary) / "boots"
        os.environ[_LEDGER] = str(ledger)  # the chassis inherits it
        cloud = Cloud(chosen or temporary, progress=_say)
        try:
            _say("Bringing a metal cloud up")
            cloud.up()
            yield cloud, ledger
        finally:
            cloud.down()


def _measure(cloud: Cloud, ledger: Path, arguments: argparse.Namespace) -> Findings:
    findings = Findings(arguments.idle_s)
    bare = BareServer(cloud)
    bare.up()
    provisioning = Provisioning(cloud, ledger)
    audit = Audit(cloud.layout.log / "audit.jsonl")
    for number in range(1, arguments.samples + 1):
        bare_s = bare.boot()
        _say(f"{number}/{arguments.samples}  bare boot: ping after {bare_s:.2f} s")
        created = provisioning.create()
        settled_at = audit.wait_quiet()
        _say(f"{number}/{arguments.samples}  machine: power {created.power_on_s:.2f} s, ping {created.ping_s:.2f} s")
        if number == arguments.samples:
            _say(f"at rest for {arguments.idle_s:g} s")
            findings.footprints = at_rest(cloud, arguments.idle_s)
            findings.writes_at_rest = audit.ours(settled_at, settled_at + arguments.idle_s)
        trace = Trace(cloud.layout, created.uid)
        requests = {operation.name: trace.requests_of(operation) for operation in OPERATIONS}
        deleted = provisioning.delete()
        gone_at = audit.wait_quiet()
        _say(f"{number}/{arguments.samples}  machine: gone after {deleted.gone_s:.2f} s")
        writes = audit.ours(created.created_at, settled_at), audit.ours(deleted.asked_at, gone_at)
        findings.samples.append(Sample(bare_s, created, deleted, requests, *writes))
    return findings


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
