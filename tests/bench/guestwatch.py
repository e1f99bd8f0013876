"""A watcher inside a guest, and the host's ear at its serial console: when a device was seen in there.

The watcher looks at the guest's disks and network interfaces every ten milliseconds, without starting a process, and
prints what came and went on the serial port. QEMU appends that to a file, in which each whole line is given the host's
time; so no clock of the guest counts, and all servers are watched alike. What the watcher takes by itself is measured
by marks: a line printed just before a file appears that it watches too.
"""

import os
import queue
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.waiting import BenchFailed, wait_for
from tests.e2e.tenant import Machine

DISKS, NICS, MARKS = "/sys/block/", "/sys/class/net/", "/run/marks/"

_EVERY_S = 0.01
"""Half of that would cost an emulated guest a third of a core."""
_WATCHER = f"""
exec 3>/dev/ttyS0 4<>/run/pause
seen=
while :; do
    set -- {DISKS}* {NICS}* {MARKS}*
    if [ "$*" != "$seen" ]; then
        for entry in "$@"; do case " $seen " in *" $entry "*) ;; *) echo "watch: + $entry" >&3 ;; esac; done
        for entry in $seen; do case " $* " in *" $entry "*) ;; *) echo "watch: - $entry" >&3 ;; esac; done
        seen="$*"
    fi
    read -t {_EVERY_S} _ <&4
done
"""
_START = f"""
mkfifo /run/pause && mkdir {MARKS} || exit
cat >/run/watch <<'END'
{_WATCHER}
END
setsid sh /run/watch </dev/null >/dev/null 2>&1 &
"""
_MARK = """
for number in $(seq {count}); do
    sleep 0.1$number
    echo "watch: * mark" >/dev/ttyS0
    : >{marks}$number
done
"""
_SSH_S = 60.0
_SEEN_S = 60.0


@dataclass(frozen=True, slots=True)
class Sighting:
    """A line of the watcher, whole on the host at ``at_ns`` by Unix time: ``+`` came, ``-`` went, ``*`` is a mark."""

    sign: str
    entry: str
    at_ns: int


@dataclass(slots=True)
class Lines:
    """Bytes of a serial console in, sightings out; the rest of the console is passed over."""

    _kept: bytes = field(default=b"", init=False)

    def feed(self, data: bytes, at_ns: int) -> list[Sighting]:
        """What is whole now."""
        *whole, self._kept = (self._kept + data).split(b"\n")
        words = [line.decode(errors="replace").split() for line in whole]
        return [Sighting(each[1], each[2], at_ns) for each in words if len(each) == 3 and each[0] == "watch:"]


class GuestWatch:
    """Watches one guest from its making to its end as a context."""

    def __init__(self, machine: Machine, address: str, console_log: Path) -> None:
        self._machine = machine
        self._address = address
        self._console_log = console_log
        self._sightings: queue.SimpleQueue[Sighting] = queue.SimpleQueue()

    def __enter__(self) -> "GuestWatch":
        wait_for(f"SSH of {self._address}", lambda: self._machine.lets_in(self._address), _SSH_S)
        argv = ["tail", "--bytes=+1", "--follow", str(self._console_log)]
        self._tail = subprocess.Popen(argv, stdout=subprocess.PIPE)
        threading.Thread(target=self._read, daemon=True).start()
        self._machine.run(_START, self._address)
        self.wait("+", NICS + "lo")
        return self

    def __exit__(self, *_: object) -> None:
        self._tail.kill()
        self._tail.communicate()

    def wait(self, sign: str, prefix: str) -> Sighting:
        """The next one of that sign whose entry begins so; those before it are forgotten."""
        deadline = time.monotonic() + _SEEN_S
        while True:
            try:
                sighting = self._sightings.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                cause = f"not within {_SEEN_S:g} s in the guest at {self._address}: {sign} {prefix}"
                raise BenchFailed("Watching for a device", cause=cause) from None
            if sighting.sign == sign and sighting.entry.startswith(prefix):
                return sighting

    def own_delays_ms(self, count: int) -> list[float]:
        """How long after a mark the watcher tells what came right behind it."""
        self._machine.run(_MARK.format(count=count, marks=MARKS), self._address)
        delays: list[float] = []
        for _ in range(count):
            mark = self.wait("*", "mark")
            delays.append((self.wait("+", MARKS).at_ns - mark.at_ns) / 1e6)
        return delays

    def _read(self) -> None:
        lines = Lines()
        assert self._tail.stdout is not None
        while data := os.read(self._tail.stdout.fileno(), 1 << 16):
            for sighting in lines.feed(data, time.time_ns()):
                self._sightings.put(sighting)
