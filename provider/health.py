"""/healthz and /readyz for a kubelet: alive as long as the event loop answers, ready once controllers run."""

import asyncio

from aiohttp import web


class Health:
    """Serves both on all interfaces, as probes need."""

    def __init__(self, port: int, ready: asyncio.Event) -> None:
        self._port = port
        self._ready = ready
        application = web.Application()
        application.router.add_get("/healthz", self._alive)
        application.router.add_get("/readyz", self._is_ready)
        self._runner = web.AppRunner(application, access_log=None)

    async def start(self) -> None:
        """Listen."""
        await self._runner.setup()
        await web.TCPSite(self._runner, port=self._port).start()

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _alive(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _is_ready(self, _: web.Request) -> web.Response:
        ready = self._ready.is_set()
        return web.Response(status=200 if ready else 503, text="ok\n" if ready else "not leading yet\n")
