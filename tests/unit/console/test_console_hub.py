"""One console for many: nobody waits for another, who is slow is told what was lost, and one at a time writes."""

import asyncio

import pytest

from provider.apiserver.console.errors import ConsoleEnded, WriterPresent
from provider.apiserver.console.frames import Close, Data, Ended, Lost, Notice, Opened, Role, RoleChanged
from provider.apiserver.console.history import LIMIT_BYTES
from provider.apiserver.console.hub import Hub, Reader
from tests.unit.console.lines import PATIENCE_S, Line, comes, frames_of, printed


@pytest.fixture
def hub() -> Hub:
    return Hub("server0")


def attach(
    hub: Hub, user: str = "ann", *, watch: bool = False, takeover: bool = False, tail: int | None = None
) -> Reader:
    return hub.attach(user, watch=watch, takeover=takeover, tail_bytes=tail)


async def test_a_reader_begins_with_its_role_and_what_was_printed_before(hub: Hub) -> None:
    hub.printed(b"login: ")
    writer, watcher = attach(hub), attach(hub, "bob", watch=True, tail=3)
    assert await frames_of(writer, 2) == [Opened(Role.WRITER, "ann"), Data(b"login: ")]
    assert await frames_of(watcher, 2) == [Opened(Role.WATCHER, "ann"), Data(b"n: ")]
    hub.printed(b"root")
    assert await frames_of(writer, 1) == await frames_of(watcher, 1) == [Data(b"root")]


async def test_news_stand_where_they_came_up(hub: Hub) -> None:
    reader = attach(hub)
    hub.printed(b"before")
    hub.notice("news")
    hub.printed(b"after")
    assert await frames_of(reader, 4) == [Opened(Role.WRITER, "ann"), Data(b"before"), Notice("news"), Data(b"after")]


async def test_a_slow_reader_loses_the_oldest_and_is_told_how_many_while_a_quick_one_loses_none(hub: Hub) -> None:
    slow, quick = attach(hub), attach(hub, watch=True)
    await frames_of(slow, 1)
    await frames_of(quick, 1)
    sent, seen = LIMIT_BYTES + 100_000, b""
    for start in range(0, sent, 20_000):
        piece = bytes([start // 20_000 % 256]) * min(20_000, sent - start)
        hub.printed(piece)
        seen += await printed(quick, len(piece))
    assert len(seen) == sent
    assert await frames_of(slow, 1) == [Lost(sent - LIMIT_BYTES)]
    assert await printed(slow, LIMIT_BYTES) == seen[-LIMIT_BYTES:]


async def test_news_to_a_reader_who_never_reads_do_not_grow(hub: Hub) -> None:
    reader = attach(hub)
    for number in range(1000):
        hub.notice(str(number))
    assert len(reader._news) <= 32
    await comes(reader, Notice("999"))


async def test_there_is_one_writer(hub: Hub) -> None:
    first = attach(hub)
    with pytest.raises(WriterPresent, match="ann writes to it; take it over") as refused:
        attach(hub, "bob")
    assert refused.value.writer == "ann"
    hub.detach(first)
    assert attach(hub, "bob").role is Role.WRITER


async def test_who_takes_over_writes_and_the_other_watches(hub: Hub) -> None:
    line = Line()
    hub.connected(line)
    first = attach(hub)
    second = attach(hub, "bob", takeover=True)
    await comes(first, RoleChanged(Role.WATCHER, "bob has taken over; you watch"))
    await hub.write(first, b"from ann")
    await hub.write(second, b"from bob")
    assert line.written == b"from bob"
    frame = (await frames_of(first, 1))[0]
    assert isinstance(frame, Notice)
    assert "only watch" in frame.message
    hub.detach(first)
    with pytest.raises(WriterPresent):
        attach(hub, "eve")


async def test_a_takeover_stops_what_the_other_still_writes(hub: Hub) -> None:
    line = Line()
    hub.connected(line)
    line.accepts.clear()
    first = attach(hub)
    writing = asyncio.ensure_future(hub.write(first, bytes(100_000)))
    await asyncio.sleep(0)
    second = attach(hub, "bob", takeover=True)
    line.accepts.set()
    await writing
    assert len(line.written) <= 1024
    await hub.write(second, b"bob")
    assert line.written.endswith(b"bob")


async def test_typing_waits_for_a_session_that_is_to_come(hub: Hub) -> None:
    hub.disconnected("lost", comes_back=True)
    reader, line = attach(hub), Line()
    writing = asyncio.ensure_future(hub.write(reader, b"patience"))
    assert not (await asyncio.wait([writing], timeout=0.02))[0]
    hub.connected(line)
    await asyncio.wait_for(writing, PATIENCE_S)
    assert line.written == b"patience"


async def test_typing_to_a_server_that_is_off_goes_nowhere_and_is_told(hub: Hub) -> None:
    hub.disconnected("the server is off", comes_back=False)
    reader = attach(hub)
    await hub.write(reader, b"hello?")
    await hub.send_break(reader)
    assert await frames_of(reader, 4) == [
        Opened(Role.WRITER, "ann"),
        Notice("the server is off"),
        Notice("what was typed is dropped: the server is off"),
        Notice("what was typed is dropped: the server is off"),
    ]
    hub.connected(line := Line())
    await hub.write(reader, b"again")
    assert line.written == b"again"


async def test_a_session_lost_while_typing_is_told(hub: Hub) -> None:
    hub.connected(line := Line())
    reader = attach(hub)
    await line.close()
    await hub.write(reader, b"x")
    assert "may be lost" in str((await frames_of(reader, 2))[1])


async def test_a_cause_is_told_once_and_so_is_that_it_is_over(hub: Hub) -> None:
    reader = attach(hub)
    for _ in range(3):
        hub.disconnected("no answer", comes_back=True)
    hub.connected(Line())
    hub.printed(b"!")
    assert await frames_of(reader, 4) == [
        Opened(Role.WRITER, "ann"),
        Notice("no answer"),
        Notice("the console is connected"),
        Data(b"!"),
    ]


async def test_an_end_reaches_readers_and_writers_and_leaves_nothing(hub: Hub) -> None:
    hub.printed(b"secret")
    hub.disconnected("lost", comes_back=True)
    reader = attach(hub)
    waiting = asyncio.ensure_future(hub.write(reader, b"x"))
    hub.end(Close.ENDED, "gone")
    await asyncio.wait_for(waiting, PATIENCE_S)
    assert await frames_of(reader, 2) == [Ended(1000, "gone")] * 2
    assert hub.history.all_from(0) == b""
    with pytest.raises(ConsoleEnded):
        attach(hub, watch=True)
