"""A console from its opening to its end: bytes both ways, news about it, and anew when the server goes away.

Binary frames are the serial line's bytes; text frames are JSON (docs/console.md). The end is told by the close code.
"""

import json
import select
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bmctl import refusals
from bmctl.connection import ConnectionFailed, Upgraded
from bmctl.console import frames
from bmctl.console.escape import HELP, Command, Keys
from bmctl.console.frames import Close, Decoder, Message, Opcode, ProtocolError
from bmctl.console.terminal import Terminal
from bmctl.errors import BmctlError, ConflictError, ForbiddenError, UnreachableError

if TYPE_CHECKING:
    from bmctl.cluster import Cluster

SUBPROTOCOL = "v1.console.metalplane.io"

_CHUNK_BYTES = 1 << 16
_UNSENT_OF_A_PIPE_BYTES = 1 << 16
_UNSENT_OF_A_TERMINAL_BYTES = 1 << 20
_PING_EVERY_S = 20.0
_SILENT_FOR_S = 60.0
_ANEW_FOR_S = 60.0
_PAUSE_S = 0.5
_PASSING = (ConflictError, UnreachableError)
"""What a console that is opened anew may meet for a while: a server that starts, and our own session not yet gone."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which console, and how. ``linger_s``: how long to read on in silence after the input ended; None for ever."""

    path: str
    subject: str
    watch: bool = False
    takeover: bool = False
    tail_bytes: int | None = None
    linger_s: float | None = None
    greet: bool = True

    def query(self, *, again: bool) -> Iterator[tuple[str, str]]:
        """As the URL says it; what was shown before is not asked for again."""
        if self.watch:
            yield "watch", "true"
        if self.takeover:
            yield "takeover", "true"
        if again or self.tail_bytes is not None:
            yield "tailBytes", "0" if again else str(self.tail_bytes)


@dataclass(frozen=True, slots=True)
class End:
    """Why a connection ended."""

    code: int
    reason: str = ""
    ours: bool = False


def run(cluster: "Cluster", wanted: Wanted, terminal: Terminal) -> None:
    """Until the user leaves, the input ends or the console does. Raises ``BmctlError``."""
    opened = _open(cluster, wanted, again=False)
    with terminal.raw():
        while True:
            end = _Session(opened, wanted, terminal).run()
            if end.ours:
                return
            if end.code not in (Close.GOING_AWAY, Close.LOST):
                break
            terminal.say(f"bmctl: the console was lost{_because(end)}; it is opened anew")
            opened = _again(cluster, wanted)
            terminal.say("bmctl: it is open again")
    _told(wanted, end, terminal)


def _told(wanted: Wanted, end: End, terminal: Terminal) -> None:
    attempt = f"Being on the console of {wanted.subject}"
    if end.code == Close.FORBIDDEN:
        raise ForbiddenError(attempt, end.reason or "the right was taken away", "Ask an administrator for the right.")
    if end.code == Close.TRY_LATER:
        raise UnreachableError(attempt, end.reason or "the server has too much to do", "Try again in a while.")
    if end.code != Close.ENDED:
        raise BmctlError(attempt, f"it ended with code {end.code}{_because(end)}", "Try again.")
    terminal.say(f"bmctl: the console ended{_because(end)}")


def _because(end: End) -> str:
    return f" ({end.reason})" if end.reason else ""


def _open(cluster: "Cluster", wanted: Wanted, *, again: bool) -> Upgraded:
    attempt = f"Opening the console of {wanted.subject}"
    try:
        opened = cluster.connection.upgrade(wanted.path, wanted.query(again=again), SUBPROTOCOL)
    except ConnectionFailed as error:
        raise refusals.silent(attempt, cluster.server, error, changing=False) from error
    if isinstance(opened, Upgraded):
        return opened
    refused = refusals.refused(attempt, opened.status, opened.body)
    if isinstance(refused, ConflictError):
        refused.next_step = "Look on with --watch, or take it over with --takeover."
    raise refused


def _again(cluster: "Cluster", wanted: Wanted) -> Upgraded:
    deadline = time.monotonic() + _ANEW_FOR_S
    while True:
        try:
            return _open(cluster, wanted, again=True)
        except _PASSING:
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_S)


