"""Data that a machine was told is on its disk: written record by record, and read again with all caches dropped."""

import hashlib
import os
import subprocess
import threading
from pathlib import Path

from sandbox.cloud import Cloud
from tests.e2e.tenant import ADDRESS, Machine
from tests.waiting import wait_for

RECORD_BYTES = 4096
FILE = "/root/acknowledged"
"""Where a machine with one disk writes."""

_FEW = 20
"""Records that are enough to say that writing goes on."""

# A number is printed once fsync(2) has returned; whoever reads it may rely on the record. A write that fails ends it.
_WRITE = f"""n=0
while n=$((n + 1)); do
  printf '%0{RECORD_BYTES - 1}d\\n' $n | dd of=$TO bs={RECORD_BYTES} seek=$((n - 1)) conv=notrunc,fsync 2>&- || exit
  echo $n || exit
done"""


class Writing:
    """A machine that writes without end. What it says is heard over SSH, so it lasts longer than the machine.

    ``to``: a file or a disk of the machine.
    """

    def __init__(self, machine: Machine, to: str = FILE) -> None:
        self._acknowledged = 0
        argv = machine.tenant.cloud.tenant_command(machine.ssh_command(f"TO={to}; {_WRITE}"))
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.wait_goes_on()

    def wait_goes_on(self, within_s: float = 60.0) -> None:
        """Return when some more records were acknowledged."""
        enough = self._acknowledged + _FEW
        wait_for(lambda: self._acknowledged >= enough, f"record {enough} is on the machine's disk", within_s)

    def stop(self) -> int:
        """End it; how many records were acknowledged."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        return self._acknowledged

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as said:
            for line in said:
                self._acknowledged = int(line)


def check(machine: Machine, records: int, of: str = FILE, address: str = ADDRESS) -> None:
    """Fails unless the machine reads so many records as they were written, from the pool's files and no cache."""
    found = digest_of(machine, of, records * RECORD_BYTES, address)
    assert found == _digest(records), f"{records} records were acknowledged, and are not all there"


def digest_of(machine: Machine, what: str, size_bytes: int, address: str = ADDRESS) -> str:
    """SHA-256 of the first bytes of a file or a disk, as the pool's files have them."""
    wait_for(lambda: machine.lets_in(address), f"{machine.name} lets its tenant in")
    _drop_caches(machine.tenant.cloud)
    read = f"echo 3 > /proc/sys/vm/drop_caches; head -c {size_bytes} {what} | sha256sum"
    return machine.run(read, address).split()[0]


def _digest(records: int) -> str:
    written = hashlib.sha256()
    for number in range(1, records + 1):
        written.update(b"%0*d\n" % (RECORD_BYTES - 1, number))
    return written.hexdigest()


def _drop_caches(cloud: Cloud) -> None:
    """What the storage node has in memory of its pool and need not have there: the pages that are on its disk."""
    for path in cloud.layout.storage.rglob("*"):
        if path.is_file():
            _drop_cache(path)


def _drop_cache(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
