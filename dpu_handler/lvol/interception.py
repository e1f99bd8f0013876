"""What happens around every gRPC call: it joins the caller's trace, and the driver's errors become gRPC statuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeAlias

import grpc
import grpc.aio

from dpu_handler.lvol.errors import LvolError
from provider.runtime.tracing import Tracer, parse_traceparent

# As text: at run time these classes take no parameters.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Around each unary call."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The handler of the call, wrapped."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        inner: Any = handler.unary_unary
        metadata = dict(handler_call_details.invocation_metadata)
        trace = parse_traceparent(str(metadata.get("traceparent", "")))
        method = handler_call_details.method.rpartition("/")[2]

        async def call(request: Any, context: Context) -> Any:
            try:
                with self._tracer.span(f"serve {method}", trace=trace):
                    return await inner(request, context)
            except LvolError as error:
                await _abort(context, error)

        return grpc.unary_unary_rpc_method_handler(call, handler.request_deserializer, handler.response_serializer)


async def _abort(context: Context, error: LvolError) -> NoReturn:
    await context.abort(error.status, str(error))
    raise AssertionError("abort always raises")
