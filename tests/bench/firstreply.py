"""The first ICMP reply of an address, seen from where a tenant's client sits.

Echo requests leave every 20 ms, before the machine exists, so that the reply is seen as soon as there can be one. For
the same reason the client's neighbour table asks again after 50 ms and not after a second, and forgets the MAC of
whoever had the address before.
"""

import os
import select
import subprocess
import time
from pathlib import Path

from sandbox import network
from sandbox.cloud import Cloud
from tests.bench.waiting import BenchFailed

_EVERY_S = 0.02
_ASK_AGAIN_MS = 50
_REPLY = b"bytes from"
_DEVICE = "eth0"


class FirstReply:
    """Pings from its making to its end as a context."""

    def __init__(self, cloud: Cloud, address: str) -> None:
        self._cloud = cloud
        self._address = address

    def __enter__(self) -> "FirstReply":
        self._forget_neighbours()
        argv = self._cloud.tenant_command(["ping", "-n", "-i", str(_EVERY_S), self._address])
        self._ping = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return self

    def __exit__(self, *_: object) -> None:
        self._ping.kill()
        self._ping.communicate()

    def wait(self, within_s: float) -> float:
        """The moment of the first reply, by the monotonic clock."""
        assert self._ping.stdout is not None
        deadline = time.monotonic() + within_s
        said = b""
        while _REPLY not in said:
            ready, _, _ = select.select([self._ping.stdout], [], [], max(0.0, deadline - time.monotonic()))
            received = os.read(self._ping.stdout.fileno(), 1 << 16) if ready else b""
            if not received:
                raise BenchFailed(f"Pinging {self._address}", cause=f"no reply within {within_s:g} s")
            said = said[-len(_REPLY) :] + received
        return time.monotonic()

    def _forget_neighbours(self) -> None:
        setting = Path("/proc/sys/net/ipv4/neigh") / _DEVICE / "retrans_time_ms"
        # A process sees the settings of the network namespace that it is in.
        network.run(*self._cloud.tenant_command(["sh", "-c", f"echo {_ASK_AGAIN_MS} >{setting}"]))
        network.run("ip", "-netns", self._cloud.layout.tenant_namespace, "neighbour", "flush", "dev", _DEVICE)
