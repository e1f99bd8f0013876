"""IPMI 2.0 over pyghmi.

pyghmi blocks, so each BMC has a thread of its own, and each session pyghmi's state to itself (``isolation``): a BMC
that is silent is waited for by nobody else. Each call here is awaited with a deadline.
pyghmi opens RMCP+ sessions with cipher suite 17 (SHA-256) and falls back to suite 3 (SHA-1) when the BMC refuses (IPMI
2.0, table 22-20); it would also take a session without encryption, which is refused here.
Its ``Command.set_power`` asks the BMC for vendor extensions first; the raw commands of the chassis are what every BMC
has, and cost one round trip.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, TypeVar

from provider.bmc.endpoint import Endpoint
from provider.bmc.errors import BMCAuthenticationFailed, BMCCommandFailed, BMCError, BMCInsecure, BMCUnreachable
from provider.bmc.isolation import IsolatedSession
from provider.bmc.power import PowerReading, ResetType

T = TypeVar("T")

# IPMI 2.0, appendix G: network function "Chassis" and its commands.
_CHASSIS = 0x00
_GET_CHASSIS_STATUS = 0x01
_CHASSIS_CONTROL = 0x02
_SET_SYSTEM_BOOT_OPTIONS = 0x08

_POWER_IS_ON = 0x01
"""Bit of "Current Power State" (IPMI 2.0, table 28-3)."""

_CONTROL = {
    ResetType.FORCE_OFF: 0x00,
    ResetType.ON: 0x01,
    ResetType.FORCE_RESTART: 0x03,
    ResetType.GRACEFUL_SHUTDOWN: 0x05,
}
"""Values of Chassis Control (IPMI 2.0, table 28-4). 0x03 is the hard reset, during which the power stays on."""

_BOOT_FLAGS = 5
_BOOT_FLAGS_VALID = 0x80
_BOOT_FROM_DISK = 0x02 << 2
"""Boot flags, parameter 5 of the boot options (IPMI 2.0, table 28-14): valid for the next boot, from the hard disk."""

_DEADLINE_S = 15.0
_IDLE_CLOSE_S = 5.0
"""Shorter than pyghmi's keep-alive (25 s), whose answer may still be due when the next command is to be sent."""

_PASSWORD_REFUSED = ("incorrect password", "unauthorized name", "invalid rakp4", "invalid role", "integrity check")
"""What pyghmi says, in lower case, when the BMC refuses who we are (texts of its RAKP steps and ``rmcp_codes``)."""


class RawSession(Protocol):
    """One login at one BMC; ``ipmi_session`` is pyghmi's."""

    ipmi_session: Any

    def raw_command(self, netfn: int, command: int, data: Sequence[int] = ()) -> dict[str, Any]:
        """One IPMI request and its response, or a dict with ``error``."""
        ...

    def close(self) -> None:
        """Log out and leave nothing behind."""
        ...


class IpmiThread:
    """The thread that waits for one BMC."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ipmi")

    async def run(self, call: Callable[[], T]) -> T:
        """The result of ``call``, made in the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    def close(self) -> None:
        """Let go of the thread; a call under way is not waited for."""
        self._executor.shutdown(wait=False, cancel_futures=True)


class IpmiBMC:
    """One BMC by IPMI: a session opened at need, kept while it is used, closed when idle (BMCs have few of them)."""

    def __init__(
        self,
        endpoint: Endpoint,
        thread: IpmiThread,
        *,
        open_session: Callable[[Endpoint], RawSession] = IsolatedSession,
        deadline_s: float = _DEADLINE_S,
        idle_close_s: float = _IDLE_CLOSE_S,
    ) -> None:
        self._endpoint = endpoint
        self._thread = thread
        self._open_session = open_session
        self._deadline_s = deadline_s
        self._idle_close_s = idle_close_s
        self._session: RawSession | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._lock = asyncio.Lock()

    async def read_power(self) -> PowerReading:
        """The power as it is now."""
        data = await self._request("Reading the power", _GET_CHASSIS_STATUS)
        return PowerReading.ON if data[0] & _POWER_IS_ON else PowerReading.OFF

    async def reset(self, reset_type: ResetType) -> None:
        """Ask for a change of power."""
        await self._request(f"Asking for {reset_type}", _CHASSIS_CONTROL, [_CONTROL[reset_type]])

    async def boot_from_disk(self) -> None:
        """Have the firmware boot from its disks at the next start."""
        flags = [_BOOT_FLAGS, _BOOT_FLAGS_VALID, _BOOT_FROM_DISK, 0, 0, 0]
        await self._request("Choosing the boot device", _SET_SYSTEM_BOOT_OPTIONS, flags)

    async def close(self) -> None:
        """Log out."""
        async with self._lock:
            if self._session is not None:
                await self._thread.run(self._drop)

    async def end(self) -> None:
        """Log out, and let go of the thread."""
        await self.close()
        self._thread.close()

    async def _request(self, attempt: str, command: int, data: Sequence[int] = ()) -> Sequence[int]:
        async with self._lock:
            self._stay_open()
            try:
                call = partial(self._exchange, attempt, command, data)
                return await asyncio.wait_for(asyncio.shield(self._thread.run(call)), self._deadline_s)
            except TimeoutError as error:
                raise BMCUnreachable(
                    str(self._endpoint), attempt, f"no answer within {self._deadline_s:g} s"
                ) from error
            finally:
                self._close_when_idle()

    def _exchange(self, attempt: str, command: int, data: Sequence[int]) -> Sequence[int]:
        """One request, in the BMC's thread."""
        session = self._logged_in(attempt)
        try:
            response = session.raw_command(netfn=_CHASSIS, command=command, data=list(data))
        except Exception as error:
            self._drop()
            raise BMCUnreachable(str(self._endpoint), attempt, _cause(error)) from error
        if response.get("error") and not response.get("code"):
            # No completion code: the session broke, and nobody knows whether the request arrived.
            self._drop()
            raise BMCUnreachable(str(self._endpoint), attempt, str(response["error"]))
        if response.get("code"):
            cause = f"{response.get('error')} (completion code {response['code']:#04x})"
            raise BMCCommandFailed(str(self._endpoint), attempt, cause)
        return list(response["data"])

    def _logged_in(self, attempt: str) -> RawSession:
        if self._session is not None and not self._session.ipmi_session.broken:
            return self._session
        self._drop()
        try:
            session = self._open_session(self._endpoint)
        except Exception as error:
            raise self._login_failed(attempt, _cause(error)) from error
        if session.ipmi_session.confalgo != "aes":
            session.close()
            raise BMCInsecure(str(self._endpoint), attempt, "the BMC agreed only to an unencrypted session")
        self._session = session
        return session

    def _login_failed(self, attempt: str, cause: str) -> BMCError:
        refused = any(text in cause.lower() for text in _PASSWORD_REFUSED)
        return (BMCAuthenticationFailed if refused else BMCUnreachable)(str(self._endpoint), attempt, cause)

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _stay_open(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _close_when_idle(self) -> None:
        def start() -> None:
            task = asyncio.get_running_loop().create_task(self.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

        self._idle = asyncio.get_running_loop().call_later(self._idle_close_s, start)


def _cause(error: Exception) -> str:
    """What pyghmi says; of silence at login it says None."""
    return "no answer" if str(error) in ("", "None") else str(error)
