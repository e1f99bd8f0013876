"""The serial console by IPMI: Serial over LAN in a session of its own.

Source: IPMI 2.0 revision 1.1, chapter 15 (Serial over LAN), sections 24.1 (Activate Payload), 24.2 (Deactivate
Payload), 24.5 (Get Payload Instance Info).
"""

import asyncio
import struct
from contextlib import suppress

from provider.bmc import solpacket
from provider.bmc.console import Output
from provider.bmc.endpoint import Endpoint
from provider.bmc.errors import BMCConsoleLost, BMCConsoleRefused, BMCError
from provider.bmc.lan import APPLICATION, LanSession
from provider.bmc.rmcp import Payload

_ACTIVATE, _DEACTIVATE, _INSTANCE_INFO = 0x48, 0x49, 0x4B
_SOL, _INSTANCE = 0x01, 0x01
_ENCRYPTED_AND_AUTHENTICATED = 0xC0
_INVALID_COMMAND = 0xC1
_ACTIVE_ELSEWHERE = 0x80
_REFUSALS = {
    _ACTIVE_ELSEWHERE: "another session has the console, and the BMC does not end it",
    0x81: "Serial over LAN is disabled",
    0x82: "the BMC has no more room for consoles",
    0x83: "the BMC has no encrypted console",
    0x84: "the BMC has no console without encryption",
}
"""Completion codes of Activate Payload (table 24-2)."""

_BUFFER_BYTES = 256 * 1024
_ASK_AFTER_S = 5.0
"""Of silence. A BMC that was started anew says nothing, and what the server prints until that is noticed is lost.

A question costs 70 us: 0.3 % of a core for 200 idle sessions. A BMC itself ends a session only after 60 s of silence
(section 6.12.15).
"""

_ASK_TRIES = 3
_TRIES = 8
_RETRY_S = 1.0
_ACTIVATIONS = 5
_PAUSE_S = 0.2
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0


class SolConsole:
    """Opens the console of the server behind one BMC."""

    def __init__(self, endpoint: Endpoint, *, ask_after_s: float = _ASK_AFTER_S, retry_s: float = _RETRY_S) -> None:
        self._endpoint = endpoint
        self._ask_after_s = ask_after_s
        self._retry_s = retry_s

    async def open_console(self) -> "SolSession":
        """Log in, end the session that is active, and activate ours. Raises ``BMCError``."""
        attempt = "Opening the console"
        lan = await LanSession.open(self._endpoint, attempt, retry_s=self._retry_s)
        try:
            activation = await _activate(lan, attempt)
        except BaseException:
            lan.drop()
            raise
        return SolSession(lan, solpacket.most_characters(activation), self._ask_after_s, self._retry_s)


