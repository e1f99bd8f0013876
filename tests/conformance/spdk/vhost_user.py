"""A server's end of a vhost-user-blk disk, as bytes on a socket: what the guest's driver would see of it.

Source: QEMU docs/interop/vhost-user.rst; VIRTIO 1.2, "Split Virtqueues" and "Block Device".
"""

import array
import mmap
import os
import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.waiting import wait_for

SECTOR_BYTES = 512
OK, IO_ERROR = 0, 1
_GET_FEATURES, _SET_FEATURES, _SET_OWNER, _SET_MEM_TABLE = 1, 2, 3, 5
_SET_VRING_NUM, _SET_VRING_ADDR, _SET_VRING_BASE, _SET_VRING_KICK, _SET_VRING_CALL = 8, 9, 10, 12, 13
_GET_PROTOCOL_FEATURES, _SET_PROTOCOL_FEATURES, _SET_VRING_ENABLE = 15, 16, 18
_SET_BACKEND_REQ_FD, _GET_CONFIG = 21, 24
_CONFIG_CHANGE_MSG = 2
_VERSION_1, _PROTOCOL_FEATURES, _FLUSH = 1 << 32, 1 << 30, 1 << 9
_BACKEND_REQ, _CONFIG = 1 << 5, 1 << 9
_HEADER = struct.Struct("<III")
_IN, _OUT = 0, 1
_NEXT, _WRITE = 1, 2
_TIMEOUT_S = 20.0

_CONFIG_BYTES = 60
_GUEST_BASE, _USER_BASE = 1 << 30, 1 << 40
_MEMORY_BYTES = 4 << 20
_ENTRIES = 64
_DESCRIPTORS, _AVAILABLE, _USED, _SLOTS = 0x0, 0x1000, 0x2000, 0x10000
_SLOT_BYTES, _DATA, _STATUS = 0x4000, 0x1000, 0x200
DATA_BYTES = 4096
IN_FLIGHT_AT_MOST = _ENTRIES // 3
_UNKNOWN = 0xFF


