"""The last of what a console printed. A position counts every byte from the first on, kept or not."""

LIMIT_BYTES = 1024 * 1024
_BLOCK_BYTES = 16 * 1024


class History:
    """Bytes in blocks: of an empty one there is nothing, of a full one at most a block more than the limit."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._blocks: dict[int, bytearray] = {}
        self._end = 0

    @property
    def end(self) -> int:
        """Position after the newest byte."""
        return self._end

    @property
    def start(self) -> int:
        """Position of the oldest byte that is kept."""
        return max(0, self._end - self._limit_bytes)

    def tail(self, most_bytes: int | None) -> int:
        """Position of the last so many bytes; None is all that are kept."""
        return self.start if most_bytes is None else max(self.start, self._end - most_bytes)

    def append(self, data: bytes) -> None:
        """Add what was printed."""
        rest = memoryview(data)
        while rest:
            number, offset = divmod(self._end, _BLOCK_BYTES)
            piece = rest[: _BLOCK_BYTES - offset]
            self._blocks.setdefault(number, bytearray()).extend(piece)
            self._end += len(piece)
            rest = rest[len(piece) :]
        oldest = self.start // _BLOCK_BYTES
        while self._blocks and (first := next(iter(self._blocks))) < oldest:
            del self._blocks[first]

    def read(self, position: int, most_bytes: int) -> bytes:
        """Bytes from ``position`` on, which must be kept still: some where there are any, not always as many."""
        number, offset = divmod(position, _BLOCK_BYTES)
        block = self._blocks.get(number, b"")
        return bytes(block[offset : offset + most_bytes])

    def all_from(self, position: int) -> bytes:
        """Everything from ``position`` on."""
        pieces = []
        while piece := self.read(position, _BLOCK_BYTES):
            pieces.append(piece)
            position += len(piece)
        return b"".join(pieces)
