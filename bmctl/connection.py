"""HTTP to one API server, as one user: one connection that is kept, JSON in and out, no compression.

Answers are values whatever their status; only a server that does not answer is an error here (``ConnectionFailed``).
A request that the server asks to repeat (429 or 503 with Retry-After) is repeated, as kubectl does.
"""

import base64
import hashlib
import http.client
import json
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from provider.runtime.kubeconfig import ClusterAccess

_WEBSOCKET_ID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, section 1.3."""

_RETRIES = 5
_LONGEST_PAUSE_S = 5.0
_STOPPED_READING = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)

Told = Callable[[str, str, int, float], None]
"""Called for each answer with method, path, HTTP status and seconds; never with a header."""


class ConnectionFailed(Exception):
    """The server did not answer; ``str()`` says why. ``sent``: whether it may have got the request."""

    def __init__(self, cause: str, *, sent: bool, timed_out: bool = False) -> None:
        super().__init__(cause)
        self.sent = sent
        self.timed_out = timed_out


@dataclass(frozen=True, slots=True)
class Response:
    """An answer as it came."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body. Raises ``ValueError`` where it is no JSON."""
        return json.loads(self.body)


class Connection:
    """Requests to one API server. ``timeout_s`` is for one answer; None waits for ever."""

    def __init__(self, access: ClusterAccess, *, timeout_s: float | None, agent: str, told: Told | None = None) -> None:
        parts = urlsplit(access.server)
        self._tls = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._tls else 80)
        self._prefix = parts.path.rstrip("/")
        self._access = access
        self._timeout_s = timeout_s
        self._told = told
        self._agent = agent
        self._context: ssl.SSLContext | None = None
        self._headers: list[tuple[str, str]] | None = None
        self._kept: http.client.HTTPConnection | None = None

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Iterable[tuple[str, str]] = (),
        body: Any = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Response:
        """The answer. Raises ``ConnectionFailed``,"""
        target = self.target(path, query)
        payload = None if body is None else json.dumps(body).encode()
        headers = [*self.headers(), ("Accept", accept), ("Accept-Encoding", "identity")]
        if payload is not None:
            headers.append(("Content-Type", content_type))
        for attempt in range(_RETRIES + 1):
            began = time.monotonic()
            answer, retry_after = self._exchange(method, target, headers, payload)
            self.tell(method, target, answer.status, time.monotonic() - began)
            if retry_after is None or attempt == _RETRIES:
                return answer
            time.sleep(min(retry_after, _LONGEST_PAUSE_S))
        raise AssertionError("the last attempt returns")

    def lines(self, path: str, query: Iterable[tuple[str, str]] = ()) -> "Lines":
        """A stream of lines, as a watch is, over a connection of its own. Raises ``ConnectionFailed``."""
        target = self.target(path, query)
        began = time.monotonic()
        try:
            connection = self._open()
            plug: socket.socket = connection.sock
            self._send(connection, "GET", target, [*self.headers(), ("Accept", "application/json")], None)
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise self._failed(error, sent=True) from error
        self.tell("GET", target, answer.status, time.monotonic() - began)
        return Lines(connection, plug, answer)

    def upgrade(self, path: str, query: Iterable[tuple[str, str]], subprotocol: str) -> "Upgraded | Response":
        """A websocket (RFC 6455, section 4.1), or the answer of a server that refuses it."""
        target = self.target(path, query)
        key = base64.b64encode(os.urandom(16)).decode()
        headers = [
            *self.headers(),
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", key),
            ("Sec-WebSocket-Protocol", subprotocol),
        ]
        began = time.monotonic()
        connection = self._open()
        plug: socket.socket = connection.sock
        try:
            self._send(connection, "GET", target, headers, None)
            answer = connection.getresponse()
            self.tell("GET", target, answer.status, time.monotonic() - began)
            if answer.status != http.client.SWITCHING_PROTOCOLS:
                return Response(answer.status, answer.read())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._failed(error, sent=True) from error
        accepted = base64.b64encode(hashlib.sha1(key.encode() + _WEBSOCKET_ID, usedforsecurity=False).digest())
        if answer.getheader("Sec-WebSocket-Accept", "").encode() != accepted:
            connection.close()
            raise ConnectionFailed("it answered a websocket with something else", sent=True)
        plug.setblocking(False)
        return Upgraded(plug, _read_already(answer), connection)

    def headers(self) -> list[tuple[str, str]]:
        """Who we are, and who we want to be taken for. Asks for credentials once."""
        if self._headers is None:
            credentials = self._access.credentials()
            self._headers = [("User-Agent", self._agent), *self._access.impersonation.headers()]
            if credentials.token:
                self._headers.append(("Authorization", f"Bearer {credentials.token}"))
            if self._tls:
                self._context = self._access.ssl_context(credentials)
        return self._headers

    def target(self, path: str, query: Iterable[tuple[str, str]] = ()) -> str:
        """What stands in the request line."""
        encoded = urlencode(list(query))
        return f"{self._prefix}{path}" + (f"?{encoded}" if encoded else "")

    def tell(self, method: str, target: str, status: int, seconds: float) -> None:
        """Tell whoever wants to know that there was an answer."""
        if self._told is not None:
            self._told(method, target, status, seconds)

    def close(self) -> None:
        """Let the kept connection go."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _exchange(
        self, method: str, target: str, headers: list[tuple[str, str]], payload: bytes | None
    ) -> tuple[Response, float | None]:
        reused = self._kept is not None
        connection = self._kept or self._open()
        self._kept = connection
        try:
            self._send(connection, method, target, headers, payload)
            answer = connection.getresponse()
            response = Response(answer.status, answer.read())
        except (OSError, http.client.HTTPException) as error:
            self.close()
            # A kept connection may have been closed while we did something else. What changes is not sent twice.
            if reused and method == "GET" and isinstance(error, _STOPPED_READING):
                return self._exchange(method, target, headers, payload)
            raise self._failed(error, sent=True) from error
        if answer.will_close:
            self.close()
        pause = answer.getheader("Retry-After") if answer.status in (429, 503) else None
        return response, float(pause) if pause and pause.isdecimal() else None

    def _open(self) -> http.client.HTTPConnection:
        self.headers()
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        try:
            connection.connect()
            if self._context is not None:
                name = self._access.server_name or self._host
                connection.sock = self._context.wrap_socket(connection.sock, server_hostname=name)
        except OSError as error:
            connection.close()
            raise self._failed(error, sent=False) from error
        return connection

    @staticmethod
    def _send(
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        headers: list[tuple[str, str]],
        payload: bytes | None,
    ) -> None:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if payload is not None or method in ("POST", "PUT", "PATCH"):
            connection.putheader("Content-Length", str(len(payload or b"")))
        connection.endheaders(payload)

    def _failed(self, error: Exception, *, sent: bool) -> ConnectionFailed:
        if isinstance(error, TimeoutError):
            return ConnectionFailed(f"no answer within {self._timeout_s:g} s", sent=sent, timed_out=True)
        if isinstance(error, ssl.SSLCertVerificationError):
            return ConnectionFailed(f"its certificate is not trusted: {error.verify_message}", sent=sent)
        if isinstance(error, http.client.RemoteDisconnected):
            return ConnectionFailed("it closed the connection without an answer", sent=sent)
        if isinstance(error, OSError):
            return ConnectionFailed(error.strerror or str(error), sent=sent)
        return ConnectionFailed(f"it does not speak HTTP ({type(error).__name__})", sent=sent)


@dataclass(frozen=True, slots=True)
class Upgraded:
    """A websocket's socket, which does not block, and what came on it with the answer; ``connection`` keeps it open."""

    socket: "ssl.SSLSocket | socket.socket"
    early: bytes
    connection: http.client.HTTPConnection


def _read_already(answer: http.client.HTTPResponse) -> bytes:
    """What the answer's buffer holds beyond the answer. The socket does not block, so nothing is waited for."""
    try:
        buffered: bytes = answer.fp.peek()
    except (BlockingIOError, ssl.SSLWantReadError):
        return b""
    return buffered


class Lines:
    """A stream of lines: ``status`` tells whether it is one. Another thread may ``end`` it."""

    def __init__(
        self, connection: http.client.HTTPConnection, plug: socket.socket, answer: http.client.HTTPResponse
    ) -> None:
        self._connection = connection
        self._answer = answer
        self._socket = plug
        self.status = answer.status
        # A watch is silent for as long as nothing happens.
        plug.settimeout(None)

    def read(self) -> bytes:
        """All of an answer that is no stream."""
        return self._answer.read()

    def __iter__(self) -> Iterator[bytes]:
        # However it ends, by the server's doing or by ours: who follows begins anew.
        with suppress(OSError, http.client.HTTPException):
            while line := self._answer.readline():
                yield line
        self._connection.close()

    def end(self) -> None:
        """End it from another thread: its reader sees the end, and closes."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
