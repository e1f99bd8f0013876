"""NBD as a client opens an export: its size, what its description says, and when it is cut off.

Source: the NBD protocol, doc/proto.md of NetworkBlockDevice/nbd (newstyle negotiation, NBD_OPT_GO).
"""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from dataclasses import dataclass

MAGIC, IHAVEOPT = b"NBDMAGIC", b"IHAVEOPT"
OPTION_REPLY_MAGIC = 0x0003E889045565A9
FLAG_FIXED_NEWSTYLE, FLAG_NO_ZEROES = 1, 2
OPT_ABORT, OPT_GO = 2, 7
REP_ACK, REP_INFO, REP_ERROR = 1, 3, 1 << 31
INFO_EXPORT, INFO_DESCRIPTION = 0, 2
OPTION_REPLY = struct.Struct(">QIII")
LIMIT_BYTES = 64 * 1024


class NbdRefused(Exception):
    """There is no such export, or nobody who speaks NBD."""


class NbdSilent(NbdRefused):
    """Nobody refuses, and nobody answers."""


@dataclass(frozen=True, slots=True)
class ExportInfo:
    """What the server tells of an export."""

    size_bytes: int
    description: str


@dataclass(frozen=True, slots=True)
class OpenExport:
    """A connection to an export through which nothing is read or written: it lives as long as the export does."""

    info: ExportInfo
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ended(self) -> None:
        """Wait until the server has cut it off, or is gone."""
        with suppress(OSError):
            while await self.reader.read(LIMIT_BYTES):
                pass

    def close(self) -> None:
        self.writer.close()


async def open_export(host: str, port: int, name: str, timeout_s: float) -> OpenExport:
    """Open an export. Raises NbdRefused, and NbdSilent among them."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                return OpenExport(await _go(reader, writer, name), reader, writer)
            except BaseException:
                writer.write(IHAVEOPT + struct.pack(">II", OPT_ABORT, 0))
                writer.close()
                raise
    except TimeoutError as error:
        raise NbdSilent(f"no answer within {timeout_s:g} s") from error
    except (OSError, asyncio.IncompleteReadError, struct.error) as error:
        raise NbdRefused(str(error)) from error


async def _go(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> ExportInfo:
    greeting = await reader.readexactly(18)
    if greeting[:8] != MAGIC or greeting[8:16] != IHAVEOPT:
        raise NbdRefused("not an NBD server")
    writer.write(struct.pack(">I", FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES))
    encoded = name.encode()
    body = struct.pack(">I", len(encoded)) + encoded + struct.pack(">HH", 1, INFO_DESCRIPTION)
    writer.write(IHAVEOPT + struct.pack(">II", OPT_GO, len(body)) + body)
    size_bytes, description = 0, ""
    while True:
        magic, _, kind, length = OPTION_REPLY.unpack(await reader.readexactly(OPTION_REPLY.size))
        payload = await reader.readexactly(min(length, LIMIT_BYTES))
        if magic != OPTION_REPLY_MAGIC or kind & REP_ERROR:
            raise NbdRefused(payload.decode(errors="replace") or "refused")
        if kind == REP_ACK:
            return ExportInfo(size_bytes, description)
        if kind == REP_INFO:
            (what,) = struct.unpack_from(">H", payload)
            if what == INFO_EXPORT:
                (size_bytes,) = struct.unpack_from(">Q", payload, 2)
            elif what == INFO_DESCRIPTION:
                description = payload[2:].decode()
