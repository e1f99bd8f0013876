"""IPMI messages as a BMC reads and answers them. Pure; packets and keys are ``provider.bmc.rmcp``'s.

Source: IPMI 2.0 revision 1.1, section 13.8 (message format), ASF 2.0, section 3.2.4 (presence ping).
"""

import struct
from dataclasses import dataclass

from provider.bmc.rmcp import RMCP_IPMI, check_message, checksum

RMCP_ASF = b"\x06\x00\xff\x06"
_NO_AUTHENTICATION = 0x00


@dataclass(frozen=True, slots=True)
class Message:
    """An IPMI request: addresses and sequence number are given back in its response."""

    responder: int
    net_function: int
    responder_lun: int
    requester: int
    sequence_lun: int
    command: int
    data: bytes

    def response(self, code: int, data: bytes = b"") -> bytes:
        """The response message with that completion code."""
        head = bytes([self.requester, (self.net_function | 1) << 2 | (self.sequence_lun & 0x03)])
        body = bytes([self.responder, (self.sequence_lun & 0xFC) | self.responder_lun, self.command, code]) + data
        return head + checksum(head) + body + checksum(body)


def parse_message(payload: bytes) -> Message:
    """The IPMI request in a payload. Raises MalformedPacket where a checksum is wrong."""
    check_message(payload)
    responder, net_function_lun, _, requester, sequence_lun, command = payload[:6]
    net_function, lun = net_function_lun >> 2, net_function_lun & 0x03
    return Message(responder, net_function, lun, requester, sequence_lun, command, payload[6:-1])


def outside_old(payload: bytes) -> bytes:
    """A packet of no session, IPMI 1.5: how a client asks which versions there are."""
    return RMCP_IPMI + struct.pack("<BIIB", _NO_AUTHENTICATION, 0, 0, len(payload)) + payload