class VhostUserDisk:
    """A connected disk with one queue. Requests are of ``DATA_BYTES`` each, and are named by their slots."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_TIMEOUT_S)
        self._socket.connect(str(path))
        self._events, theirs = socket.socketpair()
        self._events.setblocking(False)
        descriptor = os.memfd_create("server")
        os.ftruncate(descriptor, _MEMORY_BYTES)
        self._memory = mmap.mmap(descriptor, _MEMORY_BYTES)
        self._kick, self._call = os.eventfd(0), os.eventfd(0, os.EFD_NONBLOCK)
        self._free = list(range(IN_FLIGHT_AT_MOST))
        self._submitted = 0
        with theirs:
            self._negotiate(theirs.fileno())
        self._start(descriptor)
        os.close(descriptor)

    def __enter__(self) -> "VhostUserDisk":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._events.close()
        self._memory.close()
        os.close(self._kick)
        os.close(self._call)

    def size_bytes(self) -> int:
        """What the disk's configuration says now."""
        asked = struct.pack("<III", 0, _CONFIG_BYTES, 0) + bytes(_CONFIG_BYTES)
        sectors: int = struct.unpack_from("<Q", self._ask(_GET_CONFIG, asked), 12)[0]
        return sectors * SECTOR_BYTES

    def told_of_change(self) -> bool:
        """Whether the target has said, since this was asked last, that the configuration is another."""
        try:
            message = self._events.recv(4096)
        except BlockingIOError:
            return False
        request, _, size = _HEADER.unpack_from(message)
        assert (request, size) == (_CONFIG_CHANGE_MSG, 0)
        return True

    def write(self, offset: int, data: bytes) -> int:
        """Ask for ``data`` to be written; the request's slot."""
        assert len(data) == DATA_BYTES
        slot = self._free.pop()
        self._put(self._slot(slot) + _DATA, data)
        self._submit(slot, _OUT, offset)
        return slot

    def read(self, offset: int) -> int:
        slot = self._free.pop()
        self._submit(slot, _IN, offset)
        return slot

    def status(self, slot: int) -> int | None:
        """How a request ended; None while it is under way."""
        status = self._memory[self._slot(slot) + _STATUS]
        if status == _UNKNOWN:
            return None
        return status

    def take(self, slot: int) -> bytes:
        """The data of a request that has ended; its slot is free again."""
        self._free.append(slot)
        start = self._slot(slot) + _DATA
        return self._memory[start : start + DATA_BYTES]

    def ended(self, slot: int, timeout_s: float = _TIMEOUT_S) -> int:
        """The status of a request once it has one."""
        wait_for(lambda: self.status(slot) is not None, f"request {slot} ends", timeout_s)
        status = self.status(slot)
        assert status is not None
        return status

    def write_now(self, offset: int, data: bytes) -> int:
        slot = self.write(offset, data)
        status = self.ended(slot)
        self.take(slot)
        return status

    def read_now(self, offset: int) -> tuple[int, bytes]:
        slot = self.read(offset)
        return self.ended(slot), self.take(slot)

    # ---- the queue

    def _slot(self, slot: int) -> int:
        return _SLOTS + slot * _SLOT_BYTES

    def _put(self, at: int, data: bytes) -> None:
        self._memory[at : at + len(data)] = data

    def _submit(self, slot: int, kind: int, offset: int) -> None:
        base, first = self._slot(slot), slot * 3
        self._put(base, struct.pack("<IIQ", kind, 0, offset // SECTOR_BYTES))
        self._put(base + _STATUS, bytes([_UNKNOWN]))
        data_flags = _NEXT | (_WRITE if kind == _IN else 0)
        chain = ((base, 16, _NEXT), (base + _DATA, DATA_BYTES, data_flags), (base + _STATUS, 1, _WRITE))
        for number, (at, length, flags) in enumerate(chain, first):
            entry = struct.pack("<QIHH", _GUEST_BASE + at, length, flags, number + 1 if flags & _NEXT else 0)
            self._put(_DESCRIPTORS + number * 16, entry)
        self._put(_AVAILABLE + 4 + self._submitted % _ENTRIES * 2, struct.pack("<H", first))
        self._submitted += 1
        self._put(_AVAILABLE + 2, struct.pack("<H", self._submitted & 0xFFFF))
        os.eventfd_write(self._kick, 1)

    # ---- the protocol

    def _negotiate(self, events: int) -> None:
        self._send(_SET_OWNER)
        offered = self._ask_number(_GET_FEATURES)
        if missing := (_VERSION_1 | _PROTOCOL_FEATURES) & ~offered:
            raise AssertionError(f"the disk lacks features {missing:#x}")
        wanted = _BACKEND_REQ | _CONFIG
        if missing := wanted & ~self._ask_number(_GET_PROTOCOL_FEATURES):
            raise AssertionError(f"the disk lacks protocol features {missing:#x}")
        self._send(_SET_PROTOCOL_FEATURES, struct.pack("<Q", wanted))
        self._send(_SET_BACKEND_REQ_FD, descriptors=[events])
        self._send(_SET_FEATURES, struct.pack("<Q", offered & (_VERSION_1 | _PROTOCOL_FEATURES | _FLUSH)))

    def _start(self, memory: int) -> None:
        region = struct.pack("<QQQQ", _GUEST_BASE, _MEMORY_BYTES, _USER_BASE, 0)
        self._send(_SET_MEM_TABLE, struct.pack("<II", 1, 0) + region, [memory])
        self._send(_SET_VRING_NUM, struct.pack("<II", 0, _ENTRIES))
        self._send(_SET_VRING_BASE, struct.pack("<II", 0, 0))
        rings = (_USER_BASE + at for at in (_DESCRIPTORS, _USED, _AVAILABLE))
        self._send(_SET_VRING_ADDR, struct.pack("<IIQQQQ", 0, 0, *rings, 0))
        self._send(_SET_VRING_CALL, struct.pack("<Q", 0), [self._call])
        self._send(_SET_VRING_KICK, struct.pack("<Q", 0), [self._kick])
        self._send(_SET_VRING_ENABLE, struct.pack("<II", 0, 1))

    def _send(self, request: int, payload: bytes = b"", descriptors: Sequence[int] = ()) -> None:
        rights: list[Any] = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        self._socket.sendmsg([_HEADER.pack(request, 1, len(payload)) + payload], rights if descriptors else [])

    def _ask(self, request: int, payload: bytes = b"") -> bytes:
        self._send(request, payload)
        answered, _, size = _HEADER.unpack(self._received(_HEADER.size))
        assert answered == request
        return self._received(size)

    def _ask_number(self, request: int) -> int:
        number: int = struct.unpack("<Q", self._ask(request))[0]
        return number

    def _received(self, size: int) -> bytes:
        received = b""
        while len(received) < size:
            more = self._socket.recv(size - len(received))
            if not more:
                raise ConnectionResetError("the disk closed the connection")
            received += more
        return received
