"""Logging in at a BMC that refuses: which suites are tried, and which error each refusal becomes."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from provider.bmc.endpoint import Endpoint
from provider.bmc.errors import BMCAuthenticationFailed, BMCError, BMCInsecure, BMCUnreachable
from provider.bmc.lan import LanSession
from provider.bmc.rmcp import Payload, Status, outside, parse
from tests.waiting import PATIENCE_S

Answer = Callable[[int, bytes], tuple[Payload, bytes] | None]
SUITE_17, SUITE_3 = 0x03, 0x01
NO_SESSION_ENCRYPTION = 0


class Refusing(asyncio.DatagramProtocol):
    """A BMC that answers as a test says. ``asked``: authentication algorithms of the sessions that were asked for."""

    def __init__(self, answer: Answer) -> None:
        self.asked: list[int] = []
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        packet = parse(data)
        if packet.payload_type == Payload.OPEN_SESSION_REQUEST:
            self.asked.append(packet.payload[12])
        answer = self._answer(packet.payload_type, packet.payload)
        if answer is not None:
            self._transport.sendto(outside(*answer), addr)


Serve = Callable[[Answer], Any]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    transports = []

    async def start(answer: Answer) -> tuple[Refusing, Endpoint]:
        transport, bmc = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: Refusing(answer), local_addr=("127.0.0.1", 0)
        )
        transports.append(transport)
        return bmc, Endpoint("127.0.0.1", transport.get_extra_info("sockname")[1], "admin", "secret")

    yield start
    for transport in transports:
        transport.close()
    await asyncio.sleep(0)


def opened(payload: bytes, algorithms: tuple[int, int, int] | None = None) -> tuple[Payload, bytes]:
    chosen = algorithms or tuple(payload[12 + 8 * kind] for kind in range(3))
    kinds = b"".join(struct.pack("<BxxBB3x", kind, 8, each) for kind, each in enumerate(chosen))
    return Payload.OPEN_SESSION_RESPONSE, struct.pack(
        "<BBBxII", 0, 0, 4, *struct.unpack("<I", payload[4:8]), 77
    ) + kinds


def status(kind: Payload, value: int, payload: bytes) -> tuple[Payload, bytes]:
    return kind, bytes([0, value, 0, 0]) + payload[4:8]


async def refused(endpoint: Endpoint, error: type[BMCError]) -> str:
    with pytest.raises(error) as caught:
        await LanSession.open(endpoint, "Opening the console", retry_s=0.02)
    assert "secret" not in str(caught.value).replace("secretRef", "")
    return str(caught.value)


async def test_suite_3_follows_17_and_nothing_follows_3(serve: Serve) -> None:
    bmc, endpoint = await serve(
        lambda _, payload: status(Payload.OPEN_SESSION_RESPONSE, Status.NO_CIPHER_SUITE_MATCH, payload)
    )
    assert "suite 17" in await refused(endpoint, BMCInsecure)
    assert bmc.asked == [SUITE_17, SUITE_3]


async def test_a_bmc_that_chooses_no_encryption_is_refused(serve: Serve) -> None:
    bmc, endpoint = await serve(lambda _, payload: opened(payload, (payload[12], payload[20], NO_SESSION_ENCRYPTION)))
    assert "suite 3" in await refused(endpoint, BMCInsecure)
    assert bmc.asked == [SUITE_17, SUITE_3]


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (Status.UNAUTHORIZED_NAME, BMCAuthenticationFailed),
        (Status.UNAUTHORIZED_ROLE, BMCAuthenticationFailed),
        (0x01, BMCUnreachable),
    ],
    ids=["name", "role", "no room"],
)
async def test_a_refusal_is_told_from_refused_credentials(serve: Serve, value: int, error: type[BMCError]) -> None:
    def answer(kind: int, payload: bytes) -> tuple[Payload, bytes]:
        return (
            opened(payload)
            if kind == Payload.OPEN_SESSION_REQUEST
            else (Payload.RAKP_2, bytes([0, value, 0, 0]) + console[0])
        )

    console: list[bytes] = []

    def noting(kind: int, payload: bytes) -> tuple[Payload, bytes]:
        if kind == Payload.OPEN_SESSION_REQUEST:
            console.insert(0, payload[4:8])
        return answer(kind, payload)

    _, endpoint = await serve(noting)
    assert f"{value:#04x}" in await refused(endpoint, error)


async def test_a_bmc_that_does_not_know_the_password_is_not_believed(serve: Serve) -> None:
    console: list[bytes] = []

    def answer(kind: int, payload: bytes) -> tuple[Payload, bytes]:
        if kind == Payload.OPEN_SESSION_REQUEST:
            console.insert(0, payload[4:8])
            return opened(payload)
        assert kind == Payload.RAKP_1, "no proof of ours is sent to who has none"
        return Payload.RAKP_2, bytes(4) + console[0] + bytes(16 + 16) + b"?" * 32

    _, endpoint = await serve(answer)
    assert "incorrect password" in await refused(endpoint, BMCAuthenticationFailed)


async def test_silence_is_unreachable_and_was_asked_several_times(serve: Serve) -> None:
    bmc, endpoint = await serve(lambda _kind, _payload: None)
    assert "no answer within" in await refused(endpoint, BMCUnreachable)
    assert bmc.asked == [SUITE_17] * 5


async def test_a_name_that_is_no_address_is_unreachable() -> None:
    endpoint = Endpoint("bmc.invalid", 623, "admin", "secret")
    await refused(endpoint, BMCUnreachable)


async def test_a_password_that_ipmi_cannot_carry_is_told(serve: Serve) -> None:
    bmc, endpoint = await serve(lambda _kind, _payload: None)
    long = Endpoint(endpoint.address, endpoint.port, "admin", "p" * 21)
    assert "more than the 20 bytes" in await refused(long, BMCAuthenticationFailed)
    assert bmc.asked == []


async def test_a_bmc_where_nobody_listens_is_told_of_by_its_system() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        session, refused = LanSession(Endpoint("127.0.0.1", port, "admin", "secret")), asyncio.Event()
        session.refused = refused.set
        await session._connect()
        session._send(b"heard")
        assert listener.recv(64) == b"heard"
        assert not refused.is_set()
    session._send(b"not heard")
    await asyncio.wait_for(refused.wait(), PATIENCE_S)
    session.drop()
