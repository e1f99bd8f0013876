"""An NBD server of one export that fails every request: what is left of a disk whose controller was detached.

Source: the NBD protocol, doc/proto.md of NetworkBlockDevice/nbd (newstyle negotiation, simple replies).
"""

from __future__ import annotations

import asyncio
import errno
import struct

from sandbox.spdk.nbd import (
    FLAG_FIXED_NEWSTYLE,
    FLAG_NO_ZEROES,
    IHAVEOPT,
    INFO_EXPORT,
    MAGIC,
    OPT_ABORT,
    OPT_GO,
    OPTION_REPLY,
    OPTION_REPLY_MAGIC,
    REP_ACK,
    REP_ERROR,
    REP_INFO,
)

_UNSUPPORTED = REP_ERROR | 1
_HAS_FLAGS, _SEND_FLUSH, _SEND_FUA, _SEND_TRIM, _SEND_WRITE_ZEROES = 1, 4, 8, 32, 64
_EXPORT_FLAGS = _HAS_FLAGS | _SEND_FLUSH | _SEND_FUA | _SEND_TRIM | _SEND_WRITE_ZEROES
_OPTION = struct.Struct(">8sII")
_REQUEST = struct.Struct(">IHHQQI")
_REPLY = struct.Struct(">IIQ")
_REPLY_MAGIC = 0x67446698
_CMD_WRITE, _CMD_DISCONNECT = 1, 2


async def fail_everything(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size_bytes: int) -> None:
    """Serve one client until it leaves; each of its requests is answered EIO."""
    try:
        if await _negotiate(reader, writer, size_bytes):
            await _refuse_requests(reader, writer)
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def _negotiate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size_bytes: int) -> bool:
    """Whether the client has opened the export."""
    writer.write(MAGIC + IHAVEOPT + struct.pack(">H", FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES))
    await reader.readexactly(4)
    while True:
        _, option, length = _OPTION.unpack(await reader.readexactly(_OPTION.size))
        await reader.readexactly(length)
        if option == OPT_GO:
            export = struct.pack(">HQH", INFO_EXPORT, size_bytes, _EXPORT_FLAGS)
            writer.write(_option_reply(option, REP_INFO, export) + _option_reply(option, REP_ACK))
            return True
        if option == OPT_ABORT:
            return False
        writer.write(_option_reply(option, _UNSUPPORTED))


def _option_reply(option: int, kind: int, payload: bytes = b"") -> bytes:
    return OPTION_REPLY.pack(OPTION_REPLY_MAGIC, option, kind, len(payload)) + payload


async def _refuse_requests(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        _, _, command, cookie, _, length = _REQUEST.unpack(await reader.readexactly(_REQUEST.size))
        if command == _CMD_DISCONNECT:
            return
        if command == _CMD_WRITE:
            await reader.readexactly(length)
        writer.write(_REPLY.pack(_REPLY_MAGIC, errno.EIO, cookie))
        await writer.drain()
