"""IPMI 2.0 over LAN: packets, and the keys of a session. Pure; both ends of a session use it.

Source: IPMI 2.0 revision 1.1, sections 13.6 (RMCP+ packet format), 13.8 (messages), 13.17 to 13.24 (Open Session, RAKP
messages 1 to 4), 13.28 to 13.32 (integrity, confidentiality, key derivation), table 13-15 (status codes), table 22-20
(cipher suites).
"""

import hashlib
import hmac
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

RMCP_IPMI = b"\x06\x00\xff\x07"
_RMCP_PLUS = 0x06
_NO_AUTHENTICATION = 0x00
_ENCRYPTED, _AUTHENTICATED, _TYPE_BITS = 0x80, 0x40, 0x3F
_SESSION_HEADER = struct.Struct("<BBIIH")
_NEXT_HEADER = 0x07
_BLOCK_BYTES = 16
_CONSTANT_BYTES = 20
"""Of the constants that K1 and K2 are derived from, whatever the algorithm."""


class Payload(IntEnum):
    """Payload types (table 13-16)."""

    IPMI = 0x00
    SOL = 0x01
    OPEN_SESSION_REQUEST = 0x10
    OPEN_SESSION_RESPONSE = 0x11
    RAKP_1 = 0x12
    RAKP_2 = 0x13
    RAKP_3 = 0x14
    RAKP_4 = 0x15


class Status(IntEnum):
    """RMCP+ and RAKP message status codes (table 13-15)."""

    OK = 0x00
    INVALID_SESSION_ID = 0x02
    INVALID_AUTHENTICATION_ALGORITHM = 0x04
    INVALID_INTEGRITY_ALGORITHM = 0x05
    UNAUTHORIZED_ROLE = 0x09
    UNAUTHORIZED_NAME = 0x0D
    INVALID_INTEGRITY_CHECK_VALUE = 0x0F
    INVALID_CONFIDENTIALITY_ALGORITHM = 0x10
    NO_CIPHER_SUITE_MATCH = 0x11


@dataclass(frozen=True, slots=True)
class CipherSuite:
    """One cipher suite. ``check_bytes``: length of an integrity check value, and of the one in RAKP message 4."""

    number: int
    authentication: int
    integrity: int
    confidentiality: int
    digest: Callable[..., Any]
    check_bytes: int

    @property
    def algorithms(self) -> tuple[int, int, int]:
        """Authentication, integrity, confidentiality, as Open Session names them."""
        return self.authentication, self.integrity, self.confidentiality

    def mac(self, key: bytes, *parts: bytes) -> bytes:
        """HMAC of the suite's hash."""
        return hmac.new(key, b"".join(parts), self.digest).digest()


SUITES = (
    CipherSuite(17, 0x03, 0x04, 0x01, hashlib.sha256, 16),
    CipherSuite(3, 0x01, 0x01, 0x01, hashlib.sha1, 12),
)
"""Those that are spoken, the better first. None without authentication or encryption."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet: of a session where ``session`` is not 0. ``plus``: RMCP+, else IPMI 1.5 without authentication."""

    payload_type: int
    payload: bytes
    session: int = 0
    sequence: int = 0
    plus: bool = True
    encrypted: bool = False
    authenticated: bool = False


class MalformedPacket(Exception):
    """No packet that this side of the protocol receives: it is dropped."""


def parse(datagram: bytes) -> Packet:
    """The outside of a packet; its payload is still encrypted. Raises MalformedPacket."""
    if not datagram.startswith(RMCP_IPMI):
        raise MalformedPacket("not IPMI")
    body = datagram[len(RMCP_IPMI) :]
    try:
        return _parse_plus(body) if body[0] == _RMCP_PLUS else _parse_old(body)
    except (struct.error, IndexError) as error:
        raise MalformedPacket("too short") from error


def outside(payload_type: Payload, payload: bytes) -> bytes:
    """A packet of no session, RMCP+."""
    return RMCP_IPMI + _SESSION_HEADER.pack(_RMCP_PLUS, payload_type, 0, 0, len(payload)) + payload


