"""What all clients share: one span for each request, errors with their meaning, cancellation that leaves no debris."""

from asyncio import CancelledError, Future, get_running_loop
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, TypeVar

from dpu_handler import _native
from dpu_handler.southbound.errors import translate

T = TypeVar("T")


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


class Reply(Future[Any]):
    """The outcome of one request; to cancel it is to have the request forgotten.

    ``asyncio.gather`` waits for a future as it is, and makes a task for every coroutine: that would be half of what a
    request costs.
    """

    connection: Connection
    request_id: int
    method: str
    timeout_s: float

    def cancel(self, msg: Any | None = None) -> bool:
        """Wait no longer; the reply is drained when it comes."""
        cancelled = super().cancel(msg)
        if cancelled:
            self.connection.forget(self.request_id)
        return cancelled

    def set_exception(self, exception: type | BaseException, /) -> None:
        """End with an error of this package for one of the native module."""
        if isinstance(exception, _native.NativeError):
            cause, exception = exception, translate(exception, self.method, self.timeout_s)
            exception.__cause__ = cause
        super().set_exception(exception)


def call(
    connection: _native.SpdkConnection,
    method: str,
    params: Mapping[str, Any] | None,
    *,
    system: str,
    timeout_s: float,
    tracer: RequestTracer | None,
) -> Awaitable[Any]:
    """The result of one request, which leaves when this turn of the event loop ends. Raises ``SouthboundError``."""
    if tracer is not None:
        return request(
            connection,
            lambda request_id: connection.call(request_id, method, params, timeout_s),
            system=system,
            method=method,
            timeout_s=timeout_s,
            tracer=tracer,
        )
    reply = Reply(loop=get_running_loop())
    reply.connection, reply.request_id, reply.method = connection, connection.next_id(), method
    reply.timeout_s = timeout_s
    try:
        connection.call(reply.request_id, method, params, timeout_s, reply)
    except _native.NativeError as error:
        reply.set_exception(error)
    return reply


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
    with tracer.request(system, method, request_id) if tracer else nullcontext():
        try:
            return await send(request_id)
        except CancelledError:
            connection.forget(request_id)
            raise
        except _native.NativeError as error:
            raise translate(error, method, timeout_s) from error