class SolSession:
    """An open console. Keeps at most 256 KiB that nobody has read."""

    def __init__(self, lan: LanSession, most_characters: int, ask_after_s: float, retry_s: float) -> None:
        self._lan = lan
        self._most_characters = most_characters
        self._retry_s = retry_s
        self._arrived = bytearray()
        self._lost_bytes = 0
        self._overrun = False
        self._news = asyncio.Event()
        self._received = solpacket.Received()
        self._number = 0
        self._sending = asyncio.Lock()
        self._taken: asyncio.Future[solpacket.Packet] | None = None
        self._gone: BMCError | None = None
        self._closed = False
        self._clock = asyncio.get_running_loop().time
        self._heard = self._clock()
        self._doubt = asyncio.Event()
        lan.received = self._take
        lan.refused = self._doubt.set
        self._watch = asyncio.get_running_loop().create_task(self._stay(ask_after_s))
        self._say_nothing()

    async def read(self) -> Output:
        """What has arrived, as soon as there is something."""
        await self._news.wait()
        if self._gone is not None and not self._arrived:
            raise self._gone
        output = Output(bytes(self._arrived), self._lost_bytes, self._overrun)
        self._arrived.clear()
        self._lost_bytes, self._overrun = 0, False
        if self._gone is None:
            self._news.clear()
        return output

    async def write(self, data: bytes) -> None:
        """Return once the BMC has taken all of it."""
        pause_s = _FIRST_PAUSE_S
        async with self._sending:
            while data:
                chunk = data[: self._most_characters]
                packet = await self._deliver(chunk)
                taken = min(packet.accepted, len(chunk)) if packet.status & solpacket.NOT_TAKEN else len(chunk)
                data = data[taken:]
                if taken == len(chunk):
                    pause_s = _FIRST_PAUSE_S
                else:
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def send_break(self) -> None:
        """Send a serial break."""
        async with self._sending:
            await self._deliver(b"", operation=solpacket.BREAK)

    async def close(self) -> None:
        """Log out, if the BMC hears it: a console ends with its session.

        It is not deactivated: that would end the console of whoever has taken it meanwhile.
        """
        self._end("closed by us")
        if not self._closed:
            self._closed = True
            await self._lan.close("Closing the console")

    # ---- how it is done

    def _say_nothing(self) -> None:
        """Send a packet without characters before any other.

        A BMC (ipmi_sim is one) may remember the number of the last packet of the session before, and take the first of
        ours for a repetition: acknowledged and thrown away.
        """
        self._number = solpacket.after(self._number)
        self._lan.send(Payload.SOL, solpacket.characters(self._number, b""))

    def _take(self, payload: bytes) -> None:
        """A packet of the BMC."""
        packet = solpacket.parse(payload)
        if packet is None:
            return
        self._heard = self._clock()
        if packet.number:
            self._lan.send(Payload.SOL, solpacket.acknowledgement(packet))
            self._store(self._received.new_characters(packet), overrun=packet.overrun)
        if packet.acknowledged == self._number and self._taken is not None and not self._taken.done():
            self._taken.set_result(packet)
        if packet.deactivated:
            self._end("the BMC closed it, or gave it to another session")

    def _store(self, characters: bytes, *, overrun: bool) -> None:
        self._arrived += characters
        self._overrun |= overrun
        over = len(self._arrived) - _BUFFER_BYTES
        if over > 0:
            del self._arrived[:over]
            self._lost_bytes += over
        if self._arrived or overrun:
            self._news.set()

    async def _deliver(self, characters: bytes, *, operation: int = 0) -> solpacket.Packet:
        """Send one packet, again and again, until the BMC says what became of it."""
        if self._gone is not None:
            raise self._gone
        self._number = solpacket.after(self._number)
        payload = solpacket.characters(self._number, characters, operation=operation)
        self._taken = asyncio.get_running_loop().create_future()
        for _ in range(_TRIES):
            self._lan.send(Payload.SOL, payload)
            done, _pending = await asyncio.wait([self._taken], timeout=self._retry_s)
            if done:
                return self._taken.result()
            self._doubt.set()
        raise self._end(f"the BMC acknowledged nothing within {_TRIES * self._retry_s:g} s")

    async def _stay(self, ask_after_s: float) -> None:
        """Show the BMC that we are there, and find out whether the console is still ours."""
        while True:
            await self._until_in_doubt(ask_after_s)
            try:
                code, data = await self._lan.ask(
                    "Keeping the console", APPLICATION, _INSTANCE_INFO, bytes([_SOL, _INSTANCE]), tries=_ASK_TRIES
                )
            except BMCError as error:
                self._end(error.cause)
                return
            self._heard = self._clock()
            if code == 0 and data[:4] != struct.pack("<I", self._lan.bmc_session):
                self._end("another session has it now")
                return
            if code not in (0, _INVALID_COMMAND):
                self._end(f"the BMC knows the session no more (completion code {code:#04x})")
                return

    async def _until_in_doubt(self, silent_s: float) -> None:
        """Return when the BMC was silent for so long, did not acknowledge something, or does not listen."""
        while not self._doubt.is_set() and (rest_s := self._heard + silent_s - self._clock()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(rest_s):
                    await self._doubt.wait()
        self._doubt.clear()

    def _end(self, cause: str) -> BMCError:
        """Whoever reads or writes is told."""
        if self._gone is None:
            self._gone = BMCConsoleLost(str(self._lan.endpoint), "Keeping the console", cause)
            self._news.set()
            if self._taken is not None and not self._taken.done():
                self._taken.set_exception(self._gone)
                self._taken.exception()  # it may be that nobody waits any more
            if self._watch is not asyncio.current_task():
                self._watch.cancel()
        return self._gone


async def _activate(lan: LanSession, attempt: str) -> bytes:
    """End the session that is active, whoever has it, and activate ours; a BMC may need a moment between the two."""
    for _ in range(_ACTIVATIONS):
        await lan.ask(attempt, APPLICATION, _DEACTIVATE, bytes([_SOL, _INSTANCE, 0, 0, 0, 0]))
        request = bytes([_SOL, _INSTANCE, _ENCRYPTED_AND_AUTHENTICATED, 0, 0, 0])
        code, data = await lan.ask(attempt, APPLICATION, _ACTIVATE, request)
        if code != _ACTIVE_ELSEWHERE:
            break
        await asyncio.sleep(_PAUSE_S)
    if code or len(data) < 12:
        cause = _REFUSALS.get(code, f"completion code {code:#04x}, {len(data)} bytes")
        raise BMCConsoleRefused(str(lan.endpoint), attempt, cause)
    return data
