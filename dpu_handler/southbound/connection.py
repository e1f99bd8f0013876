"""What all clients share: one span for each request, errors with their meaning, cancellation that leaves no debris."""

from asyncio import CancelledError, Future
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

from dpu_handler import _native
from dpu_handler.southbound.errors import translate

T = TypeVar("T")

_UNWATCHED: AbstractContextManager[None] = nullcontext()


class RequestTracer(Protocol):
    """Watches requests: entered before one is sent, left with its outcome."""

    def request(self, system: str, method: str, request_id: int) -> AbstractContextManager[None]:
        """Around one request to ``system`` (spdk, emulation, ovsdb)."""
        ...


class Connection(Protocol):
    """What is common to the native connections."""

    def next_id(self) -> int:
        """An id that no other request has, in any process."""
        ...

    def forget(self, request_id: int) -> None:
        """The caller waits no longer; the reply is drained when it comes."""
        ...


async def request(
    connection: Connection,
    send: Callable[[int], Future[T]],
    *,
    system: str,
    method: str,
    timeout_s: float,
    tracer: RequestTracer | None,
) -> T:
    """The result of the one request that ``send`` makes with the id it is given. Raises ``SouthboundError``."""
    request_id = connection.next_id()
    with tracer.request(system, method, request_id) if tracer else _UNWATCHED:
        try:
            return await send(request_id)
        except CancelledError:
            connection.forget(request_id)
            raise
        except _native.NativeError as error:
            raise translate(error, method, timeout_s) from error
