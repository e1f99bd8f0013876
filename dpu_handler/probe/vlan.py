"""The agent's own port in one VLAN: an internal port of the bridge, and a packet socket on it."""

import asyncio
import fcntl
import socket
import struct
from collections.abc import Callable

from dpu_handler.execution import ports
from dpu_handler.execution.dpu import Dpu
from dpu_handler.probe.arp import ETHERTYPE_ARP, Announcement, parse, probe

# Linux, <linux/sockios.h> and <linux/if.h>.
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1
_IFREQ = struct.Struct("16sH22x")
_FRAME_LIMIT = 2048


def port_name(vlan: int) -> str:
    """Name of the port: 12 characters at most, and a network device has 15."""
    return f"mp-probe-{vlan}"


class ProbePort:
    """Opened at need, closed and removed when no machine of the VLAN is watched any more."""

    def __init__(self, dpu: Dpu, vlan: int, heard: Callable[[Announcement], None]) -> None:
        self._dpu = dpu
        self._name = port_name(vlan)
        self._vlan = vlan
        self._heard = heard
        self._socket: socket.socket | None = None
        self._mac = ""

    async def ask(self, address: str) -> None:
        """Send one probe. Raises ``OSError`` and ``SouthboundError``; the next call starts over."""
        try:
            sock = self._socket or await self._open()
            await asyncio.get_running_loop().sock_sendall(sock, probe(self._mac, address))
        except OSError:
            self._close()
            raise

    async def remove(self) -> None:
        """Close the socket and take the port off the bridge."""
        self._close()
        await ports.remove(self._dpu, self._name)

    async def _open(self) -> socket.socket:
        if self._name not in {row["name"] for row in (await self._dpu.ovsdb.rows("Port")).values()}:
            await ports.put(self._dpu, self._name, self._vlan, {"name": self._name, "type": "internal"})
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE_ARP))
        try:
            _bring_up(sock, self._name)
            sock.bind((self._name, ETHERTYPE_ARP))
        except OSError:
            sock.close()
            raise
        sock.setblocking(False)
        # From the socket, not from /sys, which may show another network namespace than the process is in.
        self._mac = sock.getsockname()[4].hex(":")
        asyncio.get_running_loop().add_reader(sock, self._read, sock)
        self._socket = sock
        return sock

    def _read(self, sock: socket.socket) -> None:
        try:
            frame = sock.recv(_FRAME_LIMIT)
        except BlockingIOError:
            return
        except OSError:
            self._close()
            return
        announcement = parse(frame)
        if announcement is not None:
            self._heard(announcement)

    def _close(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None


def _bring_up(sock: socket.socket, name: str) -> None:
    """Set IFF_UP: netdevice(7)."""
    request = _IFREQ.pack(name.encode(), 0)
    _, flags = _IFREQ.unpack(fcntl.ioctl(sock, _SIOCGIFFLAGS, request))
    fcntl.ioctl(sock, _SIOCSIFFLAGS, _IFREQ.pack(name.encode(), flags | _IFF_UP))
