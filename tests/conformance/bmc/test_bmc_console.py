"""The serial console of a server whose system echoes: by our own client, and by IPMI's reference client."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator

import pytest

from provider.bmc.console import SerialSession
from provider.bmc.endpoint import Endpoint
from provider.bmc.errors import BMCConsoleLost
from provider.bmc.sol import SolConsole
from tests.conformance.bmc.bmc_rig import BmcProcess
from tests.conformance.bmc.serial_wire import IpmitoolConsole
from tests.waiting import PATIENCE_S

EVERY_BYTE = bytes(range(256))


@pytest.fixture
async def console(endpoint: Endpoint, echo: None) -> AsyncIterator[SerialSession]:
    session = await SolConsole(endpoint, ask_after_s=0.5).open_console()
    yield session
    await session.close()


async def read(session: SerialSession, length: int) -> bytes:
    """So many bytes of the console, none of which was lost."""
    arrived = b""
    async with asyncio.timeout(PATIENCE_S):
        while len(arrived) < length:
            output = await session.read()
            assert (output.lost_bytes, output.overrun) == (0, False)
            arrived += output.data
    return arrived


async def said(session: SerialSession, word: str) -> None:
    """A word that comes back; what came before it is let go."""
    arrived = b""
    await session.write(word.encode())
    async with asyncio.timeout(PATIENCE_S):
        while word.encode() not in arrived:
            arrived += (await session.read()).data


async def all_of(session: SerialSession) -> None:
    while True:
        await session.read()


async def lost(session: SerialSession) -> str:
    """Why the console is gone."""
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(BMCConsoleLost) as gone:
            await all_of(session)
    with pytest.raises(BMCConsoleLost):
        await session.write(b"to nobody")
    return str(gone.value)


async def test_every_byte_goes_both_ways(console: SerialSession) -> None:
    sent = b"".join(bytes(pair) for pair in itertools.product((0x00, 0x0D, 0x7E, 0xFF), range(256)))
    writing = asyncio.ensure_future(console.write(EVERY_BYTE + sent))
    assert await read(console, len(EVERY_BYTE) + len(sent)) == EVERY_BYTE + sent
    await writing


async def test_much_arrives_whole_and_in_order(console: SerialSession) -> None:
    sent = random.Random(5).randbytes(12_000)
    writing = asyncio.ensure_future(console.write(sent))
    assert await read(console, len(sent)) == sent
    await writing


async def test_a_break_is_sent_and_the_console_goes_on(console: SerialSession) -> None:
    await console.send_break()
    await said(console, "after the break")


async def test_who_opens_the_console_takes_it_over(console: SerialSession, endpoint: Endpoint) -> None:
    other = await SolConsole(endpoint).open_console()
    try:
        await lost(console)
        await said(other, "mine now")
        await console.close()
        await said(other, "still mine")
    finally:
        await other.close()


async def test_ipmitool_has_the_console_and_loses_it_to_us(endpoint: Endpoint, echo: None) -> None:
    with IpmitoolConsole(endpoint) as terminal:
        await asyncio.to_thread(terminal.is_open)
        await asyncio.to_thread(terminal.echoes, b"by ipmitool")
        session = await SolConsole(endpoint).open_console()
        try:
            await said(session, "by us")
        finally:
            await session.close()


async def test_a_session_that_was_closed_leaves_room_for_the_next(endpoint: Endpoint, echo: None) -> None:
    for number in range(3):
        session = await SolConsole(endpoint).open_console()
        await said(session, f"session {number}")
        await session.close()
    with IpmitoolConsole(endpoint) as terminal:
        await asyncio.to_thread(terminal.is_open)


async def test_a_bmc_that_is_silent_loses_the_console(endpoint: Endpoint, echo: None, bmc_process: BmcProcess) -> None:
    session = await SolConsole(endpoint, ask_after_s=0.1, retry_s=0.1).open_console()
    await said(session, "before")
    bmc_process.pause(paused=True)
    try:
        assert "no answer within" in await lost(session)
        await session.close()
    finally:
        bmc_process.pause(paused=False)


async def test_a_bmc_that_was_started_anew_has_another_console(
    endpoint: Endpoint, echo: None, bmc_process: BmcProcess
) -> None:
    session = await SolConsole(endpoint, ask_after_s=0.1, retry_s=0.1).open_console()
    await asyncio.to_thread(bmc_process.stop)
    await lost(session)
    await session.close()
    await asyncio.to_thread(bmc_process.start)
    session = await SolConsole(endpoint).open_console()
    await said_in_the_end(session, "after")
    await session.close()


async def said_in_the_end(session: SerialSession, word: str) -> None:
    """As ``said``, where the wire to the server is not up yet: it is said again and again."""
    arrived = b""
    async with asyncio.timeout(PATIENCE_S):
        while word.encode() not in arrived:
            await session.write(word.encode())
            try:
                async with asyncio.timeout(0.3):
                    arrived += (await session.read()).data
            except TimeoutError:
                continue
