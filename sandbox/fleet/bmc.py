"""The BMC of a light server: sessions of IPMI 2.0, and the commands that power and the serial console need.

Source: IPMI 2.0 revision 1.1, appendix G (network functions and commands), table 5-2 (completion codes), chapters 20,
22 (device, channel and session commands) and 28 (chassis commands), section 13.2.4 and ASF 2.0 (presence ping).
"""

import asyncio
import os
import struct
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

from provider.bmc import rmcp
from provider.bmc.rmcp import CipherSuite, Keys, MalformedPacket, Packet, Payload, Status
from sandbox.chassis.errors import ChassisError
from sandbox.chassis.methods import SlotsAndPower
from sandbox.chassis.state import Power
from sandbox.fleet import messages
from sandbox.fleet.messages import Message, parse_message
from sandbox.fleet.serialport import SerialPort
from sandbox.fleet.sol import SolPort

Address = tuple[Any, ...]

_SESSIONS = 16
_SESSION_IDLE_S = 60.0
"""Section 6.12.15: a session without traffic ends after 60 s."""

_ADMINISTRATOR = 0x04
_PRESENCE_PING, _PRESENCE_PONG = 0x80, 0x40
_ASF_ENTERPRISE = 4542

_OK, _INVALID_COMMAND, _NOT_SUPPORTED_NOW, _INVALID_FIELD, _TOO_SHORT = 0x00, 0xC1, 0xD5, 0xCC, 0xC7
_APPLICATION, _CHASSIS = 0x06, 0x00
_BOOT_FLAGS = 0x05
_BOOT_DEVICES = {0x00: "none", 0x02: "disk"}
"""Boot device selectors (table 28-14) that this server has."""

_LAN_CHANNEL = 0x01


@dataclass
class _Session:
    """From the request to open it to its close; ``keys`` once the password was proved."""

    console: int
    suite: CipherSuite
    tag: int = 0
    console_random: bytes = b""
    bmc_random: bytes = field(default_factory=lambda: os.urandom(16))
    user: bytes = b""
    keys: Keys | None = None
    sequence: int = 0
    address: Address = ()
    used_at: float = field(default_factory=time.monotonic)


