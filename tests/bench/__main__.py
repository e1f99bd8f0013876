"""``python -m tests.bench``: figures of this checkout on this machine, side by side in one run.

Whatever is compared is measured in turns, so that both meet the same machine in the same mood; ratios are of one run.
The parts, of which ``--only`` chooses some:

    clients   SPDK: our client beside PyPI's, plain Python and the raw socket (``spdkclients``)
    ovsdb     Open vSwitch's database: our client beside PyPI's IDL, ovs-vsctl and plain Python (``ovsdbclients``)
    cli       bmctl beside kubectl: a process from its start to its end (``cli``)
    boots     create -> ping beside a bare boot and an Ironic-like flow; round trips, writes, footprint (``boots``)
    verbs     hot plug through the API beside QEMU's own; the console beside ``ipmitool sol`` (``verbs``)
    scale     hundreds of light machines to Ready and back to nothing, beside a replay of their writes (``scale``)
"""

import argparse
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from sandbox.errors import SandboxError
from tests.bench import boots, cli, ovsdbclients, scale, spdkclients, verbs
from tests.bench.options import Options
from tests.bench.progress import say
from tests.bench.report import Report

_PARTS: Mapping[str, Callable[[Report, Options], None]] = {
    "clients": spdkclients.measure,
    "ovsdb": ovsdbclients.measure,
    "cli": cli.measure,
    "boots": boots.measure,
    "verbs": verbs.measure,
    "scale": scale.measure,
}
_INTERRUPTED = 130


def main() -> int:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    report = Report()
    try:
        for name in arguments.only:
            _PARTS[name](report, _options(arguments))
    except SandboxError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    report.print()
    report.write(arguments.output)
    say(f"\nAll samples: {arguments.output}")
    return 0


def _options(arguments: argparse.Namespace) -> Options:
    return Options(
        samples=arguments.samples,
        idle_s=arguments.idle_s,
        directory=arguments.dir,
        fleets=tuple(arguments.machines),
        plugs=arguments.plugs,
        keys=arguments.keys,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=_parts, default=list(_PARTS), metavar="PART,...", help="parts (default all)")
    parser.add_argument(
        "--samples", type=_positive, default=7, help="boots of each sort, and rounds of the clients (default 7)"
    )
    parser.add_argument("--idle-s", type=float, default=30.0, help="how long to watch a machine at rest (default 30)")
    parser.add_argument(
        "--machines",
        type=_numbers,
        default=[100, 300, 1000],
        metavar="N,...",
        help="light machines at once, each number in a cloud of its own (default 100,300,1000: half an hour)",
    )
    parser.add_argument("--plugs", type=_positive, default=50, help="devices of each sort to hot plug (default 50)")
    parser.add_argument("--keys", type=_positive, default=200, help="keys through each console (default 200)")
    parser.add_argument("--output", type=Path, default=Path("bench.json"), help="all samples (default bench.json)")
    parser.add_argument("--dir", type=Path, help="directory for the cloud, whose logs stay (default: a temporary one)")
    return parser.parse_args()


def _parts(text: str) -> list[str]:
    chosen = text.split(",")
    if unknown := sorted(set(chosen) - set(_PARTS)):
        raise argparse.ArgumentTypeError(f"no part is called {', '.join(unknown)}; there are {', '.join(_PARTS)}")
    return [name for name in _PARTS if name in chosen]


def _numbers(text: str) -> list[int]:
    return [_positive(each) for each in text.split(",")]


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
