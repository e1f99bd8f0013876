"""A session is kept while it is wanted, opened again when it is lost, and never without asking whose console it is."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from provider.apiserver.console.frames import Close, Ended, Lost, Notice
from provider.apiserver.console.hub import Reader
from provider.apiserver.console.keeper import OFF, Keeper
from provider.bmc.errors import BMCUnreachable
from tests.unit.console.lines import PATIENCE_S, Lines, comes, frames_of, printed


class Objects:
    """Says why not, if a test wants it."""

    def __init__(self) -> None:
        self.because: str | None = None
        self.asked = 0
        self.defects = 0

    async def __call__(self) -> str | None:
        self.asked += 1
        if self.defects:
            self.defects -= 1
            raise ZeroDivisionError
        return self.because


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def objects() -> Objects:
    return Objects()


@pytest.fixture
async def keeper(lines: Lines, objects: Objects) -> AsyncIterator[Keeper]:
    kept = Keeper("server0", lines, objects, first_s=0.001)
    yield kept
    await kept.end(Close.GOING_AWAY, "the test is over")


@pytest.fixture
def reader(keeper: Keeper) -> Reader:
    return keeper.hub.attach("ann", watch=False, takeover=False, tail_bytes=None)


def unreachable() -> BMCUnreachable:
    return BMCUnreachable("192.0.2.1:623", "Opening the console", "no answer")


async def test_it_is_opened_when_the_server_starts_and_closed_when_it_stops(
    keeper: Keeper, lines: Lines, reader: Reader
) -> None:
    await comes(reader, Notice(OFF))
    assert lines.tries == 0
    keeper.want(wanted=True, wire="a")
    line = await lines.nth(1)
    line.prints(b"boot")
    assert await printed(reader, 4) == b"boot"
    keeper.want(wanted=False, wire="a")
    await comes(reader, Notice(OFF))
    assert line.closed
    assert keeper.hub.history.all_from(0) == b"boot", "what was printed can be read while the server is off"


async def test_a_session_that_is_lost_is_opened_again_and_what_was_printed_stays(
    keeper: Keeper, lines: Lines, reader: Reader, objects: Objects
) -> None:
    keeper.want(wanted=True, wire="a")
    first = await lines.nth(1)
    first.prints(b"one ")
    first.breaks()
    second = await lines.nth(2)
    second.prints(b"two")
    assert await printed(reader, 7) == b"one two"
    assert first.closed
    assert objects.asked == 2
    assert keeper.hub.history.all_from(0) == b"one two"


async def test_it_is_tried_until_the_bmc_answers_and_the_cause_is_told_once(
    keeper: Keeper, lines: Lines, reader: Reader
) -> None:
    lines.failures = [unreachable() for _ in range(3)]
    keeper.want(wanted=True, wire="a")
    (await lines.nth(1)).prints(b"!")
    said = []
    async with asyncio.timeout(PATIENCE_S):
        while (frame := await reader.next()) != Notice("the console is connected"):
            said.append(frame)
    assert sum("no answer" in str(frame) for frame in said) == 1
    assert lines.tries == 4


async def test_another_address_is_another_session(keeper: Keeper, lines: Lines) -> None:
    keeper.want(wanted=True, wire="a")
    first = await lines.nth(1)
    keeper.want(wanted=True, wire="a")
    keeper.want(wanted=True, wire="b")
    await lines.nth(2)
    assert first.closed


async def test_who_owns_it_no_more_does_not_open_it(
    keeper: Keeper, lines: Lines, reader: Reader, objects: Objects
) -> None:
    keeper.want(wanted=True, wire="a")
    line = await lines.nth(1)
    objects.because = "another replica has the console now"
    line.breaks()
    await comes(reader, Ended(1001, "another replica has the console now"))
    assert lines.tries == 1


async def test_lost_bytes_and_overruns_are_passed_on(keeper: Keeper, lines: Lines, reader: Reader) -> None:
    keeper.want(wanted=True, wire="a")
    line = await lines.nth(1)
    line.prints(b"x", lost_bytes=7)
    await comes(reader, Lost(7))
    line.prints(b"y", overrun=True)
    await comes(reader, Notice("the BMC could not keep up with the server and dropped some of its output"))


async def test_the_end_closes_session_and_readers(keeper: Keeper, lines: Lines, reader: Reader) -> None:
    keeper.want(wanted=True, wire="a")
    line = await lines.nth(1)
    await keeper.end(Close.ENDED, "the machine is gone")
    assert line.closed
    assert (await frames_of(reader, 1))[0] == Ended(1000, "the machine is gone")


async def test_a_defect_of_ours_is_logged_and_tried_again(
    keeper: Keeper, lines: Lines, reader: Reader, objects: Objects, caplog: pytest.LogCaptureFixture
) -> None:
    objects.defects = 1
    keeper.want(wanted=True, wire="a")
    await comes(
        reader,
        Notice(
            "the console is not connected: an error of this replica, which is in its log; it is tried again",
        ),
    )
    (await lines.nth(1)).prints(b"!")
    assert await printed(reader, 1) == b"!"
    assert "ZeroDivisionError" in caplog.text
