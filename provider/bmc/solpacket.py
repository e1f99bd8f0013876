"""Packets of Serial over LAN: what they hold, and what of a repeated one is new. Pure.

Source: IPMI 2.0 revision 1.1, sections 15.9 to 15.11 and tables 15-2 (packet format, acknowledgements), 24-2 (Activate
Payload).
"""

import struct
from dataclasses import dataclass

_SEQUENCE_BITS = 0x0F
_HEADER_BYTES = 4
_MOST_CHARACTERS = 240
"""In one packet: those that are accepted are counted in one byte."""

# The fourth byte, from the BMC.
NOT_TAKEN = 0x40
"""Not all of the characters were taken: those that were not are to be sent again, in a new packet."""
SERVER_UNAVAILABLE = 0x20
"""Characters cannot reach the server just now: it is off or in reset."""
_DEACTIVATED = 0x10
_OVERRUN = 0x08

# The fourth byte, from the console.
BREAK = 0x10

_ACTIVATION = struct.Struct("<4xHHHH")


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet from the BMC. ``number`` 0: it has no characters and is not acknowledged."""

    number: int
    acknowledged: int
    accepted: int
    status: int
    characters: bytes

    @property
    def deactivated(self) -> bool:
        """The BMC ends the console."""
        return bool(self.status & _DEACTIVATED)

    @property
    def overrun(self) -> bool:
        """The BMC dropped characters of the server."""
        return bool(self.status & _OVERRUN)


def parse(payload: bytes) -> Packet | None:
    """The packet in an SOL payload; None for one that is too short."""
    if len(payload) < _HEADER_BYTES:
        return None
    number, acknowledged, accepted, status = payload[:_HEADER_BYTES]
    return Packet(number & _SEQUENCE_BITS, acknowledged & _SEQUENCE_BITS, accepted, status, payload[_HEADER_BYTES:])


def characters(number: int, data: bytes, *, operation: int = 0) -> bytes:
    """A packet with characters for the server."""
    return bytes([number, 0, 0, operation]) + data


def acknowledgement(packet: Packet) -> bytes:
    """That all characters of ``packet`` were taken."""
    return bytes([0, packet.number, min(len(packet.characters), 0xFF), 0])


def after(number: int) -> int:
    """The number of the next packet: 1 to 15, round and round."""
    return number % _SEQUENCE_BITS + 1


class Received:
    """Tells what is new in packets that come again. A repeated packet may have more characters than it had before."""

    def __init__(self) -> None:
        self._number = 0
        self._length = 0

    def new_characters(self, packet: Packet) -> bytes:
        """The characters that no packet before has brought."""
        known = self._length if packet.number == self._number else 0
        self._number, self._length = packet.number, max(known, len(packet.characters))
        return packet.characters[known:]


def most_characters(activation: bytes) -> int:
    """How many characters the BMC takes in one packet, by its answer to Activate Payload; the header counts as well."""
    inbound: int = _ACTIVATION.unpack_from(activation)[0]
    return max(1, min(inbound - _HEADER_BYTES, _MOST_CHARACTERS))
