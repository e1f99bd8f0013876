"""One JSON value after another out of a byte stream, with the limits of SPDK's parser.

SPDK's `spdk_json_parse` is stricter than Python's `json` and gives up at once on a byte that can never become JSON, so
the end of a value is found here and only complete values are decoded. Source of the limits: measured on a real
target (8192 values, 64 levels); begin, end, member name and scalar each count as a value, as in `spdk_json_val`.
"""

from __future__ import annotations

import json
import re
from typing import Any

MAX_VALUES = 8192
MAX_DEPTH = 64

_SPACE = re.compile(rb"[ \t\r\n]*")
_STRING = re.compile(rb'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"')
_STRING_PREFIX = re.compile(
    rb'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*(?:\\(?:u[0-9a-fA-F]{0,3})?)?\Z',
)
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NUMBER_PREFIX = re.compile(rb"-?(?:0|[1-9][0-9]*)?(?:\.[0-9]*)?(?:[eE][+-]?)?\Z")
_LITERALS = (b"true", b"false", b"null")


class MalformedError(Exception):
    """The bytes can never become a value that SPDK accepts; it closes the connection without a reply."""


class Number(float):
    """A number with a fraction or an exponent, that knows how it was written: ids are echoed verbatim."""

    text: str

    def __new__(cls, text: str) -> Number:
        number = super().__new__(cls, text)
        number.text = text
        return number


def split_value(buffer: bytes | bytearray) -> tuple[bytes, int] | None:
    """The first complete value and the offset behind it; None while more bytes are needed."""
    data = bytes(buffer)
    start = _skip_space(data, 0)
    if start == len(data):
        return None
    end = _Scanner(data, start).scan()
    return None if end is None else (data[start:end], end)


def decode(value: bytes) -> Any:
    """A complete value as Python has it; floats keep their text (`Number`)."""
    try:
        decoded = json.loads(value.decode("utf-8"), parse_float=Number)
        json.dumps(decoded, ensure_ascii=False).encode("utf-8")  # an unpaired surrogate is no UTF-8
    except (UnicodeError, ValueError) as error:
        raise MalformedError(str(error)) from error
    return decoded


def encode(value: Any) -> str:
    """Compact JSON, as SPDK writes it."""
    return value.text if isinstance(value, Number) else json.dumps(value, separators=(",", ":"))


def _skip_space(data: bytes, position: int) -> int:
    match = _SPACE.match(data, position)
    return match.end() if match else position


class _Scanner:
    """Walks over one value without building it. States: what may stand next inside the innermost container."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position
        self._closers: list[bytes] = []
        self._expect = "value"
        self._values = 0

    def scan(self) -> int | None:
        while True:
            self._position = _skip_space(self._data, self._position)
            byte = self._data[self._position : self._position + 1]
            if not byte:
                return None
            if not self._step(byte):
                return None
            if self._values > MAX_VALUES:
                raise MalformedError(f"more than {MAX_VALUES} values")
            if not self._closers and self._expect == "separator":
                return self._position

    def _step(self, byte: bytes) -> bool:
        """Take one token; False: it may go on beyond the buffer."""
        if self._expect == "separator":
            self._separator(byte)
        elif self._expect == "colon":
            if byte != b":":
                raise MalformedError("':' expected")
            self._position += 1
            self._expect = "value"
        elif byte in (b"]", b"}"):
            if self._expect not in ("first value", "first name"):
                raise MalformedError("value expected")
            self._close(byte)
        elif self._expect in ("name", "first name"):
            return self._string("colon")
        else:
            return self._value(byte)
        return True

    def _separator(self, byte: bytes) -> None:
        if byte != b",":
            self._close(byte)
            return
        self._position += 1
        self._expect = "name" if self._closers[-1] == b"}" else "value"

    def _close(self, byte: bytes) -> None:
        if not self._closers or self._closers.pop() != byte:
            raise MalformedError("unbalanced bracket")
        self._values += 1
        self._position += 1
        self._expect = "separator"

    def _value(self, byte: bytes) -> bool:
        if byte in (b"{", b"["):
            if len(self._closers) == MAX_DEPTH:
                raise MalformedError(f"more than {MAX_DEPTH} levels")
            self._closers.append(b"}" if byte == b"{" else b"]")
            self._expect = "first name" if byte == b"{" else "first value"
            self._values += 1
            self._position += 1
            return True
        if byte == b'"':
            return self._string("separator")
        return self._literal() or self._number()

    def _string(self, then: str) -> bool:
        match = _STRING.match(self._data, self._position)
        if match is None:
            if _STRING_PREFIX.match(self._data, self._position):
                return False
            raise MalformedError("string expected")
        try:
            match.group().decode("utf-8")
        except UnicodeDecodeError as error:
            raise MalformedError("invalid UTF-8") from error
        self._take(match.end(), then)
        return True

    def _literal(self) -> bool:
        for literal in _LITERALS:
            if self._data.startswith(literal, self._position):
                self._take(self._position + len(literal), "separator")
                return True
        return False

    def _number(self) -> bool:
        rest = self._data[self._position : self._position + 5]
        if any(literal.startswith(rest) for literal in _LITERALS):
            return False
        match = _NUMBER.match(self._data, self._position)
        end = match.end() if match else self._position
        if end == len(self._data) or _NUMBER_PREFIX.match(self._data, self._position):
            return False
        if match is None:
            raise MalformedError("value expected")
        self._take(end, "separator")
        return True

    def _take(self, end: int, then: str) -> None:
        self._values += 1
        self._position = end
        self._expect = then
