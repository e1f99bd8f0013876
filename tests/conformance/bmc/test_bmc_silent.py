"""BMCs that say nothing: only those who ask them wait, and nothing of the waiting is left behind."""

import asyncio
import gc
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from provider.bmc.endpoint import Endpoint
from provider.bmc.errors import BMCUnreachable
from provider.bmc.power import BMC, PowerReading
from provider.bmc.sessions import BMCSessions

USUAL_S = 4.0
"""An answer with a login takes some 50 ms. One silent BMC is waited for longer than this."""

ONE_AFTER_THE_OTHER_S = 12.0
"""Three silent BMCs cost 4.5 to 5.5 s each."""


@pytest.fixture
def silent() -> Iterator[list[Endpoint]]:
    """Three addresses where every packet arrives."""
    with ExitStack() as bound:
        sockets = [bound.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(3)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        yield [Endpoint("127.0.0.1", each.getsockname()[1], "admin", "any") for each in sockets]


@pytest.fixture
async def sessions() -> AsyncIterator[BMCSessions]:
    made = BMCSessions()
    yield made
    await made.close()


async def refuses_to_speak(bmc: BMC) -> None:
    with pytest.raises(BMCUnreachable, match="no answer"):
        await bmc.read_power()


async def test_a_bmc_answers_as_ever_while_others_are_silent(
    endpoint: Endpoint, silent: list[Endpoint], sessions: BMCSessions
) -> None:
    started = time.monotonic()
    asked = [asyncio.create_task(refuses_to_speak(sessions.connect(each))) for each in silent]
    healthy = sessions.connect(endpoint)
    answers = 0
    while not any(task.done() for task in asked):
        asked_at = time.monotonic()
        assert await healthy.read_power() is PowerReading.OFF
        assert time.monotonic() - asked_at < USUAL_S
        answers += 1
    assert answers > 1
    await asyncio.gather(*asked)
    assert time.monotonic() - started < ONE_AFTER_THE_OTHER_S, "the silent ones are waited for together"


async def test_neither_answers_nor_silence_leave_sockets_or_threads(endpoint: Endpoint, silent: list[Endpoint]) -> None:
    await asyncio.to_thread(gc.collect)  # what earlier tests left, and the thread that this one uses
    before = held()
    sessions = BMCSessions()
    await sessions.connect(endpoint).read_power()
    await refuses_to_speak(sessions.connect(silent[0]))
    assert held() > before
    await sessions.close()
    async with asyncio.timeout(USUAL_S):
        while held() > before:  # noqa: ASYNC110  (what changes is in other threads)
            await asyncio.sleep(0.01)


def held() -> tuple[int, int]:
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()
