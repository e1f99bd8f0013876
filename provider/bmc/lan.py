"""A session of IPMI 2.0 over LAN on the event loop, for what lasts: a console.

pyghmi serves commands (``ipmi``), and cannot serve consoles. Measured with pyghmi 1.6.19: 200 idle sessions, each with
a copy of its own, are 401 threads, 44 MiB and 2.8 % of a core (here: 1 thread, 1.2 MiB, 0.4 %); its Console refuses a
BMC that names another SOL port than the one where it was reached (behind a relay or NAT), loses four characters when a
packet is repeated with new ones at its end, and does not see a deactivation that acknowledges nothing.

Packets are repeated when no answer comes; packets that are older than the newest are dropped, so nothing is replayed
(IPMI 2.0, section 6.12.13).
"""

import asyncio
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from provider.bmc.endpoint import Endpoint
from provider.bmc.errors import BMCAuthenticationFailed, BMCCommandFailed, BMCError, BMCInsecure, BMCUnreachable
from provider.bmc.login import ADMINISTRATOR, Login, LoginRefused, SuiteRefused, check_credentials
from provider.bmc.rmcp import (
    SUITES,
    CipherSuite,
    Keys,
    MalformedPacket,
    Payload,
    check_message,
    checksum,
    outside,
    parse,
)

APPLICATION = 0x06
_SET_SESSION_PRIVILEGE, _CLOSE_SESSION = 0x3B, 0x3C
_BMC_ADDRESS, _CONSOLE_ADDRESS = 0x20, 0x81
"""Of a management controller, and software ID of a remote console (IPMI 2.0, sections 5.4 and 5.5)."""

_TRIES = 5
_RETRY_S = 1.0
_SEQUENCES = 64
_BLOCK_BYTES = 16