class _Session:
    """One connection."""

    def __init__(self, opened: Upgraded, wanted: Wanted, terminal: Terminal) -> None:
        self._socket = opened.socket
        self._early = opened.early
        self._wanted = wanted
        self._terminal = terminal
        self._decoder = Decoder()
        self._keys = Keys()
        self._unsent = bytearray()
        self._reading = terminal.is_read and (not wanted.watch or terminal.is_terminal)
        self._end: End | None = None
        self._heard = self._pinged = self._shown = time.monotonic()

    def run(self) -> End:
        """To the end of the connection; the socket is closed then."""
        try:
            self._took(self._early)
            self._receive()
            while self._end is None:
                self._turn()
            return self._end
        finally:
            self._socket.close()

    def _turn(self) -> None:
        inputs: list[Any] = [self._socket]
        limit = _UNSENT_OF_A_TERMINAL_BYTES if self._terminal.is_terminal else _UNSENT_OF_A_PIPE_BYTES
        if self._reading and len(self._unsent) < limit:
            inputs.append(self._terminal.input)
        readable, writable, _ = select.select(inputs, [self._socket] if self._unsent else [], [], _PAUSE_S)
        if self._terminal.input in readable:
            self._typed(self._terminal.read())
        if writable:
            self._send()
        if self._socket in readable:
            self._receive()
        self._look_at_the_clock()

    def _typed(self, data: bytes) -> None:
        if not data:
            self._reading = False
            self._shown = time.monotonic()
            return
        for part in self._keys.typed(data) if self._terminal.is_terminal else [data]:
            match part:
                case Command.LEAVE:
                    self._leave()
                case Command.BREAK:
                    self._queue(Opcode.TEXT, json.dumps({"type": "break"}).encode())
                case Command.HELP:
                    self._terminal.say(HELP)
                case bytes():
                    if not self._wanted.watch:
                        self._queue(Opcode.BINARY, part)

    def _queue(self, opcode: Opcode, payload: bytes) -> None:
        self._unsent += frames.encode(opcode, payload)

    def _leave(self) -> None:
        self._end = self._end or End(Close.ENDED, ours=True)
        self._unsent += frames.close(Close.ENDED)
        self._send()

    def _send(self) -> None:
        try:
            sent = self._socket.send(self._unsent)
            del self._unsent[:sent]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            self._end = self._end or End(Close.LOST, error.strerror or str(error))

    def _receive(self) -> None:
        """All that is there: what TLS holds already, select does not see."""
        while self._end is None:
            try:
                data = self._socket.recv(_CHUNK_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as error:
                self._end = End(Close.LOST, error.strerror or str(error))
                return
            if not data:
                self._end = End(Close.LOST)
                return
            self._took(data)

    def _took(self, data: bytes) -> None:
        self._heard = time.monotonic()
        try:
            messages = self._decoder.feed(data)
        except ProtocolError as error:
            self._end = End(Close.PROTOCOL_ERROR, f"the server sent {error}")
            return
        for message in messages:
            self._message(message)

    def _message(self, message: Message) -> None:
        match message.opcode:
            case Opcode.BINARY:
                self._shown = time.monotonic()
                self._terminal.show(message.payload)
            case Opcode.TEXT:
                self._news(message.payload)
            case Opcode.PING:
                self._queue(Opcode.PONG, message.payload)
            case Opcode.CLOSE:
                code, reason = message.close_code()
                self._unsent += frames.encode(Opcode.CLOSE, message.payload)
                self._send()
                self._end = self._end or End(code, reason)
            case _:
                pass

    def _news(self, payload: bytes) -> None:
        try:
            told = json.loads(payload)
        except ValueError:
            return
        text = news(told) if isinstance(told, dict) else ""
        if text and (self._wanted.greet or told.get("type") != "opened"):
            self._terminal.say(text)

    def _look_at_the_clock(self) -> None:
        now = time.monotonic()
        if now - self._pinged > _PING_EVERY_S:
            self._pinged = now
            self._queue(Opcode.PING, b"")
        if now - self._heard > _SILENT_FOR_S:
            self._end = self._end or End(Close.LOST, f"nothing was heard for {_SILENT_FOR_S:g} s")
        lingering = not self._reading and not self._wanted.watch and not self._unsent
        if lingering and self._wanted.linger_s is not None and now - self._shown > self._wanted.linger_s:
            self._leave()


def news(told: dict[str, Any]) -> str:
    """What a text frame means to the user; empty where it means nothing."""
    match told.get("type"):
        case "opened" if told.get("role") == "watcher":
            writer = f"; {told['writer']} writes" if told.get("writer") else ""
            return f"bmctl: you look on{writer}. {HELP}"
        case "opened":
            return f"bmctl: you are on the console. {HELP}"
        case "notice" | "role":
            return f"bmctl: {told.get('message') or 'your role is now ' + str(told.get('role'))}"
        case "lost":
            return f"bmctl: {told.get('bytes')} bytes were lost, for they came faster than they were read"
        case "closing":
            return f"bmctl: the console is about to end ({told.get('reason')})"
        case _:
            return ""
