"""Our own client against a real BMC: what the bytes do, and which error each failure becomes."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest

from provider.bmc.endpoint import Endpoint
from provider.bmc.errors import BMCAuthenticationFailed, BMCCommandFailed, BMCUnreachable
from provider.bmc.ipmi import IpmiBMC, IpmiThread, RawSession
from provider.bmc.isolation import IsolatedSession
from provider.bmc.power import PowerReading, ResetType
from tests.conformance.bmc.bmc_rig import BmcProcess, HeldServer, Ipmitool, free_udp_port
from tests.conformance.emulation.rig import READY_TIMEOUT_S

DEADLINE_S = 1.0


@dataclass
class Opened:
    """Opens real sessions and keeps them to be looked at."""

    sessions: list[RawSession] = field(default_factory=list)

    def __call__(self, endpoint: Endpoint) -> RawSession:
        self.sessions.append(IsolatedSession(endpoint))
        return self.sessions[-1]


@pytest.fixture
def opened() -> Opened:
    return Opened()


@pytest.fixture
async def bmc(endpoint: Endpoint, ipmi_thread: IpmiThread, opened: Opened) -> AsyncIterator[IpmiBMC]:
    client = IpmiBMC(endpoint, ipmi_thread, open_session=opened)
    yield client
    await client.close()


async def comes_true(fact: Callable[[], bool], what: str) -> None:
    """Wait on the event loop, which the client needs."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not fact():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


async def reads(bmc: IpmiBMC, power: PowerReading) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while await bmc.read_power() is not power:
        assert time.monotonic() < deadline, f"the power is not {power}"


async def test_power_is_read_and_switched(bmc: IpmiBMC, ipmitool: Ipmitool, opened: Opened) -> None:
    assert await bmc.read_power() is PowerReading.OFF
    for reset_type, power in ((ResetType.ON, PowerReading.ON), (ResetType.FORCE_OFF, PowerReading.OFF)):
        await bmc.reset(reset_type)
        await reads(bmc, power)
        assert ipmitool.powered() == (power is PowerReading.ON)
        await bmc.reset(reset_type)
        assert await bmc.read_power() is power
    assert len(opened.sessions) == 1


async def test_a_server_that_is_reset_has_power_all_the_time_and_one_that_is_off_stays_off(
    bmc: IpmiBMC, ipmitool: Ipmitool
) -> None:
    with suppress(BMCCommandFailed):
        await bmc.reset(ResetType.FORCE_RESTART)
    assert not ipmitool.powered()
    await bmc.reset(ResetType.ON)
    await reads(bmc, PowerReading.ON)
    await bmc.reset(ResetType.FORCE_RESTART)
    assert await bmc.read_power() is PowerReading.ON
    assert ipmitool.powered()


async def test_the_firmware_is_told_to_boot_from_disk(bmc: IpmiBMC, ipmitool: Ipmitool) -> None:
    ipmitool("chassis", "bootdev", "none")
    await bmc.boot_from_disk()
    assert "Force Boot from default Hard-Drive" in ipmitool("chassis", "bootparam", "get", "5")


async def test_a_refused_command_is_told_from_a_lost_one(bmc: IpmiBMC, server: HeldServer) -> None:
    with pytest.raises(BMCCommandFailed, match=r"GracefulShutdown.*completion code 0x"):
        await bmc.reset(ResetType.GRACEFUL_SHUTDOWN)
    assert server.power() == "off"
    assert await bmc.read_power() is PowerReading.OFF


@pytest.mark.parametrize("other", [{"password": "wrong-password"}, {"username": "nobody"}], ids=["wrong", "unknown"])
async def test_refused_credentials_are_told_as_such(
    endpoint: Endpoint, ipmi_thread: IpmiThread, other: dict[str, str]
) -> None:
    stranger = IpmiBMC(replace(endpoint, **other), ipmi_thread)  # type: ignore[arg-type]
    with pytest.raises(BMCAuthenticationFailed, match=f"{endpoint}.*secretRef") as caught:
        await stranger.reset(ResetType.ON)
    assert "wrong-password" not in str(caught.value)
    assert await IpmiBMC(endpoint, ipmi_thread).read_power() is PowerReading.OFF


async def test_where_no_bmc_is_it_is_unreachable(ipmi_thread: IpmiThread) -> None:
    nowhere = IpmiBMC(Endpoint("127.0.0.1", free_udp_port(), "admin", "any"), ipmi_thread)
    with pytest.raises(BMCUnreachable, match=r"no answer\. Check spec\.bmc\.address"):
        await nowhere.read_power()


async def test_a_silent_bmc_costs_its_deadline_and_is_used_again_when_it_speaks(
    endpoint: Endpoint, ipmi_thread: IpmiThread, bmc_process: BmcProcess
) -> None:
    hasty = IpmiBMC(endpoint, ipmi_thread, deadline_s=DEADLINE_S)
    await hasty.read_power()
    bmc_process.pause(paused=True)
    try:
        started = time.monotonic()
        with pytest.raises(BMCUnreachable, match="no answer within 1 s"):
            await hasty.read_power()
        assert time.monotonic() - started < 4 * DEADLINE_S, "pyghmi itself goes on asking for longer than that"
    finally:
        bmc_process.pause(paused=False)
    assert await IpmiBMC(endpoint, ipmi_thread).read_power() is PowerReading.OFF
    assert await hasty.read_power() is PowerReading.OFF
    await hasty.close()


async def test_an_idle_session_is_closed_and_the_next_request_opens_another(
    endpoint: Endpoint, ipmi_thread: IpmiThread, opened: Opened, bmc_process: BmcProcess
) -> None:
    thrifty = IpmiBMC(endpoint, ipmi_thread, open_session=opened, idle_close_s=0.05)
    await thrifty.read_power()
    await comes_true(lambda: not opened.sessions[-1].ipmi_session.logged, "the session is closed")
    assert await thrifty.read_power() is PowerReading.OFF
    await comes_true(lambda: not opened.sessions[-1].ipmi_session.logged, "the session is closed again")
    await asyncio.to_thread(bmc_process.stop)
    await asyncio.to_thread(bmc_process.start)
    assert await thrifty.read_power() is PowerReading.OFF
    assert len(opened.sessions) == 3
    await thrifty.close()