class LanSession(asyncio.DatagramProtocol):
    """One login at one BMC. ``received`` is called with every SOL payload, ``refused`` when nobody listens there."""

    def __init__(self, endpoint: Endpoint, *, retry_s: float = _RETRY_S) -> None:
        self.endpoint = endpoint
        self.received: Callable[[bytes], None] = lambda _: None
        self.refused: Callable[[], None] = lambda: None
        self.bmc_session = 0
        self._retry_s = retry_s
        self._transport: asyncio.DatagramTransport | None = None
        self._keys: Keys | None = None
        self._console = 0
        self._sent = 0
        self._newest = 0
        self._request = 0
        self._one_at_a_time = asyncio.Lock()
        self._awaited: tuple[int, asyncio.Future[bytes]] | None = None

    @classmethod
    async def open(cls, endpoint: Endpoint, attempt: str, *, retry_s: float = _RETRY_S) -> "LanSession":
        """Log in as administrator with suite 17, else 3. Raises ``BMCError``."""
        session = cls(endpoint, retry_s=retry_s)
        try:
            await session._connect()
            await session._log_in(attempt)
            code, _ = await session.ask(attempt, APPLICATION, _SET_SESSION_PRIVILEGE, bytes([ADMINISTRATOR]))
            if code:
                cause = f"the user has not the level of an administrator (completion code {code:#04x})"
                raise BMCCommandFailed(str(endpoint), attempt, cause)
        except LoginRefused as error:
            session.drop()
            refused = BMCAuthenticationFailed if error.credentials else BMCUnreachable
            raise refused(str(endpoint), attempt, str(error)) from error
        except (OSError, MalformedPacket) as error:
            session.drop()
            raise BMCUnreachable(str(endpoint), attempt, str(error)) from error
        except BaseException:
            session.drop()
            raise
        return session

    async def ask(
        self, attempt: str, net_function: int, command: int, data: bytes = b"", *, tries: int = _TRIES
    ) -> tuple[int, bytes]:
        """Completion code and data of one request. Raises BMCUnreachable."""
        async with self._one_at_a_time:
            self._request = (self._request + 1) % _SEQUENCES
            message = _message(net_function, self._request, command, data)
            response = await self._until_answered(
                attempt, self._request, lambda: self.send(Payload.IPMI, message), tries
            )
        return response[0], response[1:]

    def send(self, kind: Payload, payload: bytes) -> None:
        """Send one payload in the session, once."""
        assert self._keys is not None
        self._sent += 1
        sealed = self._keys.seal(
            payload, self.bmc_session, self._sent, initialization=os.urandom(_BLOCK_BYTES), kind=kind
        )
        self._send(sealed)

    async def close(self, attempt: str) -> None:
        """Log out, if the BMC hears it."""
        try:
            with suppress(BMCError):
                session = struct.pack("<I", self.bmc_session)
                await self.ask(attempt, APPLICATION, _CLOSE_SESSION, session, tries=1)
        finally:
            self.drop()

    def drop(self) -> None:
        """Let go of the socket; the BMC ends the session by itself when it hears nothing for 60 s."""
        if self._transport is not None:
            self._transport.close()

    # ---- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is bound."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:  # noqa: ARG002  (the socket is connected)
        """A packet; what is none of this session goes unnoticed."""
        with suppress(MalformedPacket):
            self._take(data)

    def error_received(self, exc: Exception) -> None:
        """A packet did not arrive; whoever waits for an answer asks again."""
        if isinstance(exc, ConnectionRefusedError):
            self.refused()

    # ---- how it is done

    async def _connect(self) -> None:
        await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, remote_addr=(self.endpoint.address, self.endpoint.port)
        )

    async def _log_in(self, attempt: str) -> None:
        check_credentials(self.endpoint.username, self.endpoint.password)
        causes = []
        for suite in SUITES:
            try:
                return await self._log_in_by(suite, attempt)
            except SuiteRefused as error:
                causes.append(f"suite {suite.number}: {error}")
        raise BMCInsecure(str(self.endpoint), attempt, "; ".join(causes))

    async def _log_in_by(self, suite: CipherSuite, attempt: str) -> None:
        console = int.from_bytes(os.urandom(4), "little") or 1
        login = Login(suite, self.endpoint.username, self.endpoint.password, console, os.urandom(16))
        opened = await self._step(attempt, Payload.OPEN_SESSION_REQUEST, login.open_session())
        challenged = await self._step(attempt, Payload.RAKP_1, login.challenge(opened))
        keys = login.keys(await self._step(attempt, Payload.RAKP_3, login.proof(challenged)))
        self._keys, self._console, self.bmc_session = keys, console, login.bmc

    async def _step(self, attempt: str, kind: Payload, payload: bytes) -> bytes:
        return await self._until_answered(attempt, -kind - 1, lambda: self._send(outside(kind, payload)), _TRIES)

    async def _until_answered(self, attempt: str, number: int, send: Callable[[], None], tries: int) -> bytes:
        """The answer that carries ``number``: of a request 0 to 63, of a login's step its payload type, negative."""
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._awaited = (number, answer)
        try:
            for _ in range(tries):
                send()
                done, _pending = await asyncio.wait([answer], timeout=self._retry_s)
                if done:
                    return answer.result()
        finally:
            self._awaited = None
        raise BMCUnreachable(str(self.endpoint), attempt, f"no answer within {tries * self._retry_s:g} s")

    def _send(self, datagram: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(datagram)

    def _take(self, datagram: bytes) -> None:
        packet = parse(datagram)
        if packet.session == 0:
            if packet.plus and packet.payload_type != Payload.IPMI:
                self._answered(-packet.payload_type, packet.payload)
            return
        if self._keys is None or packet.session != self._console:
            raise MalformedPacket("no packet of this session")
        payload = self._keys.open(datagram, packet)
        if packet.sequence < self._newest:
            raise MalformedPacket("older than the newest")
        self._newest = packet.sequence
        if packet.payload_type == Payload.SOL:
            self.received(payload)
        elif packet.payload_type == Payload.IPMI:
            check_message(payload)
            self._answered(payload[4] >> 2, payload[6:-1])

    def _answered(self, number: int, answer: bytes) -> None:
        if self._awaited is not None and self._awaited[0] == number and not self._awaited[1].done():
            self._awaited[1].set_result(answer)


def _message(net_function: int, sequence: int, command: int, data: bytes) -> bytes:
    """An IPMI request (IPMI 2.0, section 13.8)."""
    head = bytes([_BMC_ADDRESS, net_function << 2])
    body = bytes([_CONSOLE_ADDRESS, sequence << 2, command]) + data
    return head + checksum(head) + body + checksum(body)
