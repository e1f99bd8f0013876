"""ARP frames (RFC 826), and a probe that asks without claiming an address: sender 0.0.0.0 (RFC 5227, 2.1.1)."""

import ipaddress
import struct
from dataclasses import dataclass

ETHERTYPE_ARP = 0x0806
FRAME_BYTES = 42

_BROADCAST = b"\xff" * 6
_HEADER = struct.Struct("!6s6sHHHBBH6s4s6s4s")
_ETHERNET, _IPV4, _REQUEST, _REPLY = 1, 0x0800, 1, 2


@dataclass(frozen=True, slots=True)
class Announcement:
    """Somebody said that ``address`` is at ``mac``: in a reply, or unasked."""

    address: str
    mac: str


def probe(sender_mac: str, address: str) -> bytes:
    """An Ethernet frame that asks who has ``address``."""
    sender = _mac_bytes(sender_mac)
    target = ipaddress.IPv4Address(address).packed
    return _HEADER.pack(
        _BROADCAST, sender, ETHERTYPE_ARP, _ETHERNET, _IPV4, 6, 4, _REQUEST, sender, bytes(4), bytes(6), target
    )


def parse(frame: bytes) -> Announcement | None:
    """Who the frame says has an address; None if it says nothing of the kind."""
    if len(frame) < FRAME_BYTES:
        return None
    fields = _HEADER.unpack_from(frame)
    ethertype, hardware, protocol, operation, sender_mac, sender = (*fields[2:5], *fields[7:10])
    if (ethertype, hardware, protocol) != (ETHERTYPE_ARP, _ETHERNET, _IPV4) or operation not in (_REQUEST, _REPLY):
        return None
    if sender == bytes(4):
        return None
    return Announcement(str(ipaddress.IPv4Address(sender)), sender_mac.hex(":"))


def _mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))
