"""Which method does what: name -> parameter model -> handler, as data.

A handler gets its decoded parameters and returns the JSON value of `result`, or raises `RpcError`. How a target
answers parameters that it cannot decode differs from method to method, so it stands in the table.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

Json = Any
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603


class RpcError(Exception):
    """The `error` member of a reply: `code` (JSON-RPC's, or a negated errno) and `message`; SPDK never sends `data`."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message

    @classmethod
    def from_errno(cls, number: int, code: int | None = None) -> RpcError:
        """The message is strerror's; the code the negated errno, unless the method wraps it in another."""
        return cls(-number if code is None else code, os.strerror(number))


DECODE_FAILED = RpcError(INTERNAL_ERROR, "spdk_json_decode_object failed")
INVALID_PARAMETERS = RpcError(INVALID_PARAMS, "Invalid parameters")
INVALID_ARGUMENT = RpcError.from_errno(errno.EINVAL, INVALID_PARAMS)


class Params(BaseModel):
    """Decoded as `spdk_json_decode_object` does: by exact type, and no member that the method does not know."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


P = TypeVar("P", bound=Params)
Handler = Callable[[Any], Awaitable[Json]]


@dataclass(frozen=True, slots=True)
class Method:
    """One row of the table. `params` None: the method takes none. `recorded`: a pair of a real target covers it."""

    name: str
    handler: Handler
    params: type[Params] | None
    optional: bool
    decode_error: RpcError
    recorded: bool


class MethodTable:
    """The methods of one target, in the order of registration (`rpc_get_methods` lists the newest first)."""

    def __init__(self) -> None:
        self._methods: dict[str, Method] = {}

    def add(
        self,
        name: str,
        params: type[P],
        handler: Callable[[P], Awaitable[Json]],
        *,
        optional: bool = False,
        decode_error: RpcError = DECODE_FAILED,
        recorded: bool = True,
    ) -> None:
        """A method with parameters; `optional`: it also answers without any (every member has a default)."""
        self._methods[name] = Method(name, handler, params, optional, decode_error, recorded)

    def add_without_params(self, name: str, handler: Callable[[], Awaitable[Json]], *, recorded: bool = True) -> None:
        async def without(_: object) -> Json:
            return await handler()

        self._methods[name] = Method(name, without, None, True, DECODE_FAILED, recorded)

    def names(self) -> list[str]:
        return list(reversed(self._methods))

    def unrecorded(self) -> list[str]:
        """Methods that follow SPDK's schema only: no recorded pair says how a real target answers."""
        return [name for name, method in self._methods.items() if not method.recorded]

    async def call(self, name: str, params: Json) -> Json:
        """Carry out one request; `params` None means absent or null, which a target takes for the same."""
        method = self._methods.get(name)
        if method is None:
            raise RpcError(METHOD_NOT_FOUND, "Method not found")
        return await method.handler(_decode(method, params))


def _decode(method: Method, params: Json) -> Params | None:
    if method.params is None:
        if params is not None:
            raise RpcError(INVALID_PARAMS, f"{method.name} method requires no parameters")
        return None
    if params is None and not method.optional:
        raise method.decode_error
    try:
        return method.params.model_validate({} if params is None else params)
    except ValidationError as error:
        raise method.decode_error from error
