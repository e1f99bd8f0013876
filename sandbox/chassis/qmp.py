"""A client of the QEMU Machine Protocol, as much of it as a chassis needs: commands by id, events as they come.

Source: QEMU, docs/interop/qmp-spec: greeting, ``qmp_capabilities``, then ``{"execute", "arguments", "id"}`` answered by
``{"return", "id"}`` or ``{"error": {"class", "desc"}, "id"}``; ``{"event", "data", "timestamp"}`` in between.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sandbox.chassis.errors import QemuRefused, QemuSilent

_LINE_LIMIT_BYTES = 1024 * 1024
_COMMAND_TIMEOUT_S = 5.0

Event = Mapping[str, Any]


class QmpConnection:
    """One connection to one QEMU. Lost once, it stays lost: open another."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, on_event: Callable[[Event], None]
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._on_event = on_event
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._last_id = 0
        self._pump = asyncio.create_task(self._read_all(), name="qmp-read")

    @classmethod
    async def open(cls, socket: Path, on_event: Callable[[Event], None]) -> "QmpConnection":
        """Connect and leave negotiation mode; OSError while nobody listens, QemuRefused when QEMU does not answer."""
        reader, writer = await asyncio.open_unix_connection(socket, limit=_LINE_LIMIT_BYTES)
        connection = cls(reader, writer, on_event)
        try:
            await connection.execute("qmp_capabilities")
        except BaseException:
            await connection.close()
            raise
        return connection

    async def execute(self, command: str, /, **arguments: Any) -> Any:
        """Run one command and return what QEMU returns; an underscore in an argument's name stands for itself."""
        self._last_id += 1
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[self._last_id] = answer
        request = {"execute": command, "arguments": arguments, "id": self._last_id}
        try:
            if self._pump.done():
                raise QemuSilent(f"QMP {command}: the connection to QEMU is gone")
            self._writer.write(json.dumps(request).encode() + b"\n")
            async with asyncio.timeout(_COMMAND_TIMEOUT_S):
                return await answer
        except TimeoutError as error:
            raise QemuSilent(f"QMP {command}: no answer within {_COMMAND_TIMEOUT_S:g} s") from error
        finally:
            self._waiting.pop(request["id"], None)  # type: ignore[call-overload]

    async def closed(self) -> None:
        """Return when the connection has ended, from whichever side."""
        await asyncio.wait([self._pump])

    async def close(self) -> None:
        """End the connection."""
        self._pump.cancel()
        await asyncio.wait([self._pump])
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _read_all(self) -> None:
        try:
            while line := await self._reader.readline():
                self._take(json.loads(line))
        except (OSError, ValueError):
            pass
        finally:
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(QemuSilent("QMP: the connection to QEMU ended before the answer came"))

    def _take(self, message: Mapping[str, Any]) -> None:
        if "event" in message:
            self._on_event(message)
            return
        answer = self._waiting.get(message.get("id", 0))
        if answer is None or answer.done():
            return
        if "error" in message:
            answer.set_exception(QemuRefused(f"QMP: {message['error'].get('desc', message['error'])}"))
        else:
            answer.set_result(message.get("return"))
