"""The serial console of a server, by its BMC.

A BMC has one session for it: whoever opens one takes it from whoever had it.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Output:
    """What the server printed, as bytes of any value.

    ``lost_bytes``: so many before ``data`` were dropped here, because nobody read them in time. ``overrun``: the BMC
    says that it dropped some itself; it does not say how many.
    """

    data: bytes
    lost_bytes: int = 0
    overrun: bool = False


class SerialSession(Protocol):
    """An open console. Every method but ``close`` raises ``BMCConsoleLost`` once the session is gone."""

    async def read(self) -> Output:
        """What has arrived, as soon as there is something. One reader at a time."""
        ...

    async def write(self, data: bytes) -> None:
        """Return once the BMC has taken all of it; a server that does not read its input is waited for."""
        ...

    async def send_break(self) -> None:
        """Send a serial break."""
        ...

    async def close(self) -> None:
        """Give the console back. Never fails."""
        ...


class ConsoleController(Protocol):
    """Opens the console of one server."""

    async def open_console(self) -> SerialSession:
        """Open the console; a session that is open is ended, whoever has it. Raises ``BMCError``."""
        ...
