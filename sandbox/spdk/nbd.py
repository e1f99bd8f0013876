"""The NBD handshake as a client makes it to learn of an export: its size, and what its description says.

Source: the NBD protocol, doc/proto.md of NetworkBlockDevice/nbd (newstyle negotiation, NBD_OPT_INFO).
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass

_MAGIC, _IHAVEOPT = b"NBDMAGIC", b"IHAVEOPT"
_REPLY_MAGIC = 0x0003E889045565A9
_FLAG_FIXED_NEWSTYLE, _FLAG_NO_ZEROES = 1, 2
_OPT_ABORT, _OPT_INFO = 2, 6
_REP_ACK, _REP_INFO, _REP_ERROR = 1, 3, 1 << 31
_INFO_EXPORT, _INFO_DESCRIPTION = 0, 2
_LIMIT_BYTES = 64 * 1024


class NbdRefused(Exception):
    """There is no such export, or nobody who speaks NBD."""


class NbdSilent(NbdRefused):
    """Nobody refuses, and nobody answers."""


@dataclass(frozen=True, slots=True)
class ExportInfo:
    """What the server tells of an export."""

    size_bytes: int
    description: str


async def export_info(host: str, port: int, name: str, timeout_s: float) -> ExportInfo:
    """Ask for an export without opening it. Raises NbdRefused, and NbdSilent among them."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                return await _ask(reader, writer, name)
            finally:
                writer.close()
    except TimeoutError as error:
        raise NbdSilent(f"no answer within {timeout_s:g} s") from error
    except (OSError, asyncio.IncompleteReadError, struct.error) as error:
        raise NbdRefused(str(error)) from error


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> ExportInfo:
    greeting = await reader.readexactly(18)
    if greeting[:8] != _MAGIC or greeting[8:16] != _IHAVEOPT:
        raise NbdRefused("not an NBD server")
    writer.write(struct.pack(">I", _FLAG_FIXED_NEWSTYLE | _FLAG_NO_ZEROES))
    encoded = name.encode()
    body = struct.pack(">I", len(encoded)) + encoded + struct.pack(">HH", 1, _INFO_DESCRIPTION)
    writer.write(_IHAVEOPT + struct.pack(">II", _OPT_INFO, len(body)) + body)
    size_bytes, description = 0, ""
    while True:
        magic, _, kind, length = struct.unpack(">QIII", await reader.readexactly(20))
        payload = await reader.readexactly(min(length, _LIMIT_BYTES))
        if magic != _REPLY_MAGIC or kind & _REP_ERROR:
            raise NbdRefused(payload.decode(errors="replace") or "refused")
        if kind == _REP_ACK:
            writer.write(_IHAVEOPT + struct.pack(">II", _OPT_ABORT, 0))
            return ExportInfo(size_bytes, description)
        if kind == _REP_INFO:
            (what,) = struct.unpack_from(">H", payload)
            if what == _INFO_EXPORT:
                (size_bytes,) = struct.unpack_from(">Q", payload, 2)
            elif what == _INFO_DESCRIPTION:
                description = payload[2:].decode()
