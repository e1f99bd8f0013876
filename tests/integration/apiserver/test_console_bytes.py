"""What goes through a console is what comes out, and nobody waits for a reader."""

import asyncio
import random
from contextlib import closing

import psutil

from tests.integration.apiserver.installed import InstalledApi
from tests.integration.apiserver.lightrack import LightRack
from tests.integration.apiserver.slowreader import SlowReader, unsent_bytes
from tests.integration.apiserver.tenants import straight
from tests.integration.apiserver.websockets import Clients, Console, Door, path

ALL_BYTES = bytes(range(256))
_PIECE_BYTES, _AHEAD_BYTES = 2 * 1024, 12 * 1024
"""So far the writer runs ahead: a BMC buffers 16 KiB, and drops what is more while a packet is repeated."""

_FLOOD_BYTES, _MOST_BYTES = 1536 * 1024, 6 * 1024 * 1024
_GROWTH_BYTES = 4 * 1024 * 1024
"""What is kept of the console, and some more."""

_KEPT_BYTES = 1024 * 1024
_UNSENT_BYTES = 32 * 1024
"""More than is ever on its way to somebody who reads."""


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
    replicas = [psutil.Process(rack.pid(spec.name)) for spec in api.replicas]
    # Straight at the owner; and through the API server, which takes up to 2 MiB or so before it, too, reads no further.
    with (
        closing(SlowReader(straight(api, replica, namespace), machine)) as slow,
        closing(SlowReader(door, machine)) as behind,
    ):
        assert await echoed(writer, ALL_BYTES) == ALL_BYTES
        before = [each.memory_info().rss for each in replicas]
        printed, dice = ALL_BYTES, random.Random(5)
        while len(printed) < _FLOOD_BYTES or unsent_bytes(api.ports.api) < _UNSENT_BYTES:
            assert len(printed) < _MOST_BYTES, "the API server reads on for a client that does not"
            flood = dice.randbytes(_FLOOD_BYTES // 4)
            assert await echoed(writer, flood) == flood
            printed += flood
        for each, rss in zip(replicas, before, strict=True):
            assert each.memory_info().rss - rss < _GROWTH_BYTES
        assert not any(frame["type"] == "lost" for frame in writer.news)

        data, lost = await asyncio.to_thread(slow.reads_up_to, printed[-64:])
        assert lost > 0, f"{len(data)} bytes were buffered for it on the way"
        assert len(data) + lost == len(printed)
        assert data.endswith(printed[-_KEPT_BYTES // 2 :])

        data, lost = await asyncio.to_thread(behind.reads_up_to, printed[-64:])
        assert len(data) + lost == len(printed)
        assert data.endswith(printed[-_KEPT_BYTES // 2 :])
    assert api.rest.bytes_of(path(machine, "seriallog")) == printed[-_KEPT_BYTES:]
