"""The connections of this server, which are kept from one request to the next, and how they are let go of."""

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware


class Connections:
    """Knows which of them are in the middle of a request, for as long as ``noting`` is a middleware."""

    def __init__(self) -> None:
        self._busy: set[web.RequestHandler] = set()

    @property
    def noting(self) -> Middleware:
        """The middleware."""

        @web.middleware
        async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
            # By HTTP/1.1 a connection has one request at a time.
            self._busy.add(request.protocol)
            try:
                return await handler(request)
            finally:
                self._busy.discard(request.protocol)

        return note

    def let_go(self, server: web.Server) -> None:
        """Close all that are idle now, and the others once they have their answer; a websocket ends by itself."""
        for connection in server.connections:
            if connection in self._busy:
                connection.close()
            else:
                connection.force_close()