class LightBMC(asyncio.DatagramProtocol):
    """One server's BMC, at the socket that it is made for."""

    def __init__(self, chassis: SlotsAndPower, serial: SerialPort, *, guid: UUID, username: str, password: str) -> None:
        self._chassis = chassis
        self._guid = guid.bytes
        self._username = username.encode()
        self._password = password.encode()
        self._sessions: OrderedDict[int, _Session] = OrderedDict()
        self._boot_flags = bytes(5)
        self._transport: asyncio.DatagramTransport | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._sol = SolPort(serial, self._send_sol)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is bound."""
        self._transport = cast(asyncio.DatagramTransport, transport)
        self._sol.udp_port = transport.get_extra_info("sockname")[1]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The socket is closed."""
        self._sol.end()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """A packet; what is none of ours goes unanswered."""
        if data.startswith(messages.RMCP_ASF):
            self._pong(data, addr)
            return
        try:
            packet = rmcp.parse(data)
            self._received(data, packet, addr)
        except MalformedPacket:
            return

    def _received(self, data: bytes, packet: Packet, addr: Address) -> None:
        match packet.payload_type:
            case Payload.OPEN_SESSION_REQUEST:
                self._send(rmcp.outside(Payload.OPEN_SESSION_RESPONSE, self._open(packet.payload)), addr)
            case Payload.RAKP_1:
                self._send(rmcp.outside(Payload.RAKP_2, self._challenge(packet.payload)), addr)
            case Payload.RAKP_3:
                self._send(rmcp.outside(Payload.RAKP_4, self._grant(packet.payload)), addr)
            case Payload.IPMI | Payload.SOL if packet.session:
                self._in_session(data, packet, addr)
            case Payload.IPMI:
                self._without_session(packet, addr)
            case _:
                raise MalformedPacket("payload type")

    # ---- sessions

    def _open(self, payload: bytes) -> bytes:
        """Open Session Request -> Response."""
        if len(payload) < 32:
            raise MalformedPacket("open session")
        tag, console = payload[0], int.from_bytes(payload[4:8], "little")
        suite = _suite(payload[8:32])
        if isinstance(suite, Status):
            return struct.pack("<BB2xI", tag, suite, console)
        session = int.from_bytes(os.urandom(4), "little") or 1
        self._sessions[session] = _Session(console, suite)
        while len(self._sessions) > _SESSIONS:
            self._sessions.popitem(last=False)
        algorithms = b"".join(struct.pack("<BxxBB3x", kind, 8, number) for kind, number in enumerate(suite.algorithms))
        return struct.pack("<BBBxII", tag, Status.OK, _ADMINISTRATOR, console, session) + algorithms

    def _challenge(self, payload: bytes) -> bytes:
        """RAKP message 1 -> 2: the BMC proves that it knows the password."""
        if len(payload) < 28:
            raise MalformedPacket("RAKP 1")
        number = int.from_bytes(payload[4:8], "little")
        session = self._sessions.get(number)
        if session is None:
            return struct.pack("<BB2xI", payload[0], Status.INVALID_SESSION_ID, 0)
        name = payload[28 : 28 + payload[27]]
        if name != self._username:
            return struct.pack("<BB2xI", payload[0], Status.UNAUTHORIZED_NAME, session.console)
        session.console_random = payload[8:24]
        session.user = bytes([payload[24], len(name)]) + name
        ids = struct.pack("<II", session.console, number)
        randoms = session.console_random + session.bmc_random
        proof = session.suite.mac(self._password, ids, randoms, self._guid, session.user)
        head = struct.pack("<BB2xI", payload[0], Status.OK, session.console)
        return head + session.bmc_random + self._guid + proof

    def _grant(self, payload: bytes) -> bytes:
        """RAKP message 3 -> 4: the console has proved that it knows the password, or is told that it has not."""
        if len(payload) < 8:
            raise MalformedPacket("RAKP 3")
        number = int.from_bytes(payload[4:8], "little")
        session = self._sessions.get(number)
        if session is None or not session.user:
            return struct.pack("<BB2xI", payload[0], Status.INVALID_SESSION_ID, 0)
        suite = session.suite
        console = struct.pack("<I", session.console)
        if payload[1] != Status.OK or payload[8:] != suite.mac(
            self._password, session.bmc_random, console, session.user
        ):
            del self._sessions[number]
            return struct.pack("<BB2xI", payload[0], Status.INVALID_INTEGRITY_CHECK_VALUE, session.console)
        session.keys = Keys.derive(suite, self._password, session.console_random + session.bmc_random, session.user)
        ids = struct.pack("<I", number)
        check = suite.mac(session.keys.session_integrity, session.console_random, ids, self._guid)
        return struct.pack("<BB2xI", payload[0], Status.OK, session.console) + check[: suite.check_bytes]

    def _in_session(self, data: bytes, packet: Packet, addr: Address) -> None:
        session = self._sessions.get(packet.session)
        if session is None or session.keys is None or time.monotonic() - session.used_at > _SESSION_IDLE_S:
            self._sessions.pop(packet.session, None)
            raise MalformedPacket("no such session")
        payload = session.keys.open(data, packet)
        session.used_at, session.address = time.monotonic(), addr
        if packet.payload_type == Payload.SOL:
            self._sol.received(packet.session, payload)
        else:
            self._start(self._answer(packet.session, session, parse_message(payload), addr))

    def _start(self, answer: Awaitable[None]) -> None:
        task = asyncio.ensure_future(answer)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _answer(self, number: int, session: _Session, message: Message, addr: Address) -> None:
        if message.net_function == _APPLICATION and self._sol.serves(message.command):
            code, data = self._sol.command(message.command, number, message.data)
        else:
            code, data = await self._execute(message)
        self._send(_sealed(session, message.response(code, data), Payload.IPMI), addr)
        if (message.net_function, message.command) == (_APPLICATION, 0x3C):
            self._sessions.pop(number, None)
            self._sol.left(number)

    def _send_sol(self, number: int, payload: bytes) -> bool:
        """Send a packet of the serial console; False when its session is gone."""
        session = self._sessions.get(number)
        if session is None or time.monotonic() - session.used_at > _SESSION_IDLE_S:
            return False
        self._send(_sealed(session, payload, Payload.SOL), session.address)
        return True

    def _without_session(self, packet: Packet, addr: Address) -> None:
        """What a client may ask before it logs in: what this BMC offers."""
        message = parse_message(packet.payload)
        answer = _OFFERS.get((message.net_function, message.command))
        if answer is None:
            raise MalformedPacket("not without a session")
        response = message.response(*answer(message.data))
        self._send(rmcp.outside(Payload.IPMI, response) if packet.plus else messages.outside_old(response), addr)

    # ---- commands

    async def _execute(self, message: Message) -> tuple[int, bytes]:
        """Completion code and data."""
        where = (message.net_function, message.command)
        if where in _OFFERS:
            return _OFFERS[where](message.data)
        command = _COMMANDS.get(where)
        if command is None:
            return _INVALID_COMMAND, b""
        try:
            return await command(self, message.data)
        except ChassisError:
            return _NOT_SUPPORTED_NOW, b""
        except IndexError:
            return _TOO_SHORT, b""

    async def _device_id(self, _: bytes) -> tuple[int, bytes]:
        """Get Device ID (table 20-2): a chassis device of nobody's make, IPMI 2.0."""
        return _OK, bytes([0, 1, 1, 0, 0x02, 0x80, 0, 0, 0, 0, 0])

    async def _system_guid(self, _: bytes) -> tuple[int, bytes]:
        return _OK, self._guid

    async def _set_privilege(self, data: bytes) -> tuple[int, bytes]:
        """Set Session Privilege Level (table 22-18): 0 asks for the present one."""
        wanted = data[0] & 0x0F
        return (0x80, b"") if wanted > _ADMINISTRATOR else (_OK, bytes([wanted or _ADMINISTRATOR]))

    async def _close(self, _: bytes) -> tuple[int, bytes]:
        return _OK, b""

    async def _chassis_status(self, _: bytes) -> tuple[int, bytes]:
        """Get Chassis Status (table 28-3)."""
        return _OK, bytes([self._chassis.power is not Power.OFF, 0, 0])

    async def _chassis_control(self, data: bytes) -> tuple[int, bytes]:
        """Chassis Control (table 28-4)."""
        chassis = self._chassis
        match data[0] & 0x0F:
            case 0x00:
                await chassis.power_off()
            case 0x01:
                await chassis.power_on()
            case 0x02:
                if chassis.power is Power.OFF:
                    return _NOT_SUPPORTED_NOW, b""
                await chassis.power_off()
                await chassis.power_on()
            case 0x03:
                await chassis.power_reset()
            case 0x05:
                await chassis.power_soft()
            case _:
                return _INVALID_FIELD, b""
        return _OK, b""

    async def _set_boot_options(self, data: bytes) -> tuple[int, bytes]:
        """Set System Boot Options (table 28-12): the boot flags are kept, and disks are all that there is."""
        if data[0] & 0x7F != _BOOT_FLAGS:
            return _OK, b""
        device = _BOOT_DEVICES.get(data[2] >> 2 & 0x0F)
        if device is None:
            return _INVALID_FIELD, b""
        self._boot_flags = data[1:6].ljust(5, b"\0")
        await self._chassis.set_boot_device(device)
        return _OK, b""

    async def _get_boot_options(self, data: bytes) -> tuple[int, bytes]:
        """Get System Boot Options (table 28-13)."""
        if data[0] & 0x7F != _BOOT_FLAGS:
            return 0x80, b""
        return _OK, bytes([0x01, _BOOT_FLAGS]) + self._boot_flags

    # ---- packets

    def _pong(self, data: bytes, addr: Address) -> None:
        """ASF 2.0, section 3.2.4: presence ping -> pong."""
        if len(data) >= 12 and data[8] == _PRESENCE_PING:
            entities = bytes([0x81])  # IPMI is spoken, ASF version 1.0
            body = struct.pack(">II", _ASF_ENTERPRISE, 0) + entities + bytes(7)
            head = struct.pack(">IBBxB", _ASF_ENTERPRISE, _PRESENCE_PONG, data[9], len(body))
            self._send(messages.RMCP_ASF + head + body, addr)

    def _send(self, data: bytes, addr: Address) -> None:
        if self._transport is not None:
            self._transport.sendto(data, addr)


