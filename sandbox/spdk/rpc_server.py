"""SPDK's JSON-RPC server: connections on a Unix socket and the poll that moves them.

A real target polls its RPC socket every 4 ms: a poll first sends the replies that are ready, then reads and executes,
so a reply is two polls away from its request. Here nothing spins: an event asks for the next poll, which falls on
the same 4 ms grid. `poll_interval_s` 0 serves at once.

Measured on a real target: 64 connections, more wait in silence; a request that does not fit into 256 KiB resets the
connection; bytes that cannot become JSON close it without a reply, and replies not yet sent are lost; a complete
request whose client has gone is executed all the same; replies come as they are ready, not in order.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from sandbox.spdk import json_stream
from sandbox.spdk.dispatch import INTERNAL_ERROR, INVALID_REQUEST, Json, MethodTable, RpcError

POLL_INTERVAL_S = 0.004
MAX_CONNECTIONS = 64
MAX_REQUEST_BYTES = 256 * 1024
_ABSENT: Any = object()


class RequestLog:
    """Each executed request as one JSON line, written before its effect: what a trace is checked against."""

    def __init__(self, path: Path | None) -> None:
        self._file = (
            None if path is None else os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        )

    def append(self, request_id: Json, method: str, params: Json) -> None:
        if self._file is not None:
            line = {"at": time.time_ns(), "id": request_id, "method": method, "params": params}
            os.write(self._file, json.dumps(line, separators=(",", ":")).encode() + b"\n")


class RpcServer:
    """Listens on `listener` (bound, non-blocking) and answers from `methods` until `close`."""

    def __init__(
        self, listener: socket.socket, methods: MethodTable, *, poll_interval_s: float, request_log: RequestLog
    ) -> None:
        self._listener = listener
        self._methods = methods
        self._poll_interval_s = poll_interval_s
        self._request_log = request_log
        self._loop = asyncio.get_running_loop()
        self._epoch = self._loop.time()
        self._connections: set[_Connection] = set()
        self._due: set[_Connection] = set()
        self._scheduled = False
        self._requests: set[asyncio.Task[None]] = set()
        self._loop.add_reader(listener, self._accept)

    def close(self) -> None:
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for connection in list(self._connections):
            connection.close()
        for request in self._requests:
            request.cancel()

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        client.setblocking(False)
        self._connections.add(_Connection(client, self))
        if len(self._connections) == MAX_CONNECTIONS:
            self._loop.remove_reader(self._listener)

    def forget(self, connection: _Connection) -> None:
        if len(self._connections) == MAX_CONNECTIONS and self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._accept)
        self._connections.discard(connection)
        self._due.discard(connection)

    def poll_soon(self, connection: _Connection) -> None:
        """Take the connection into the next poll."""
        self._due.add(connection)
        if self._scheduled:
            return
        self._scheduled = True
        if self._poll_interval_s == 0:
            self._loop.call_soon(self._poll)
            return
        ticks = (self._loop.time() - self._epoch) // self._poll_interval_s + 1
        self._loop.call_at(self._epoch + ticks * self._poll_interval_s, self._poll)

    def _poll(self) -> None:
        self._scheduled = False
        due, self._due = self._due, set()
        for connection in due:
            connection.poll()

    def start(self, request: Coroutine[Any, Any, None]) -> None:
        """Requests of one poll start in their order; whichever waits for something is overtaken."""
        task = asyncio.create_task(request)
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)

    async def execute(self, request: Json) -> str | None:
        """One request object to the text of its reply; None for a notification that succeeded."""
        request_id = _ABSENT
        try:
            request_id, method, params = _parse(request)
            self._request_log.append(None if request_id is _ABSENT else request_id, method, params)
            result = await self._methods.call(method, params)
        except RpcError as error:
            body = json.dumps({"code": error.code, "message": error.message}, separators=(",", ":"))
            return _reply(None if request_id is _ABSENT else request_id, "error", body)
        except Exception as error:  # a defect of the stand-in must not look like silence
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"request {request!r} failed in the stand-in", "exception": error}
            )
            body = json.dumps({"code": INTERNAL_ERROR, "message": f"stand-in: {type(error).__name__}: {error}"})
            return _reply(None if request_id is _ABSENT else request_id, "error", body)
        return None if request_id is _ABSENT else _reply(request_id, "result", json_stream.encode(result))


def _parse(request: Json) -> tuple[Json, str, Json]:
    invalid = RpcError(INVALID_REQUEST, "Invalid request")
    if not isinstance(request, dict) or not request.keys() <= {"jsonrpc", "method", "params", "id"}:
        raise invalid
    method, params = request.get("method"), request.get("params")
    request_id = request.get("id", _ABSENT)
    if request.get("jsonrpc") != "2.0" or not isinstance(method, str):
        raise invalid
    if not (params is None or isinstance(params, dict | list)):
        raise invalid
    if isinstance(request_id, bool | dict | list):
        raise invalid
    return request_id, method, params


def _reply(request_id: Json, member: str, body: str) -> str:
    return f'{{"jsonrpc":"2.0","id":{json_stream.encode(request_id)},"{member}":{body}}}'


class _Connection:
    """One client: bytes in, requests started, replies queued, bytes out at the next poll."""

    def __init__(self, client: socket.socket, server: RpcServer) -> None:
        self._socket = client
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._unsent = bytearray()
        self._open = True
        self._loop.add_reader(client, self._readable)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()
            self._server.forget(self)

    def poll(self) -> None:
        """Send what is ready, then read and execute."""
        if self._open:
            self._send()
        if self._open:
            self._receive()

    def _readable(self) -> None:
        self._loop.remove_reader(self._socket)
        self._server.poll_soon(self)

    def _send(self) -> None:
        self._loop.remove_writer(self._socket)
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent)
            except BlockingIOError:
                self._loop.add_writer(self._socket, self._server.poll_soon, self)
                return
            except OSError:
                self.close()
                return
            del self._unsent[:sent]

    def _receive(self) -> None:
        try:
            data = self._socket.recv(MAX_REQUEST_BYTES - len(self._received))
        except BlockingIOError:
            self._loop.add_reader(self._socket, self._readable)
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._received += data
        try:
            self._execute_complete()
        except json_stream.MalformedError:
            self.close()
            return
        if len(self._received) == MAX_REQUEST_BYTES:
            self.close()
        else:
            self._loop.add_reader(self._socket, self._readable)

    def _execute_complete(self) -> None:
        while (split := json_stream.split_value(self._received)) is not None:
            value, end = split
            del self._received[:end]
            decoded = json_stream.decode(value)
            batch = isinstance(decoded, list) and decoded
            self._server.start(self._answer_batch(decoded) if batch else self._answer(decoded))

    async def _answer(self, request: Json) -> None:
        self._queue(await self._server.execute(request))

    async def _answer_batch(self, requests: list[Json]) -> None:
        replies = await asyncio.gather(*(self._server.execute(request) for request in requests))
        answered = [reply for reply in replies if reply is not None]
        self._queue(f"[{','.join(answered)}]" if answered else None)

    def _queue(self, reply: str | None) -> None:
        if reply is not None and self._open:
            self._unsent += reply.encode() + b"\n"
            self._server.poll_soon(self)
