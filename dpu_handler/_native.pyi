"""Types of the native module (``native/src``). Only ``dpu_handler.southbound`` may import it.

Every ``call`` returns a future of the running event loop at once, ``reply`` where one is given; requests made in one
turn of the loop leave together. A connection belongs to the loop of its first caller.
"""

from asyncio import Future
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any
from uuid import UUID

class NativeError(Exception):
    """Base of what this module raises."""

class RefusedError(NativeError):
    """The peer refused: ``args`` are code, name of the code, message."""

class OperationFailedError(NativeError):
    """A transaction aborted: ``args`` are index, error, details."""

class NotSentError(NativeError):
    """The request never left: ``args`` are the cause."""

class OutcomeUnknownError(NativeError):
    """No reply to a request that left: ``args`` are the cause."""

class DeadlinePassedError(NativeError):
    """Time is up: ``args`` are whether it may have been executed."""

class MalformedError(NativeError):
    """A reply that does not read: ``args`` are the cause."""

class TooLargeError(NativeError):
    """Not sent for its size: ``args`` are size and limit in bytes."""

class SpdkConnection:
    """One persistent connection to an SPDK target, or to whatever speaks like one."""

    def __init__(self, path: str | PathLike[str]) -> None: ...
    def next_id(self) -> int: ...
    def call(
        self,
        request_id: int,
        method: str,
        params: Mapping[str, Any] | None,
        timeout_s: float,
        reply: Future[Any] | None = None,
    ) -> Future[Any]: ...
    def flush(self) -> None: ...
    def forget(self, request_id: int) -> None: ...
    def close(self) -> None: ...

class OvsdbConnection:
    """One persistent connection to an ovsdb-server, with a replica of the tables it monitors.

    ``listener`` is called with None when monitored rows changed, and with the cause when the connection was lost.
    """

    def __init__(self, path: str | PathLike[str], listener: Callable[[str | None], None]) -> None: ...
    def next_id(self) -> int: ...
    def call(self, request_id: int, method: str, params: Sequence[Any], timeout_s: float) -> Future[Any]: ...
    def transact(
        self, request_id: int, database: str, operations: Sequence[Mapping[str, Any]], timeout_s: float
    ) -> Future[list[dict[str, Any]]]: ...
    def load_schema(
        self, request_id: int, database: str, tables: Mapping[str, Sequence[str]], timeout_s: float
    ) -> Future[None]: ...
    def monitor(
        self, request_id: int, database: str, monitor: str, tables: Mapping[str, Sequence[str]], timeout_s: float
    ) -> Future[None]: ...
    def rows(self, table: str) -> dict[UUID, dict[str, Any]]: ...
    def row(self, table: str, uuid: UUID) -> dict[str, Any] | None: ...
    def flush(self) -> None: ...
    def forget(self, request_id: int) -> None: ...
    def close(self) -> None: ...
