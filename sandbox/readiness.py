"""Asks a process whether it is ready, by the fact that its spec names. Each question is asked once and ends in time."""

import asyncio
import contextlib
import http.client
import socket
import ssl
from urllib.parse import urlsplit

from sandbox.process import Ready

TIMEOUT_S = 2.0

# ASF presence ping (ASF 2.0, 3.2.4.2): RMCP version 6, no acknowledgement, class ASF; then IANA 4542, type 0x80.
_PRESENCE_PING = bytes((0x06, 0x00, 0xFF, 0x06, 0x00, 0x00, 0x11, 0xBE, 0x80, 0x01, 0x00, 0x00))


async def holds(fact: Ready) -> bool:
    """Whether the fact holds now. ``alive`` always does: the caller watches the process."""
    if fact.kind == "alive":
        return True
    try:
        async with asyncio.timeout(TIMEOUT_S):
            if fact.kind == "https":
                return await asyncio.to_thread(_https, fact)
            if fact.kind == "rmcp":
                return await _rmcp(fact.target)
            if fact.kind == "unix":
                _, writer = await asyncio.open_unix_connection(fact.target)
            else:
                host, _, port = fact.target.rpartition(":")
                _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return True
    except (OSError, TimeoutError):
        return False


def _https(fact: Ready) -> bool:
    url = urlsplit(fact.target)
    context = ssl.create_default_context(cafile=fact.authority)
    connection = http.client.HTTPSConnection(url.hostname or "", url.port, timeout=TIMEOUT_S, context=context)
    try:
        connection.request("GET", url.path)
        return connection.getresponse().status == http.client.OK
    except http.client.HTTPException:
        return False
    finally:
        connection.close()


async def _rmcp(target: str) -> bool:
    """IPMI's ports are datagram ports, so nothing accepts: a BMC is there when it answers (IPMI 2.0, 13.2.3)."""
    host, _, port = target.rpartition(":")
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as probe:
        probe.connect((host, int(port)))
        await loop.sock_sendall(probe, _PRESENCE_PING)
        return bool(await loop.sock_recv(probe, 512))
