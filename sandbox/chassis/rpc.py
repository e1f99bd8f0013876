"""A JSON-RPC 2.0 server on a Unix socket with SPDK's framing.

Objects follow one another without a delimiter; each reply is one compact object and a newline, in the order in which
the requests finish, not that in which they came. What is no JSON, or too long, closes the connection without a reply.
A request whose client has gone is carried out all the same.
Source: JSON-RPC 2.0; SPDK's behaviour as measured on a real target.
"""

import asyncio
import contextlib
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sandbox.chassis.errors import ChassisError, InvalidRequest

_log = logging.getLogger(__name__)

Handler = Callable[[Mapping[str, Any]], Awaitable[Any]]

REQUEST_LIMIT_BYTES = 256 * 1024
_READ_BYTES = 64 * 1024
_METHOD_NOT_FOUND = -32601
_INTERNAL_ERROR = -32603


class MalformedStream(Exception):
    """The bytes received are no JSON object, or one that is too long."""


class RequestLog:
    """Appends each request, before it takes effect, as one JSON line ``{at, id, method, params}``; at in unix ns."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def append(self, request: Mapping[str, Any]) -> None:
        """Note one request; nothing without a path."""
        if self._path is None:
            return
        line = {"at": time.time_ns(), **{key: request.get(key) for key in ("id", "method", "params")}}
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, json.dumps(line).encode() + b"\n")
        finally:
            os.close(descriptor)


def split_objects(buffer: bytearray) -> Iterator[Any]:
    """Take every complete JSON object off the front of buffer; MalformedStream on anything else."""
    while (start := _skip_space(buffer)) < len(buffer):
        if buffer[start] != ord("{"):
            raise MalformedStream(f"expected an object, found {bytes(buffer[start : start + 16])!r}")
        end = _object_end(buffer, start)
        if end is None:
            if len(buffer) > REQUEST_LIMIT_BYTES:
                raise MalformedStream(f"a request is longer than {REQUEST_LIMIT_BYTES} bytes")
            return
        text = bytes(buffer[start:end])
        del buffer[:end]
        try:
            yield json.loads(text)
        except ValueError as error:
            raise MalformedStream(str(error)) from error
    buffer.clear()


def _skip_space(buffer: bytearray) -> int:
    return len(buffer) - len(buffer.lstrip(b" \t\r\n"))


def _object_end(buffer: bytearray, start: int) -> int | None:
    """The index behind the object that begins at start, or None while it is incomplete."""
    depth, in_text, escaped = 0, False, False
    for index in range(start, len(buffer)):
        byte = buffer[index]
        if escaped:
            escaped = False
        elif in_text:
            escaped = byte == ord("\\")
            in_text = byte != ord('"')
        elif byte == ord('"'):
            in_text = True
        elif byte in b"{[":
            depth += 1
        elif byte in b"}]":
            depth -= 1
            if depth == 0:
                return index + 1
    return None


class RpcServer:
    """Serves the methods in a table on one socket; a socket file left by a killed process is replaced."""

    def __init__(self, path: Path, methods: Mapping[str, Handler], log: RequestLog) -> None:
        self._path = path
        self._methods = methods
        self._log = log
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Accept connections from now on."""
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._accept, self._path)
        self._path.chmod(0o600)

    async def stop(self) -> None:
        """Close the socket and every connection, and remove the file."""
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._path.unlink(missing_ok=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read requests until the client has no more; the connection closes when the last one is answered."""
        running: set[asyncio.Task[None]] = set()
        buffer = bytearray()
        try:
            while chunk := await reader.read(_READ_BYTES):
                buffer += chunk
                for request in split_objects(buffer):
                    task = asyncio.create_task(self._answer(request, writer))
                    running.add(task)
                    task.add_done_callback(running.discard)
            await asyncio.gather(*running)
        except (MalformedStream, OSError) as error:
            _log.debug("%s: closing a connection: %s", self._path.name, error)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, request: Mapping[str, Any], writer: asyncio.StreamWriter) -> None:
        outcome = await self._execute(request)
        if "id" not in request or writer.is_closing():
            return
        reply = {"jsonrpc": "2.0", "id": request["id"], **outcome}
        writer.write(json.dumps(reply, separators=(",", ":")).encode() + b"\n")
        with contextlib.suppress(OSError):
            await writer.drain()

    async def _execute(self, request: Mapping[str, Any]) -> dict[str, Any]:
        handler = self._methods.get(str(request.get("method")))
        if handler is None:
            return {"error": {"code": _METHOD_NOT_FOUND, "message": "Method not found"}}
        self._log.append(request)
        try:
            return {"result": await handler(_params(request))}
        except ChassisError as error:
            return {"error": {"code": error.code, "message": str(error)}}
        except Exception as error:
            _log.exception("%s: %s", self._path.name, request.get("method"))
            return {"error": {"code": _INTERNAL_ERROR, "message": f"{type(error).__name__}: {error}"}}


def _params(request: Mapping[str, Any]) -> Mapping[str, Any]:
    params = request.get("params")
    if params is None:
        return {}
    if not isinstance(params, dict):
        raise InvalidRequest("params must be an object with named parameters")
    return params