def checksum(data: bytes) -> bytes:
    """Two's complement of the sum (section 13.8)."""
    return bytes([-sum(data) & 0xFF])


def check_message(payload: bytes) -> None:
    """Raise MalformedPacket for an IPMI message that is too short or whose checksums are wrong."""
    if len(payload) < 7 or checksum(payload[:2]) != payload[2:3] or checksum(payload[3:-1]) != payload[-1:]:
        raise MalformedPacket("checksum")


@dataclass(frozen=True, slots=True)
class Keys:
    """What both ends of a session derive from the password (sections 13.31 and 13.32)."""

    suite: CipherSuite
    session_integrity: bytes
    integrity: bytes
    confidentiality: bytes

    @classmethod
    def derive(cls, suite: CipherSuite, password: bytes, randoms: bytes, user: bytes) -> "Keys":
        """``randoms``: the console's random number, then the BMC's; ``user``: role, length of the name, the name."""
        session_integrity = suite.mac(password, randoms, user)
        integrity, confidentiality = (
            suite.mac(session_integrity, constant * _CONSTANT_BYTES) for constant in (b"\x01", b"\x02")
        )
        return cls(suite, session_integrity, integrity, confidentiality[:_BLOCK_BYTES])

    def seal(
        self, payload: bytes, session: int, sequence: int, *, initialization: bytes, kind: Payload = Payload.IPMI
    ) -> bytes:
        """A packet of the session, encrypted and authenticated. ``initialization``: 16 random bytes."""
        hidden = initialization + self._cipher(initialization).encryptor().update(_padded(payload))
        marked = kind | _ENCRYPTED | _AUTHENTICATED
        signed = _SESSION_HEADER.pack(_RMCP_PLUS, marked, session, sequence, len(hidden)) + hidden
        pad = -(len(signed) + 2) % 4
        signed += b"\xff" * pad + bytes([pad, _NEXT_HEADER])
        return RMCP_IPMI + signed + self._check(signed)

    def open(self, datagram: bytes, packet: Packet) -> bytes:
        """The payload of a packet of the session. Raises MalformedPacket for what the session's key did not make."""
        signed, check = datagram[len(RMCP_IPMI) : -self.suite.check_bytes], datagram[-self.suite.check_bytes :]
        if not (packet.encrypted and packet.authenticated and hmac.compare_digest(self._check(signed), check)):
            raise MalformedPacket("integrity")
        initialization, hidden = packet.payload[:_BLOCK_BYTES], packet.payload[_BLOCK_BYTES:]
        if not hidden or len(hidden) % _BLOCK_BYTES:
            raise MalformedPacket("length")
        clear = self._cipher(initialization).decryptor().update(hidden)
        return clear[: -1 - clear[-1]]

    def _check(self, signed: bytes) -> bytes:
        return self.suite.mac(self.integrity, signed)[: self.suite.check_bytes]

    def _cipher(self, initialization: bytes) -> "Cipher[modes.CBC]":
        return Cipher(algorithms.AES(self.confidentiality), modes.CBC(initialization))


def _parse_plus(body: bytes) -> Packet:
    _, kind, session, sequence, length = _SESSION_HEADER.unpack_from(body)
    payload = body[_SESSION_HEADER.size : _SESSION_HEADER.size + length]
    if len(payload) != length:
        raise MalformedPacket("length")
    return Packet(
        kind & _TYPE_BITS,
        payload,
        session,
        sequence,
        encrypted=bool(kind & _ENCRYPTED),
        authenticated=bool(kind & _AUTHENTICATED),
    )


def _parse_old(body: bytes) -> Packet:
    kind, sequence, session, length = struct.unpack_from("<BIIB", body)
    payload = body[10 : 10 + length]
    if kind != _NO_AUTHENTICATION or len(payload) != length:
        raise MalformedPacket("IPMI 1.5 with authentication")
    return Packet(Payload.IPMI, payload, session, sequence, plus=False)


def _padded(payload: bytes) -> bytes:
    """The confidentiality trailer: 1, 2, 3 and so on, then how many (section 13.29)."""
    count = -(len(payload) + 1) % _BLOCK_BYTES
    return payload + bytes(range(1, count + 1)) + bytes([count])
