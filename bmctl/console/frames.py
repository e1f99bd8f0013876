"""Websocket frames as a client sends and receives them (RFC 6455, section 5), apart from any socket. Pure.

No extension is offered, so every reserved bit is an error; a client masks, a server does not (5.1).
"""

import os
import struct
from dataclasses import dataclass
from enum import IntEnum

LONGEST_MESSAGE_BYTES = 16 << 20

_FIN, _RESERVED, _OPCODE, _MASKED, _LENGTH = 0x80, 0x70, 0x0F, 0x80, 0x7F
_LENGTH_16, _LENGTH_64 = 126, 127
_LONGEST_CONTROL_BYTES = 125


class Opcode(IntEnum):
    """Kinds of frames (RFC 6455, 11.8)."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class Close(IntEnum):
    """Codes with which the console ends (RFC 6455, 7.4.1; 1013 is of IANA's registry)."""

    ENDED = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    NO_CODE = 1005
    LOST = 1006
    FORBIDDEN = 1008
    TRY_LATER = 1013


class ProtocolError(Exception):
    """The peer sent what is no websocket frame."""


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message, or a control frame."""

    opcode: Opcode
    payload: bytes

    def close_code(self) -> tuple[int, str]:
        """Code and reason of a close frame."""
        if len(self.payload) < 2:
            return Close.NO_CODE, ""
        return int.from_bytes(self.payload[:2], "big"), self.payload[2:].decode(errors="replace")


def encode(opcode: Opcode, payload: bytes = b"", mask: bytes | None = None) -> bytes:
    """One masked frame with the whole message."""
    mask = os.urandom(4) if mask is None else mask
    size = len(payload)
    if size < _LENGTH_16:
        head = struct.pack("!BB", _FIN | opcode, _MASKED | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", _FIN | opcode, _MASKED | _LENGTH_16, size)
    else:
        head = struct.pack("!BBQ", _FIN | opcode, _MASKED | _LENGTH_64, size)
    return head + mask + _masked(payload, mask)


def close(code: int) -> bytes:
    """A close frame."""
    return encode(Opcode.CLOSE, code.to_bytes(2, "big"))


def _masked(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


class Decoder:
    """Bytes in, messages out; what is not whole yet is kept."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._parts: list[bytes] = []
        self._opcode: Opcode | None = None

    def feed(self, data: bytes) -> list[Message]:
        """Messages that are whole now. Raises ``ProtocolError``."""
        self._kept += data
        messages: list[Message] = []
        while (frame := self._frame()) is not None:
            message = self._joined(*frame)
            if message is not None:
                messages.append(message)
        return messages

    def _frame(self) -> tuple[bool, Opcode, bytes] | None:
        if len(self._kept) < 2:
            return None
        first, second = self._kept[0], self._kept[1]
        if first & _RESERVED or second & _MASKED:
            raise ProtocolError("a frame with reserved bits, or masked by the server")
        try:
            opcode = Opcode(first & _OPCODE)
        except ValueError as error:
            raise ProtocolError(f"a frame of the unknown kind {first & _OPCODE}") from error
        size, at = self._size(second & _LENGTH)
        if size is None or len(self._kept) < at + size:
            return None
        payload = bytes(self._kept[at : at + size])
        del self._kept[: at + size]
        return bool(first & _FIN), opcode, payload

    def _size(self, length: int) -> tuple[int | None, int]:
        """Size of the payload, if it is known yet, and where it begins."""
        width = {_LENGTH_16: 2, _LENGTH_64: 8}.get(length, 0)
        if len(self._kept) < 2 + width:
            return None, 0
        size = int.from_bytes(self._kept[2 : 2 + width], "big") if width else length
        if size > LONGEST_MESSAGE_BYTES:
            raise ProtocolError(f"a frame of {size} bytes")
        return size, 2 + width

    def _joined(self, final: bool, opcode: Opcode, payload: bytes) -> Message | None:
        if opcode >= Opcode.CLOSE:
            if not final or len(payload) > _LONGEST_CONTROL_BYTES:
                raise ProtocolError("a control frame in pieces, or too long")
            return Message(opcode, payload)
        if (opcode is Opcode.CONTINUATION) == (self._opcode is None):
            raise ProtocolError("a message begins inside another")
        self._opcode = self._opcode if opcode is Opcode.CONTINUATION else opcode
        self._parts.append(payload)
        if sum(map(len, self._parts)) > LONGEST_MESSAGE_BYTES:
            raise ProtocolError("a message that is too long")
        if not final:
            return None
        assert self._opcode is not None
        message = Message(self._opcode, b"".join(self._parts))
        self._opcode, self._parts = None, []
        return message
