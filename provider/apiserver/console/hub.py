"""One console, shared: one writer, many watchers. Nobody waits for a reader, and a reader costs nothing but its place.

A reader has a position in the history. Who falls behind its start loses the oldest bytes, and is told how many. News
stand between the bytes where they came up; of those, too, a slow reader loses the oldest.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from provider.apiserver.console.errors import ConsoleEnded, WriterPresent
from provider.apiserver.console.frames import Data, Ended, Frame, Lost, Notice, Opened, Role, RoleChanged
from provider.apiserver.console.history import History
from provider.bmc.console import SerialSession
from provider.bmc.errors import BMCError

_MOST_BYTES = 16 * 1024
_MOST_NEWS = 32
_PIECE_BYTES = 1024
"""A writer that is taken over stops after at most so many bytes."""


@dataclass(eq=False)
class Reader:
    """One client. ``next`` is its stream."""

    hub: "Hub"
    user: str
    role: Role
    position: int
    _news: deque[tuple[int, Frame]] = field(default_factory=lambda: deque(maxlen=_MOST_NEWS))
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, frame: Frame) -> None:
        """Put news after what was printed so far."""
        self._news.append((self.hub.history.end, frame))
        self._changed.set()

    def wake(self) -> None:
        """There is something new."""
        self._changed.set()

    async def next(self) -> Frame:
        """The next frame; ``Ended`` is the last, and comes again."""
        while (frame := self._take()) is None:
            self._changed.clear()
            await self._changed.wait()
        return frame

    def _take(self) -> Frame | None:
        history, ended = self.hub.history, self.hub.ended
        if ended is not None:
            return ended
        if self._news and self._news[0][0] <= self.position:
            return self._news.popleft()[1]
        if self.position < history.start:
            lost, self.position = history.start - self.position, history.start
            return Lost(lost)
        until = self._news[0][0] if self._news else history.end
        data = history.read(self.position, min(until - self.position, _MOST_BYTES))
        self.position += len(data)
        return Data(data) if data else None


class Hub:
    """The console of one server under one claim."""

    def __init__(self, server: str) -> None:
        self.history = History()
        self.ended: Ended | None = None
        self._server = server
        self._readers: set[Reader] = set()
        self._writer: Reader | None = None
        self._writing = asyncio.Lock()
        self._line: SerialSession | None = None
        self._line_is_up = asyncio.Event()
        self._waits_because = ""

    @property
    def readers(self) -> int:
        """How many look."""
        return len(self._readers)

    # ---- the clients' side

    def attach(self, user: str, *, watch: bool, takeover: bool, tail_bytes: int | None) -> Reader:
        """A new reader, which begins with the last ``tail_bytes`` (None: all). Raises WriterPresent, ConsoleEnded."""
        if self.ended is not None:
            raise ConsoleEnded(self._server)
        if not watch and self._writer is not None:
            if not takeover:
                raise WriterPresent(self._server, self._writer.user)
            self._dethrone(self._writer, user)
        role = Role.WATCHER if watch else Role.WRITER
        reader = Reader(self, user, role, self.history.tail(tail_bytes))
        if role is Role.WRITER:
            self._writer = reader
        # Before anything else, at whatever position it begins.
        reader._news.append((reader.position, Opened(role, self._writer.user if self._writer else None)))
        if self._waits_because:
            reader.tell(Notice(self._waits_because))
        self._readers.add(reader)
        return reader

    def detach(self, reader: Reader) -> None:
        """A client has left."""
        self._readers.discard(reader)
        if self._writer is reader:
            self._writer = None

    async def write(self, reader: Reader, data: bytes) -> None:
        """Send what a client typed, as fast as the BMC takes it.

        While there is no session it waits for one, unless there is none to come: then what was typed is dropped, and
        the client is told. So it is with what a watcher types.
        """
        pieces = (data[start : start + _PIECE_BYTES] for start in range(0, len(data), _PIECE_BYTES))
        async with self._writing:
            for piece in pieces:
                line = await self._line_for(reader)
                if line is None:
                    return
                try:
                    await line.write(piece)
                except BMCError as error:
                    reader.tell(Notice(f"what was typed last may be lost: {error}"))
                    return

    async def send_break(self, reader: Reader) -> None:
        """Send a serial break, where that is possible now."""
        async with self._writing:
            line = await self._line_for(reader)
            if line is None:
                return
            try:
                await line.send_break()
            except BMCError as error:
                reader.tell(Notice(f"the break may be lost: {error}"))

    # ---- the keeper's side

    def printed(self, data: bytes) -> None:
        """The server printed something."""
        self.history.append(data)
        self._wake()

    def notice(self, message: str) -> None:
        """Tell everybody."""
        self._tell(Notice(message))

    def lost(self, lost_bytes: int) -> None:
        """So many bytes are missing here."""
        self._tell(Lost(lost_bytes))

    def connected(self, line: SerialSession) -> None:
        """There is a session at the BMC."""
        if self._waits_because:
            self.notice("the console is connected")
        self._line, self._waits_because = line, ""
        self._line_is_up.set()

    def disconnected(self, because: str, *, comes_back: bool) -> None:
        """There is none; whether writers should wait for the next. Everybody is told once of each cause."""
        self._line = None
        if comes_back:
            self._line_is_up.clear()
        else:
            self._line_is_up.set()
        if because != self._waits_because:
            self._waits_because = because
            self.notice(because)

    def end(self, code: int, reason: str) -> None:
        """Close it for everybody, and drop what was printed."""
        if self.ended is None:
            self.ended = Ended(code, reason)
            self.history = History()
            self._line = None
            self._line_is_up.set()
            self._wake()

    # ---- how it is done

    async def _line_for(self, reader: Reader) -> SerialSession | None:
        """The session for what ``reader`` typed; None where it goes nowhere."""
        await self._line_is_up.wait()
        if self.ended is not None:
            return None
        if reader is not self._writer:
            reader.tell(Notice("you only watch: what you type goes nowhere (takeover=true makes you the writer)"))
            return None
        if self._line is None:
            reader.tell(Notice(f"what was typed is dropped: {self._waits_because}"))
        return self._line

    def _dethrone(self, writer: Reader, successor: str) -> None:
        writer.role = Role.WATCHER
        writer.tell(RoleChanged(Role.WATCHER, f"{successor} has taken over; you watch"))

    def _tell(self, frame: Frame, readers: Iterable[Reader] | None = None) -> None:
        for reader in self._readers if readers is None else readers:
            reader.tell(frame)

    def _wake(self) -> None:
        for reader in self._readers:
            reader.wake()
