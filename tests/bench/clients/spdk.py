"""Four ways of asking an SPDK target over its Unix socket. What is in flight together is sent together, by each one.

    Native   our client, awaited from Python: ``asyncio.gather`` of as many calls
    PyPI     the client of PyPI's package ``spdk``: its requests added, flushed once, received one by one
    Plain    a blocking socket and ``json``, and no more than that
    Raw      the bytes of the same requests and replies, unread: what socket and server cost

A load is a method without parameters; TARGETS names the socket for each.
"""

import asyncio
import json
import socket
import time
from collections.abc import Mapping
from typing import Any

from spdk.rpc.client import JSONRPCClient

from dpu_handler.southbound import SpdkClient

METHODS: Mapping[str, str] = {"small": "spdk_get_version", "large": "bdev_get_bdevs"}

_READ_BYTES = 256 * 1024


class Native:
    """One connection for all, as an agent has."""

    def __init__(self, sockets: Mapping[str, str]) -> None:
        self._clients = {load: SpdkClient(path) for load, path in sockets.items()}
        self._runner = asyncio.Runner()

    def answer(self, load: str) -> Any:
        return self._runner.run(self._answer(load))

    def run(self, load: str, in_flight: int, seconds: float) -> int:
        return self._runner.run(self._ask(self._clients[load], METHODS[load], in_flight, seconds))

    async def _answer(self, load: str) -> Any:
        return await self._clients[load].call(METHODS[load])

    @staticmethod
    async def _ask(client: SpdkClient, method: str, in_flight: int, seconds: float) -> int:
        done, until = 0, time.perf_counter() + seconds
        while time.perf_counter() < until:
            if in_flight == 1:
                await client.call(method)
            else:
                await asyncio.gather(*(client.call(method) for _ in range(in_flight)))
            done += in_flight
        return done


class PyPI:
    """As its command line tools use it; several at once by the calls that it has for that."""

    def __init__(self, sockets: Mapping[str, str]) -> None:
        self._clients = {load: JSONRPCClient(path) for load, path in sockets.items()}

    def answer(self, load: str) -> Any:
        return self._clients[load].call(METHODS[load])

    def run(self, load: str, in_flight: int, seconds: float) -> int:
        client, method = self._clients[load], METHODS[load]
        done, until = 0, time.perf_counter() + seconds
        while time.perf_counter() < until:
            if in_flight == 1:
                client.call(method)
            else:
                self._call_together(client, method, in_flight)
            done += in_flight
        return done

    @staticmethod
    def _call_together(client: JSONRPCClient, method: str, count: int) -> None:
        wanted = {client.add_request(method, {}) for _ in range(count)}
        client.flush()
        for _ in range(count):
            wanted.remove(client.recv()["id"])


class Plain:
    """The least that a Python program can do and still read its answers."""

    def __init__(self, sockets: Mapping[str, str]) -> None:
        self._wires = {load: _connect(path) for load, path in sockets.items()}
        self._next_id = 1

    def answer(self, load: str) -> Any:
        (result,) = self._call(self._wires[load], METHODS[load], 1)
        return result

    def run(self, load: str, in_flight: int, seconds: float) -> int:
        wire, method = self._wires[load], METHODS[load]
        done, until = 0, time.perf_counter() + seconds
        while time.perf_counter() < until:
            done += len(self._call(wire, method, in_flight))
        return done

    def _call(self, wire: socket.socket, method: str, count: int) -> list[Any]:
        ids = range(self._next_id, self._next_id + count)
        self._next_id += count
        wire.sendall("".join(json.dumps({"jsonrpc": "2.0", "id": id_, "method": method}) for id_ in ids).encode())
        replies = {reply["id"]: reply["result"] for reply in map(json.loads, _lines(wire, count).splitlines())}
        return [replies[id_] for id_ in ids]


class Raw:
    """The limit: nothing is encoded, nothing is read of what comes but its line ends."""

    def __init__(self, sockets: Mapping[str, str]) -> None:
        self._wires = {load: _connect(path) for load, path in sockets.items()}

    def answer(self, load: str) -> Any:
        wire = self._wires[load]
        wire.sendall(_requests(METHODS[load], 1))
        return json.loads(_lines(wire, 1))["result"]

    def run(self, load: str, in_flight: int, seconds: float) -> int:
        wire, requests = self._wires[load], _requests(METHODS[load], in_flight)
        done, until = 0, time.perf_counter() + seconds
        while time.perf_counter() < until:
            wire.sendall(requests)
            missing = in_flight
            while missing:
                missing -= _received(wire).count(b"\n")
            done += in_flight
        return done


def _connect(path: str) -> socket.socket:
    wire = socket.socket(socket.AF_UNIX)
    wire.connect(path)
    return wire


def _requests(method: str, count: int) -> bytes:
    return "".join(f'{{"jsonrpc":"2.0","id":{id_},"method":"{method}"}}' for id_ in range(count)).encode()


def _lines(wire: socket.socket, count: int) -> bytes:
    """So many replies; a target ends each with a line feed, and writes none within."""
    received = bytearray()
    while count:
        piece = _received(wire)
        received += piece
        count -= piece.count(b"\n")
    return bytes(received)


def _received(wire: socket.socket) -> bytes:
    if piece := wire.recv(_READ_BYTES):
        return piece
    raise ConnectionError("the server closed the connection")
