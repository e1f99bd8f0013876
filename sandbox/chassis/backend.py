"""Looks whether somebody serves a vhost-user socket.

QEMU must never be pointed at a socket that nobody listens on: plugging it freezes QMP and the guest until somebody
does.
"""

import asyncio
import contextlib
from collections.abc import Iterable

from sandbox.chassis.functions import DiskFunction, Function

_CONNECT_TIMEOUT_S = 1.0


async def accepts(path: str) -> bool:
    """True when a connection to the Unix socket is accepted (it is closed again at once)."""
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_unix_connection(path)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def unserved(functions: Iterable[Function]) -> list[str]:
    """The sockets of the disks among functions that nobody serves."""
    paths = [function.vhost_socket for function in functions if isinstance(function, DiskFunction)]
    return [path for path in paths if not await accepts(path)]
