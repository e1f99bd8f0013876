"""The agent's port in one VLAN, on a network device of the test's own: what leaves by it, and what it hears."""

import asyncio
import ctypes
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from dpu_handler.probe.arp import ETHERTYPE_ARP, Announcement, probe
from dpu_handler.probe.vlan import ProbePort, port_name
from tests.unit.dpu_handler.model_dpu import ModelDpu

VLAN = 100
NAME, PEER = port_name(VLAN), "peer"
MAC, MACHINE_MAC = "02:00:00:00:00:01", "52:54:00:aa:bb:01"
ADDRESS = "10.99.0.11"
WITHIN_S = 5.0
CLONE_NEWNET = 0x40000000
"""Linux, <sched.h>."""


def in_own_network(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario in a network namespace that ends with its thread."""

    def run() -> None:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        asyncio.run(asyncio.wait_for(scenario(), WITHIN_S))

    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(run).result()


def make_device() -> None:
    """As Open vSwitch makes an internal port: there, and down."""
    subprocess.run(["ip", "link", "add", NAME, "address", MAC, "type", "veth", "peer", PEER], check=True)
    subprocess.run(["ip", "link", "set", PEER, "up"], check=True)


@asynccontextmanager
async def wire() -> AsyncIterator[socket.socket]:
    """The other end of the device: the bridge."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE_ARP)) as peer:
        peer.bind((PEER, ETHERTYPE_ARP))
        peer.setblocking(False)
        yield peer


def test_a_probe_leaves_with_the_ports_address_and_the_answer_is_heard() -> None:
    async def scenario() -> None:
        make_device()
        model, heard = ModelDpu(), asyncio.Queue[Announcement]()
        port = ProbePort(model.clients(), VLAN, heard.put_nowait)
        async with wire() as bridge:
            await port.ask(ADDRESS)
            loop = asyncio.get_running_loop()
            assert await loop.sock_recv(bridge, 2048) == probe(MAC, ADDRESS)
            answer = bytes.fromhex(
                "020000000001 525400aabb01 0806 0001 0800 06 04 0002 525400aabb01 0a63000b 020000000001 00000000"
            )
            await loop.sock_sendall(bridge, b"\x00" * 12 + b"\x08\x06" + b"noise" * 10)
            await loop.sock_sendall(bridge, answer)
            assert await heard.get() == Announcement(ADDRESS, MACHINE_MAC)
        assert model.port(NAME) == {"tag": VLAN, "external_ids": {}, "mtu_request": None, "type": "internal"}
        await port.remove()
        assert model.ports() == []

    in_own_network(scenario)


def test_a_port_whose_device_comes_late_is_made_once_and_tried_again() -> None:
    async def scenario() -> None:
        model = ModelDpu()
        port = ProbePort(model.clients(), VLAN, lambda _: None)
        with pytest.raises(OSError, match="No such device"):
            await port.ask(ADDRESS)
        make_device()
        async with wire() as bridge:
            await port.ask(ADDRESS)
            assert await asyncio.get_running_loop().sock_recv(bridge, 2048) == probe(MAC, ADDRESS)
        assert model.changes == ["transact"]
        await port.remove()

    in_own_network(scenario)


def test_a_device_that_went_away_is_found_again() -> None:
    async def scenario() -> None:
        model = ModelDpu()
        port = ProbePort(model.clients(), VLAN, lambda _: None)
        make_device()
        await port.ask(ADDRESS)
        subprocess.run(["ip", "link", "delete", NAME], check=True)  # noqa: ASYNC221
        with pytest.raises(OSError, match=r"device|down"):
            await port.ask(ADDRESS)
        make_device()
        await port.ask(ADDRESS)
        await port.remove()

    in_own_network(scenario)


@pytest.mark.parametrize("vlan", [1, 4094])
def test_every_vlans_port_has_a_name_that_a_network_device_can_bear(vlan: int) -> None:
    assert len(port_name(vlan)) <= 15
