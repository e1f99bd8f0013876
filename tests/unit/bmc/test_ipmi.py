"""The IPMI back end against a scripted session: bytes sent, how answers and failures are read, how sessions are kept.

That the bytes mean what we think is shown by the conformance suite, against a real IPMI BMC.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from pyghmi.exceptions import IpmiException

from provider.bmc.endpoint import Endpoint
from provider.bmc.errors import BMCAuthenticationFailed, BMCCommandFailed, BMCInsecure, BMCUnreachable
from provider.bmc.ipmi import IpmiBMC, IpmiThread, RawSession
from provider.bmc.power import PowerReading, ResetType
from provider.bmc.sessions import BMCSessions

ENDPOINT = Endpoint("127.0.0.1", 623, "admin", "secret")
STATUS_ON = {"data": [0x21, 0, 0x40], "code": 0}
STATUS_OFF = {"data": [0x20, 0, 0x40], "code": 0}


@dataclass
class ScriptedSession:
    """Answers raw commands from a list; an exception in it is raised."""

    answers: list[Any]
    confalgo: Any = "aes"
    sent: list[tuple[int, int, list[int]]] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)
    logged_out: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.ipmi_session = SimpleNamespace(broken=False, confalgo=self.confalgo)

    def close(self) -> None:
        self.threads.add(threading.current_thread().name)
        self.logged_out.set()

    def raw_command(self, netfn: int, command: int, data: Sequence[int] = ()) -> dict[str, Any]:
        self.threads.add(threading.current_thread().name)
        self.sent.append((netfn, command, list(data)))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)


@pytest.fixture
async def thread() -> AsyncIterator[IpmiThread]:
    ipmi_thread = IpmiThread()
    yield ipmi_thread
    ipmi_thread.close()


def opening(*sessions: ScriptedSession | Exception) -> Callable[[Endpoint], RawSession]:
    queue = list(sessions)

    def open_session(_: Endpoint) -> RawSession:
        session = queue.pop(0)
        if isinstance(session, Exception):
            raise session
        return session

    return open_session


@pytest.mark.parametrize(
    ("answer", "reading"), [(STATUS_ON, PowerReading.ON), (STATUS_OFF, PowerReading.OFF)], ids=["on", "off"]
)
async def test_power_is_bit_0_of_the_chassis_status(
    thread: IpmiThread, answer: dict[str, Any], reading: PowerReading
) -> None:
    session = ScriptedSession([answer])
    assert await IpmiBMC(ENDPOINT, thread, open_session=opening(session)).read_power() is reading
    assert session.sent == [(0x00, 0x01, [])]


@pytest.mark.parametrize(
    ("reset_type", "value"),
    [(ResetType.FORCE_OFF, 0x00), (ResetType.ON, 0x01), (ResetType.GRACEFUL_SHUTDOWN, 0x05)],
)
async def test_a_reset_is_one_chassis_control(thread: IpmiThread, reset_type: ResetType, value: int) -> None:
    session = ScriptedSession([{"data": [], "code": 0}])
    await IpmiBMC(ENDPOINT, thread, open_session=opening(session)).reset(reset_type)
    assert session.sent == [(0x00, 0x02, [value])]


async def test_requests_share_one_session_in_the_bmcs_thread(thread: IpmiThread) -> None:
    session = ScriptedSession([STATUS_ON, STATUS_ON, STATUS_ON])
    bmc = IpmiBMC(ENDPOINT, thread, open_session=opening(session))
    await asyncio.gather(*(bmc.read_power() for _ in range(3)))
    assert len(session.threads) == 1
    assert next(iter(session.threads)).startswith("ipmi")


@pytest.mark.parametrize("text", ["Incorrect password provided", "Unauthorized name in RAKP2"])
async def test_a_refused_login_is_not_mistaken_for_silence(thread: IpmiThread, text: str) -> None:
    bmc = IpmiBMC(ENDPOINT, thread, open_session=opening(IpmiException(text)))
    with pytest.raises(BMCAuthenticationFailed, match=r"127\.0\.0\.1:623.*secretRef"):
        await bmc.read_power()


async def test_silence_at_login_is_unreachable(thread: IpmiThread) -> None:
    bmc = IpmiBMC(ENDPOINT, thread, open_session=opening(IpmiException("timeout")))
    with pytest.raises(BMCUnreachable):
        await bmc.read_power()


async def test_a_session_without_encryption_is_refused(thread: IpmiThread) -> None:
    session = ScriptedSession([STATUS_ON], confalgo=0)
    with pytest.raises(BMCInsecure):
        await IpmiBMC(ENDPOINT, thread, open_session=opening(session)).read_power()
    assert session.sent == []
    assert session.logged_out.is_set()


@pytest.mark.parametrize("loss", [IpmiException("Session no longer connected"), {"error": "timeout", "code": 0}])
async def test_a_lost_session_is_opened_anew_at_the_next_request(thread: IpmiThread, loss: Any) -> None:
    lost = ScriptedSession([loss])
    bmc = IpmiBMC(ENDPOINT, thread, open_session=opening(lost, ScriptedSession([STATUS_ON])))
    with pytest.raises(BMCUnreachable):
        await bmc.reset(ResetType.ON)
    assert lost.logged_out.is_set(), "what is lost leaves nothing behind"
    assert await bmc.read_power() is PowerReading.ON


async def test_a_completion_code_is_a_refusal_and_keeps_the_session(thread: IpmiThread) -> None:
    session = ScriptedSession([{"error": "Invalid command", "code": 0xC1}, STATUS_ON])
    bmc = IpmiBMC(ENDPOINT, thread, open_session=opening(session))
    with pytest.raises(BMCCommandFailed, match="0xc1"):
        await bmc.boot_from_disk()
    assert await bmc.read_power() is PowerReading.ON


async def test_a_bmc_that_hangs_does_not_hang_the_caller(thread: IpmiThread) -> None:
    released = threading.Event()

    def hang(_: Endpoint) -> RawSession:
        released.wait(10)
        raise IpmiException("timeout")

    with pytest.raises(BMCUnreachable, match=r"no answer within 0\.05 s"):
        await IpmiBMC(ENDPOINT, thread, open_session=hang, deadline_s=0.05).read_power()
    released.set()


async def test_an_idle_session_is_closed(thread: IpmiThread) -> None:
    session = ScriptedSession([STATUS_ON])
    bmc = IpmiBMC(ENDPOINT, thread, open_session=opening(session), idle_close_s=0.0)
    await bmc.read_power()
    assert await asyncio.to_thread(session.logged_out.wait, 5)


async def test_changed_credentials_make_another_bmc() -> None:
    sessions = BMCSessions()
    before = sessions.connect(ENDPOINT)
    assert sessions.connect(ENDPOINT) is before
    assert sessions.connect(Endpoint("127.0.0.1", 623, "admin", "new")) is not before
    assert sessions.connect(ENDPOINT) is not before
    await sessions.close()


def test_a_password_is_never_printed() -> None:
    assert "secret" not in repr(ENDPOINT) + str(ENDPOINT)
