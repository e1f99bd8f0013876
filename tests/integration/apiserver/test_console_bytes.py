"""What goes through a console is what comes out, and nobody waits for a reader."""

import asyncio
import random

import psutil

from tests.integration.apiserver.installed import InstalledApi
from tests.integration.apiserver.lightrack import LightRack
from tests.integration.apiserver.slowreader import SlowReader
from tests.integration.apiserver.tenants import straight
from tests.integration.apiserver.websockets import Clients, Console, Door, path

ALL_BYTES = bytes(range(256))
_PIECE_BYTES, _AHEAD_BYTES = 2 * 1024, 12 * 1024
"""So far the writer runs ahead: a BMC buffers 16 KiB, and drops what is more while a packet is repeated."""

_FLOOD_BYTES = 1536 * 1024
_GROWTH_BYTES = 8 * 1024 * 1024
_KEPT_BYTES = 1024 * 1024


async def echoed(console: Console, data: bytes) -> bytes:
    """What is read while ``data`` is written and the server echoes it."""
    read = bytearray()
    for written in range(0, len(data), _PIECE_BYTES):
        await console.types(data[written : written + _PIECE_BYTES])
        read += await console.reads(max(0, written + _PIECE_BYTES - _AHEAD_BYTES - len(read)))
    return bytes(read + await console.reads(len(data) - len(read)))


async def test_every_byte_goes_both_ways_through_the_api_server(
    api: InstalledApi, rack: LightRack, consoles: Clients, namespace: str
) -> None:
    machine = rack.machine(namespace)
    console = await consoles.opens(Door.of(api.rest), machine)
    await console.types(ALL_BYTES + b"\xff\xfe\x00 and on")
    assert await console.until(b" and on") == ALL_BYTES + b"\xff\xfe\x00 and on"


async def test_a_slow_reader_stalls_nobody_and_is_told_what_it_lost(
    api: InstalledApi, rack: LightRack, consoles: Clients, namespace: str
) -> None:
    machine, door = rack.machine(namespace), Door.of(api.rest)
    writer = await consoles.opens(door, machine)
    replica = rack.owner(rack.server_of(machine))
    owner = psutil.Process(rack.pid(replica))
    # Straight at the owner: an API server in between buffers much, and reads on.
    slow = SlowReader(straight(api, replica, namespace), machine)
    flood = random.Random(5).randbytes(_FLOOD_BYTES)

    assert await echoed(writer, ALL_BYTES) == ALL_BYTES
    before = owner.memory_info().rss
    assert await echoed(writer, flood) == flood
    assert owner.memory_info().rss - before < _GROWTH_BYTES
    assert not any(frame["type"] == "lost" for frame in writer.news)

    data, lost = await asyncio.to_thread(slow.reads_up_to, flood[-64:])
    slow.close()
    assert lost > 0, f"{len(data)} bytes were buffered for it on the way"
    assert len(data) + lost == len(ALL_BYTES) + len(flood)
    assert data.endswith(flood[-_KEPT_BYTES // 2 :])
    assert api.rest.bytes_of(path(machine, "seriallog")) == flood[-_KEPT_BYTES:]
