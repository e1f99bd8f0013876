"""The same image on the server's own disk, the way of OpenStack Ironic's direct deploy: boot, copy, boot again.

The server by hand boots a deploy system, which fetches the image over its NIC and writes all of it to the local disk,
synced; it says so, the power is cut, and the server boots that disk. The deploy system is the image itself, with its
kernel, its initramfs and a script as user data, so that neither boot is of something heavier than the other.
Kinder than Ironic: the deploy system comes from a disk and not by DHCP and TFTP, it is as small as the image; there is
no inspection, no cleaning, no conductor that polls, no power-on self-test of real firmware; and the clock starts at the
first power-on, without any API before it.
"""

import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from provider.function.children import BOOT_SLOT, FIRST_DATA_SLOT, SEED_SLOT
from sandbox import inventory
from tests.bench.byhand import DISK_BYTES, Disk, ServerByHand
from tests.bench.firstreply import FirstReply
from tests.bench.imageserver import ASKED, DEPLOYED
from tests.bench.provisioning import ADDRESS, BOOT_S
from tests.bench.waiting import BenchFailed

_DEPLOY_ADDRESS = "10.20.0.12"
"""Not the machine's, whose first reply must be its own."""
_SECTOR_BYTES = 512
_SCRIPT = """#!/bin/sh
for disk in /sys/block/vd*; do
    [ "$(cat $disk/size)" = {sectors} ] && target=/dev/${{disk##*/}}
done
wget -q -O - {url}/{asked} | dd of=$target bs=1M iflag=fullblock conv=fsync && wget -q -O - {url}/{deployed}
"""


@dataclass(frozen=True, slots=True)
class Deployed:
    """One deployment, in seconds: until the deploy system asked for the image, until it was written, until the ping."""

    first_boot_s: float
    copy_s: float
    second_boot_s: float

    @property
    def ping_s(self) -> float:
        return self.first_boot_s + self.copy_s + self.second_boot_s


class _ImageServer:
    """The process that gives the image, where a tenant's client sits."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.url = f"http://{inventory.FIRST_TENANT.gateway}:{self._line(BOOT_S)}"

    def wait(self, wanted: str) -> float:
        """The moment at which the deploy system says that word, by the monotonic clock."""
        if (said := self._line(BOOT_S)) != wanted:
            raise BenchFailed("Deploying an image", cause=f"{said!r} was asked for, not {wanted!r}")
        return time.monotonic()

    def _line(self, within_s: float) -> str:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], within_s)[0]:
            raise BenchFailed("Deploying an image", cause=f"nothing was asked for within {within_s:g} s")
        return self._process.stdout.readline().decode().strip()


def deploy(server: ServerByHand) -> Deployed:
    """Deploy onto an empty disk and boot it; the server is off and empty again afterwards."""
    local_file = server.files / "local.raw"
    local_file.unlink(missing_ok=True)
    with local_file.open("wb") as disk:
        disk.truncate(DISK_BYTES)
    local = Disk(local_file, FIRST_DATA_SLOT, boot_index=1)
    with _image_server(server) as images, FirstReply(server.cloud, ADDRESS) as reply:
        script = _SCRIPT.format(url=images.url, asked=ASKED, deployed=DEPLOYED, sectors=DISK_BYTES // _SECTOR_BYTES)
        system = Disk(server.clone("system.qcow2"), BOOT_SLOT, "qcow2", boot_index=0)
        task = Disk(server.seed("task.iso", _DEPLOY_ADDRESS, script.encode()), SEED_SLOT, writable=False)
        seed = Disk(server.seed("seed.iso", ADDRESS), SEED_SLOT, writable=False)
        with server.serving(system, task, local, seed):
            began = time.monotonic()
            with server.powered(system, task, local):
                asked_at = images.wait(ASKED)
                deployed_at = images.wait(DEPLOYED)
            with server.powered(local, seed):
                replied_at = reply.wait(BOOT_S)
    return Deployed(asked_at - began, deployed_at - asked_at, replied_at - deployed_at)


@contextmanager
def _image_server(server: ServerByHand) -> Iterator[_ImageServer]:
    command = [sys.executable, "-m", "tests.bench.imageserver", inventory.FIRST_TENANT.gateway, str(server.image)]
    # Unbuffered: what was read ahead would not be seen by the wait for more.
    process = subprocess.Popen(server.cloud.tenant_command(command), stdout=subprocess.PIPE, bufsize=0)
    try:
        yield _ImageServer(process)
    finally:
        process.kill()
        process.communicate()