Command = Callable[[LightBMC, bytes], Awaitable[tuple[int, bytes]]]

_COMMANDS: dict[tuple[int, int], Command] = {
    (_APPLICATION, 0x01): LightBMC._device_id,
    (_APPLICATION, 0x37): LightBMC._system_guid,
    (_APPLICATION, 0x3B): LightBMC._set_privilege,
    (_APPLICATION, 0x3C): LightBMC._close,
    (_CHASSIS, 0x01): LightBMC._chassis_status,
    (_CHASSIS, 0x02): LightBMC._chassis_control,
    (_CHASSIS, 0x08): LightBMC._set_boot_options,
    (_CHASSIS, 0x09): LightBMC._get_boot_options,
}


def _authentication_capabilities(_: bytes) -> tuple[int, bytes]:
    """Get Channel Authentication Capabilities (table 22-15): IPMI 2.0 only, users with names and passwords."""
    return _OK, bytes([_LAN_CHANNEL, 0x80, 0x04, 0x02, 0, 0, 0, 0])


def _cipher_suites(data: bytes) -> tuple[int, bytes]:
    """Get Channel Cipher Suites (table 22-17): the records of all of them fit into the first answer."""
    records = b"".join(
        bytes([0xC0, suite.number, suite.authentication, 0x40 | suite.integrity, 0x80 | suite.confidentiality])
        for suite in rmcp.SUITES
    )
    first = len(data) < 3 or data[2] & 0x3F == 0
    return _OK, bytes([_LAN_CHANNEL]) + (records if first else b"")


_OFFERS: dict[tuple[int, int], Callable[[bytes], tuple[int, bytes]]] = {
    (_APPLICATION, 0x38): _authentication_capabilities,
    (_APPLICATION, 0x54): _cipher_suites,
}


def _sealed(session: _Session, payload: bytes, kind: Payload) -> bytes:
    assert session.keys is not None
    session.sequence += 1
    return session.keys.seal(payload, session.console, session.sequence, initialization=os.urandom(16), kind=kind)


def _suite(payloads: bytes) -> CipherSuite | Status:
    """The suite that a console's three algorithm payloads ask for; one of length 0 leaves the choice to the BMC."""
    wanted = []
    for number in range(3):
        _, length, algorithm = struct.unpack_from("<BxxBB", payloads, 8 * number)
        wanted.append(algorithm & 0x3F if length else None)
    for suite in rmcp.SUITES:
        if all(each in (None, number) for each, number in zip(wanted, suite.algorithms, strict=True)):
            return suite
    known = {suite.authentication for suite in rmcp.SUITES}
    return Status.NO_CIPHER_SUITE_MATCH if wanted[0] in known else Status.INVALID_AUTHENTICATION_ALGORITHM
