"""Consoles and their logs: which server it is about, and who may look on; the console itself is ``console``'s."""

from aiohttp import web

from provider.api.server import Server
from provider.apiserver.authorization import Authorization
from provider.apiserver.console.consoles import Consoles
from provider.apiserver.console.errors import ConsoleError
from provider.apiserver.errors import (
    ApiError,
    BadRequest,
    Broken,
    Cause,
    InvalidOptions,
    Missing,
    StateForbids,
    TooMany,
    TryLater,
)
from provider.apiserver.objects import Objects
from provider.apiserver.server import Call

_BY_STATUS: dict[int, type[ApiError]] = {409: StateForbids, 429: TooMany, 503: TryLater}
_TRUE, _FALSE = ("true", "1", ""), ("false", "0")


class Streams:
    """A console belongs to a server under a claim: a tenant's is that of the claim by which his machine holds it."""

    def __init__(self, objects: Objects, consoles: Consoles, authorization: Authorization) -> None:
        self._objects = objects
        self._consoles = consoles
        self._authorization = authorization

    async def machine_console(self, call: Call) -> web.StreamResponse:
        """A websocket with the console of the machine's server."""
        server, claim_uid = await self._of_machine(call)
        return await self._attach(call, server, claim_uid)

    async def server_console(self, call: Call) -> web.StreamResponse:
        """A websocket with the console of a server, whoever holds it."""
        server = await self._objects.server(call.name)
        claim = server.spec.claim_ref
        return await self._attach(call, server, claim.uid if claim else None)

    async def serial_log(self, call: Call) -> web.StreamResponse:
        """The last of what the machine printed."""
        server, claim_uid = await self._of_machine(call)
        try:
            text = await self._consoles.log(server, claim_uid, _number(call.request, "tailBytes"))
        except ConsoleError as error:
            raise _refused(error) from error
        return web.Response(body=text, content_type="application/octet-stream")

    async def _of_machine(self, call: Call) -> tuple[Server, str]:
        return await self._objects.held_server(await self._objects.machine(call.namespace or "", call.name))

    async def _attach(self, call: Call, server: Server, claim_uid: str | None) -> web.StreamResponse:
        if not web.WebSocketResponse().can_prepare(call.request).ok:
            raise BadRequest(
                f"The console of {call.name} is a websocket, and this request asks for none: use `bmctl console`"
            )

        async def still_may() -> bool:
            # Whatever else is late to notice: a server that changed hands is nobody's console of before.
            try:
                now = (await self._objects.server(server.metadata.name)).spec.claim_ref
            except Missing:
                return False
            same = (now.uid if now else None) == claim_uid
            return same and await self._authorization.allows(call.caller, call.route, call.namespace, call.name)

        try:
            return await self._consoles.attach(
                call.request,
                server,
                claim_uid,
                user=call.caller.name,
                watch=_flag(call.request, "watch"),
                takeover=_flag(call.request, "takeover"),
                tail_bytes=_number(call.request, "tailBytes"),
                reauthorise=still_may,
            )
        except ConsoleError as error:
            raise _refused(error) from error


def _refused(error: ConsoleError) -> ApiError:
    return _BY_STATUS.get(error.status, Broken)(str(error))


def _flag(request: web.Request, name: str) -> bool:
    value = request.query.get(name)
    if value is not None and value not in (*_TRUE, *_FALSE):
        raise _invalid(name, value, "true or false")
    return value in _TRUE


def _number(request: web.Request, name: str) -> int | None:
    value = request.query.get(name)
    if value is None:
        return None
    if not value.isdecimal():
        raise _invalid(name, value, "a number of bytes")
    return int(value)


def _invalid(name: str, value: str, wanted: str) -> InvalidOptions:
    return InvalidOptions(f"{name} is {value!r}: write {wanted}", causes=[Cause(name, f"must be {wanted}")])
