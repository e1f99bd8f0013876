"""Serial over LAN as a light server's BMC speaks it: one console, which the session that activated it has.

Source: IPMI 2.0 revision 1.1, sections 15.9 to 15.11, table 15-2 (packets, acknowledgements, repetition), 24.1
(Activate Payload), 24.2 (Deactivate Payload), 24.4 (Get Payload Activation Status), 24.5 (Get Payload Instance Info).
"""

import asyncio
import struct
from collections.abc import Callable
from functools import partial

from sandbox.fleet.serialport import SerialPort

_ACTIVATE, _DEACTIVATE, _ACTIVATION_STATUS, _INSTANCE_INFO = 0x48, 0x49, 0x4A, 0x4B
_SOL, _INSTANCE = 0x01, 0x01
_ENCRYPTED = 0x80
_OK, _INVALID_FIELD = 0x00, 0xCC
_ACTIVE_ALREADY, _NOT_ACTIVE, _ONLY_ENCRYPTED = 0x80, 0x80, 0x84

_NOT_TAKEN, _UNAVAILABLE, _DEACTIVATED, _OVERRUN = 0x40, 0x20, 0x10, 0x08
_SEQUENCE_BITS = 0x0F
_HEADER_BYTES = 4

_CHARACTERS = 200
_RETRIES = 7
_RETRY_S = 0.25
"""Parameter "SOL Retry" (table 26-5): how often a packet is repeated, and after how long."""

_UNSENT_BYTES = 16 * 1024
"""What waits for the console; beyond it the port overruns."""

Send = Callable[[int, bytes], bool]


class SolPort:
    """The console of one server. ``send`` sends an SOL payload in a session, and says whether there is one."""

    def __init__(self, serial: SerialPort, send: Send) -> None:
        self.udp_port = 0
        self._serial = serial
        self._send = send
        self._session = 0
        self._console = _Console()

    def serves(self, command: int) -> bool:
        """Whether that command (of network function Application) is about payloads."""
        return command in (_ACTIVATE, _DEACTIVATE, _ACTIVATION_STATUS, _INSTANCE_INFO)

    def command(self, command: int, session: int, data: bytes) -> tuple[int, bytes]:
        """Completion code and data."""
        if data[:1] != bytes([_SOL]) or (command != _ACTIVATION_STATUS and data[1:2] != bytes([_INSTANCE])):
            return _INVALID_FIELD, b""
        if command == _ACTIVATE:
            return self._activate(session, data)
        if command == _DEACTIVATE:
            return self._deactivate()
        if command == _ACTIVATION_STATUS:
            return _OK, bytes([_INSTANCE, _INSTANCE if self._session else 0, 0])
        return _OK, struct.pack("<IB7x", self._session, _INSTANCE)

    def received(self, session: int, payload: bytes) -> None:
        """A packet from a console; of one that has not the port it goes unanswered."""
        if session != self._session or len(payload) < _HEADER_BYTES:
            return
        number, acknowledged, accepted, status = payload[:_HEADER_BYTES]
        if self._console.acknowledged(acknowledged & _SEQUENCE_BITS, accepted, status):
            self._next()
        if number & _SEQUENCE_BITS:
            self._take(number & _SEQUENCE_BITS, payload[_HEADER_BYTES:])

    def left(self, session: int) -> None:
        """A session was closed; if it had the console, nobody has it now."""
        if session == self._session:
            self.end()

    def end(self) -> None:
        """Nobody has the console any more."""
        self._session = 0
        self._serial.listener = None
        self._console.end()

    def _activate(self, session: int, data: bytes) -> tuple[int, bytes]:
        if self._session:
            return _ACTIVE_ALREADY, b""
        if not data[2:3] or not data[2] & _ENCRYPTED:
            return _ONLY_ENCRYPTED, b""
        self._session = session
        self._console = _Console()
        self._serial.listener = self._printed
        size = _CHARACTERS + _HEADER_BYTES
        return _OK, struct.pack("<4xHHHH", size, size, self.udp_port, 0xFFFF)

    def _deactivate(self) -> tuple[int, bytes]:
        if not self._session:
            return _NOT_ACTIVE, b""
        self._send(self._session, bytes([0, 0, 0, _DEACTIVATED]))
        self.end()
        return _OK, b""

    def _take(self, number: int, characters: bytes) -> None:
        """Characters for the server; a repeated packet is acknowledged again and not written twice."""
        if not self._serial.powered:
            self._send(self._session, bytes([0, number, 0, _NOT_TAKEN | _UNAVAILABLE]))
            return
        again = number == self._console.taken
        self._console.taken = number
        self._send(self._session, bytes([0, number, len(characters), 0]))
        if not again:
            self._serial.write(characters)

    def _printed(self, data: bytes) -> None:
        self._console.add(data)
        if not self._console.flight:
            self._next()

    def _next(self) -> None:
        """Send the next packet, if there is something to send."""
        if self._console.load():
            self._transmit(_RETRIES)

    def _transmit(self, repetitions: int) -> None:
        """Send the packet in flight; once it was repeated in vain, its characters are lost (section 15.11)."""
        if not self._send(self._session, self._console.flight):
            self.end()
            return
        again = partial(self._transmit, repetitions - 1) if repetitions else self._give_up
        self._console.timer = asyncio.get_running_loop().call_later(_RETRY_S, again)

    def _give_up(self) -> None:
        self._console.flight = b""
        self._console.overrun = True
        self._next()


class _Console:
    """What was sent to one console and what it has acknowledged."""

    def __init__(self) -> None:
        self.flight = b""
        self.taken = 0
        self.overrun = False
        self.timer: asyncio.TimerHandle | None = None
        self._number = 0
        self._unsent = bytearray()

    def add(self, data: bytes) -> None:
        """Characters to send; the oldest are dropped when they are too many."""
        self._unsent += data
        over = len(self._unsent) - _UNSENT_BYTES
        if over > 0:
            del self._unsent[:over]
            self.overrun = True

    def load(self) -> bool:
        """Make the next packet; False if there is nothing to send."""
        if not self._unsent:
            return False
        self._number = self._number % _SEQUENCE_BITS + 1
        characters = bytes(self._unsent[:_CHARACTERS])
        del self._unsent[:_CHARACTERS]
        self.flight = bytes([self._number, 0, 0, _OVERRUN if self.overrun else 0]) + characters
        self.overrun = False
        return True

    def acknowledged(self, number: int, accepted: int, status: int) -> bool:
        """Whether that acknowledges the packet in flight; what was not accepted is sent again in the next one."""
        if not self.flight or number != self._number:
            return False
        if status & _NOT_TAKEN:
            self._unsent[:0] = self.flight[_HEADER_BYTES + accepted :]
        self.flight = b""
        self._stop()
        return True

    def end(self) -> None:
        """Nothing is sent any more."""
        self.flight = b""
        self._unsent.clear()
        self._stop()

    def _stop(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
