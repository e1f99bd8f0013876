"""ARP frames: a probe claims no address (RFC 5227, 2.1.1), and no frame from the wire can break the parser."""

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpu_handler.probe.arp import ETHERTYPE_ARP, FRAME_BYTES, Announcement, parse, probe

MAC, MACHINE_MAC = "02:00:00:00:00:01", "52:54:00:aa:bb:01"
ADDRESS = "10.99.0.11"
NOBODY = str(ipaddress.IPv4Address(0))

addresses = st.ip_addresses(v=4).map(str)
macs = st.binary(min_size=6, max_size=6).map(lambda mac: mac.hex(":"))


def frame(sender: str, sender_mac: str, *, operation: int = 2, **changed: int) -> bytes:
    """An ARP frame as a machine sends it, laid out by hand from RFC 826."""
    mac = bytes.fromhex(sender_mac.replace(":", ""))
    hardware, protocol = changed.get("hardware", 1), changed.get("protocol", 0x0800)
    ethernet = bytes.fromhex("020000000001") + mac + struct.pack("!H", changed.get("ethertype", ETHERTYPE_ARP))
    fixed = struct.pack("!HHBBH", hardware, protocol, 6, 4, operation)
    return ethernet + fixed + mac + ipaddress.IPv4Address(sender).packed + bytes(6) + bytes(4)


def test_a_probe_asks_everybody_and_claims_nothing() -> None:
    assert probe(MAC, ADDRESS) == bytes.fromhex(
        "ffffffffffff 020000000001 0806"  # to all, from the agent's port, ARP
        "0001 0800 06 04 0001"  # Ethernet, IPv4, request
        "020000000001 00000000"  # sender address 0.0.0.0: no neighbour learns it
        "000000000000 0a63000b"  # who has 10.99.0.11
    )


@given(macs, addresses)
def test_a_probe_fills_a_frame_and_announces_nobody(mac: str, address: str) -> None:
    asked = probe(mac, address)
    assert len(asked) == FRAME_BYTES
    assert parse(asked) is None


@given(addresses.filter(lambda address: address != NOBODY), macs, st.sampled_from([1, 2]), st.binary(max_size=18))
def test_who_answers_or_asks_for_others_says_where_it_is(
    address: str, mac: str, operation: int, padding: bytes
) -> None:
    assert parse(frame(address, mac, operation=operation) + padding) == Announcement(address, mac)


@pytest.mark.parametrize(
    "other",
    [{"ethertype": 0x0800}, {"ethertype": 0x8100}, {"hardware": 6}, {"protocol": 0x86DD}, {"operation": 3}],
    ids=str,
)
def test_what_is_no_arp_for_ipv4_is_passed_over(other: dict[str, int]) -> None:
    assert parse(frame(ADDRESS, MACHINE_MAC, **other)) is None


@given(st.integers(min_value=0, max_value=FRAME_BYTES - 1))
def test_a_frame_that_is_cut_off_is_passed_over(length: int) -> None:
    assert parse(frame(ADDRESS, MACHINE_MAC)[:length]) is None


@given(st.binary(max_size=64) | st.binary(max_size=64).map(lambda tail: frame(ADDRESS, MACHINE_MAC)[:14] + tail))
def test_any_bytes_are_an_announcement_or_nothing(noise: bytes) -> None:
    heard = parse(noise)
    assert heard is None or (heard.address != NOBODY and len(heard.mac) == 17)
