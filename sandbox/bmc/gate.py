"""The BMC's side of the network: a relay before ipmi_sim that lets no session without authentication through.

ipmi_sim grants cipher suite 0, whose sessions prove no password, and cannot be told not to. A request to open such a
session is answered here, as a BMC that has the suite switched off answers it; everything else passes.
Source: IPMI 2.0, sections 13.6 (RMCP+ packets), 13.17 and 13.18 (Open Session), table 13-15 (status codes).
"""

import asyncio
import struct
from typing import Any, cast

from sandbox.bmc import BmcError

Address = tuple[Any, ...]

_RMCP = b"\x06\x00\xff\x07"
_RMCP_PLUS = 0x06
_OPEN_SESSION_REQUEST, _OPEN_SESSION_RESPONSE = 0x10, 0x11
_PAYLOAD_TYPE_BITS = 0x3F
_HEADER = struct.Struct("<4sBBIIH")
"""RMCP header, authentication type, payload type, session id, sequence number, payload's length."""

_REQUEST = struct.Struct("<BB2xI BxxBB3x")
"""Tag, privilege, the console's session id; then of the authentication payload: type, length, algorithm."""

_REFUSAL = struct.Struct("<BB2xI")
_RAKP_NONE = 0x00
_INVALID_AUTHENTICATION_ALGORITHM = 0x04
_MOST_CLIENTS = 64


def refusal(datagram: bytes) -> bytes | None:
    """The answer to a request for a session without authentication; None for everything else."""
    if len(datagram) < _HEADER.size + _REQUEST.size:
        return None
    rmcp, kind, payload_type, *_ = _HEADER.unpack_from(datagram)
    if (rmcp, kind, payload_type & _PAYLOAD_TYPE_BITS) != (_RMCP, _RMCP_PLUS, _OPEN_SESSION_REQUEST):
        return None
    tag, _, console, _, length, algorithm = _REQUEST.unpack_from(datagram, _HEADER.size)
    # A payload of no length leaves the choice to the BMC, which chooses its strongest.
    if length == 0 or algorithm & _PAYLOAD_TYPE_BITS != _RAKP_NONE:
        return None
    body = _REFUSAL.pack(tag, _INVALID_AUTHENTICATION_ALGORITHM, console)
    return _HEADER.pack(_RMCP, _RMCP_PLUS, _OPEN_SESSION_RESPONSE, 0, 0, len(body)) + body


class Gate(asyncio.DatagramProtocol):
    """Listens where the BMC is; each client has a way of its own to ipmi_sim, which tells sessions apart by it."""

    def __init__(self, inner: Address) -> None:
        self._inner = inner
        self._outside: asyncio.DatagramTransport | None = None
        self._ways: dict[Address, asyncio.Task[asyncio.DatagramTransport]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is bound."""
        self._outside = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """From a client."""
        answer = refusal(data)
        if answer is not None:
            self.reply(answer, addr)
            return
        way = self._ways.get(addr)
        if way is None:
            if len(self._ways) >= _MOST_CLIENTS:
                _close(self._ways.pop(next(iter(self._ways))))
            way = self._ways[addr] = asyncio.create_task(self._open(addr))
        way.add_done_callback(lambda opened: opened.result().sendto(data) if not opened.cancelled() else None)

    def reply(self, data: bytes, addr: Address) -> None:
        """To a client."""
        if self._outside is not None:
            self._outside.sendto(data, addr)

    def close(self) -> None:
        """Close all sockets."""
        for way in self._ways.values():
            _close(way)
        if self._outside is not None:
            self._outside.close()

    async def _open(self, addr: Address) -> asyncio.DatagramTransport:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Way(self, addr), remote_addr=self._inner[:2])
        return transport


class _Way(asyncio.DatagramProtocol):
    def __init__(self, gate: Gate, client: Address) -> None:
        self._gate = gate
        self._client = client

    def datagram_received(self, data: bytes, addr: Address) -> None:  # noqa: ARG002  (asyncio's signature)
        self._gate.reply(data, self._client)


async def open_gate(address: str, port: int, inner: Address) -> Gate:
    """Listen at ``address``:``port`` for those who want to reach ``inner``. Raises ``BmcError``."""
    loop = asyncio.get_running_loop()
    try:
        _, gate = await loop.create_datagram_endpoint(lambda: Gate(inner), local_addr=(address, port))
    except OSError as error:
        raise BmcError("listening on", f"{address}:{port}", str(error), "Is the port taken?") from error
    return gate


def _close(way: "asyncio.Task[asyncio.DatagramTransport]") -> None:
    if way.done() and not way.cancelled() and way.exception() is None:
        way.result().close()
    else:
        way.cancel()
