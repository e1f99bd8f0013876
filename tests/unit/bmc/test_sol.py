"""The console session against a BMC that loses packets, repeats them, takes half of them, or has no room for one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from provider.bmc import solpacket
from provider.bmc.endpoint import Endpoint
from provider.bmc.errors import BMCConsoleLost, BMCUnreachable
from provider.bmc.lan import LanSession
from provider.bmc.sol import SolSession

NOT_TAKEN, UNAVAILABLE, DEACTIVATED, OVERRUN = 0x40, 0x20, 0x10, 0x08
BUFFER_BYTES = 256 * 1024
OTHER_SESSION = bytes([9, 0, 0, 0])


@dataclass
class ScriptedLan(LanSession):
    """What the session sends, and a BMC that answers it as a test says."""

    sent: list[bytes] = field(default_factory=list)
    answer: Callable[[bytes], bytes | None] = lambda _: None
    instance: tuple[int, bytes] | None = (0, bytes([7, 0, 0, 0]))
    asked: list[float] = field(default_factory=list)
    closed: int = 0

    def __post_init__(self) -> None:
        super().__init__(Endpoint("192.0.2.1", 623, "admin", "secret"))
        self.bmc_session = 7

    def send(self, kind: int, payload: bytes) -> None:
        self.sent.append(payload)
        answer = self.answer(payload)
        if answer is not None:
            asyncio.get_running_loop().call_soon(self.received, answer)

    async def ask(
        self, attempt: str, net_function: int, command: int, data: bytes = b"", *, tries: int = 5
    ) -> tuple[int, bytes]:
        self.asked.append(asyncio.get_running_loop().time())
        if self.instance is None:
            raise BMCUnreachable(str(self.endpoint), attempt, "no answer within 5 s")
        return self.instance

    async def close(self, attempt: str) -> None:
        self.closed += 1

    def characters(self) -> list[bytes]:
        """Of the packets with characters that were sent."""
        return [payload[4:] for payload in self.sent if payload[0] and payload[4:]]


def takes_all(payload: bytes) -> bytes | None:
    return bytes([0, payload[0], len(payload) - 4, 0]) if payload[0] else None


@pytest.fixture
def lan() -> ScriptedLan:
    return ScriptedLan(answer=takes_all)


@pytest.fixture
async def session(lan: ScriptedLan) -> AsyncIterator[SolSession]:
    console = SolSession(lan, 4, ask_after_s=3600, retry_s=0.02)
    yield console
    await console.close()


async def all_of(session: SolSession) -> None:
    while True:
        await session.read()


async def test_what_is_written_goes_in_packets_that_the_bmc_can_take(lan: ScriptedLan, session: SolSession) -> None:
    await session.write(bytes(range(10)))
    assert lan.characters() == [bytes([0, 1, 2, 3]), bytes([4, 5, 6, 7]), bytes([8, 9])]
    numbers = [payload[0] for payload in lan.sent]
    assert numbers == [1, 2, 3, 4], "the first has no characters"
    assert lan.sent[0][4:] == b""


async def test_numbers_go_round_without_zero(lan: ScriptedLan, session: SolSession) -> None:
    await session.write(bytes(4 * 20))
    assert [payload[0] for payload in lan.sent][:17] == [*range(1, 16), 1, 2]


async def test_a_packet_that_was_lost_is_sent_again_as_it_was(lan: ScriptedLan, session: SolSession) -> None:
    losses = [None, None]
    lan.answer = lambda payload: losses.pop() if losses else takes_all(payload)
    await session.write(b"abc")
    sent = [payload for payload in lan.sent if payload[4:]]
    assert sent == [sent[0]] * 3


async def test_what_the_bmc_did_not_take_is_sent_in_a_new_packet(lan: ScriptedLan, session: SolSession) -> None:
    answers = [1, 0]
    lan.answer = lambda payload: (
        bytes([0, payload[0], answers.pop(0), NOT_TAKEN]) if answers and payload[4:] else takes_all(payload)
    )
    await session.write(b"abcd")
    assert lan.characters() == [b"abcd", b"bcd", b"bcd"]


async def test_a_server_without_power_makes_the_writer_wait(lan: ScriptedLan, session: SolSession) -> None:
    lan.answer = lambda payload: bytes([0, payload[0], 0, NOT_TAKEN | UNAVAILABLE]) if payload[4:] else None
    writing = asyncio.ensure_future(session.write(b"on?"))
    done, _ = await asyncio.wait([writing], timeout=0.2)
    assert not done
    lan.answer = takes_all
    await writing


async def test_every_packet_is_acknowledged_and_a_repeated_one_brings_only_what_is_new(
    lan: ScriptedLan, session: SolSession
) -> None:
    for packet in (b"\x01\0\0\0hello", b"\x01\0\0\0hello", b"\x01\0\0\0hello, world", b"\x02\0\0\0!"):
        lan.received(packet)
    assert (await session.read()).data == b"hello, world!"
    acknowledgements = [payload for payload in lan.sent if not payload[0]]
    assert acknowledgements == [b"\0\x01\x05\0", b"\0\x01\x05\0", b"\0\x01\x0c\0", b"\0\x02\x01\0"]


async def test_who_does_not_read_loses_the_oldest_and_is_told_how_many(lan: ScriptedLan, session: SolSession) -> None:
    number = 0
    for _ in range(BUFFER_BYTES // 200 + 10):
        number = solpacket.after(number)
        lan.received(bytes([number, 0, 0, 0]) + bytes(199) + b"#")
    output = await session.read()
    assert len(output.data) == BUFFER_BYTES
    assert output.lost_bytes == (BUFFER_BYTES // 200 + 10) * 200 - BUFFER_BYTES
    assert output.data.endswith(b"#")
    lan.received(bytes([solpacket.after(number), 0, 0, 0]) + b"next")
    assert (await session.read()).lost_bytes == 0


async def test_that_the_bmc_dropped_characters_is_passed_on(lan: ScriptedLan, session: SolSession) -> None:
    lan.received(bytes([1, 0, 0, OVERRUN]) + b"x")
    assert (await session.read()).overrun
    lan.received(bytes([2, 0, 0, 0]) + b"y")
    assert not (await session.read()).overrun


async def test_a_deactivation_ends_readers_and_writers_after_what_had_arrived(
    lan: ScriptedLan, session: SolSession
) -> None:
    lan.answer = lambda _: None
    writing = asyncio.ensure_future(session.write(b"x"))
    await asyncio.sleep(0)
    lan.received(b"\x01\0\0\0last words")
    lan.received(bytes([0, 0, 0, DEACTIVATED]))
    with pytest.raises(BMCConsoleLost, match=r"192\.0\.2\.1:623: the BMC closed it"):
        await writing
    assert (await session.read()).data == b"last words"
    with pytest.raises(BMCConsoleLost):
        await session.read()


async def test_a_bmc_that_acknowledges_nothing_is_given_up(lan: ScriptedLan, session: SolSession) -> None:
    lan.answer = lambda _: None
    with pytest.raises(BMCConsoleLost, match="acknowledged nothing"):
        await session.write(b"x")
    with pytest.raises(BMCConsoleLost):
        await session.read()


@pytest.mark.parametrize(
    ("instance", "cause"),
    [
        ((0, OTHER_SESSION), "another session has it now"),
        ((0, bytes(4)), "another session has it now"),
        ((0xCB, b""), "completion code 0xcb"),
        (None, "no answer within 5 s"),
    ],
    ids=["taken", "nobody has it", "unknown", "silent"],
)
async def test_whether_the_console_is_still_ours_is_asked(
    lan: ScriptedLan, instance: tuple[int, bytes] | None, cause: str
) -> None:
    lan.instance = instance
    console = SolSession(lan, 4, ask_after_s=0.001, retry_s=0.02)
    with pytest.raises(BMCConsoleLost, match=cause):
        await console.read()
    await console.close()


async def test_a_bmc_that_does_not_listen_is_asked_at_once(lan: ScriptedLan, session: SolSession) -> None:
    lan.refused()
    await session.write(b"it was nothing")
    assert len(lan.asked) == 1
    lan.instance = None
    lan.refused()
    with pytest.raises(BMCConsoleLost, match="no answer within"):
        await session.read()


async def test_a_bmc_that_acknowledges_nothing_at_first_is_asked_at_once(lan: ScriptedLan, session: SolSession) -> None:
    lan.answer, lan.instance = lambda _: None, (0, OTHER_SESSION)
    with pytest.raises(BMCConsoleLost, match="another session has it now"):
        await session.write(b"x")
    assert len(lan.characters()) < 8


async def test_a_bmc_is_asked_only_after_it_was_silent(lan: ScriptedLan) -> None:
    silent_s, clock = 0.1, asyncio.get_running_loop().time
    console = SolSession(lan, 4, ask_after_s=silent_s, retry_s=0.02)
    said = [clock()]
    for number in range(1, 16):
        lan.received(bytes([number, 0, 0, 0]) + b"x")
        said.append(clock())
        await asyncio.sleep(silent_s / 5)
    lan.instance = None
    with pytest.raises(BMCConsoleLost):
        await all_of(console)
    await console.close()
    assert lan.asked
    assert all(at - max(each for each in said if each <= at) >= silent_s for at in lan.asked)


async def test_a_bmc_that_cannot_say_whose_console_it_is_is_believed(lan: ScriptedLan) -> None:
    lan.instance = (0xC1, b"")
    console = SolSession(lan, 4, ask_after_s=0.001, retry_s=0.02)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(console.read(), 0.05)
    await console.close()


async def test_it_logs_out_once(lan: ScriptedLan, session: SolSession) -> None:
    await session.close()
    await session.close()
    assert lan.closed == 1
    with pytest.raises(BMCConsoleLost, match="closed by us"):
        await session.read()


@pytest.mark.parametrize(("inbound", "most"), [(4, 1), (68, 64), (260, 240), (8192, 240)])
def test_the_header_counts_in_what_a_bmc_takes(inbound: int, most: int) -> None:
    activation = bytes(4) + inbound.to_bytes(2, "little") + bytes(6)
    assert solpacket.most_characters(activation) == most
