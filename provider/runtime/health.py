"""What a process tells of itself by HTTP: /healthz, /readyz for a kubelet, /metrics for Prometheus.

It is alive as long as its event loop answers, and ready while one of its states holds.
"""

import asyncio
from collections.abc import Mapping

from aiohttp import web

from provider.runtime.metrics import CONTENT_TYPE_LATEST, Metrics


class Health:
    """``states``: each a way of being ready, by the word that /readyz says of it. ``host``: None is all interfaces."""

    def __init__(
        self, port: int, states: Mapping[str, asyncio.Event], metrics: Metrics, *, host: str | None = None
    ) -> None:
        self._port = port
        self._metrics = metrics
        self._host = host
        self._states = states
        application = web.Application()
        application.router.add_get("/healthz", self._alive)
        application.router.add_get("/readyz", self._is_ready)
        application.router.add_get("/metrics", self._figures)
        self._runner = web.AppRunner(application, access_log=None)

    async def start(self) -> None:
        """Listen."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host=self._host, port=self._port).start()

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _alive(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _is_ready(self, _: web.Request) -> web.Response:
        holding = [state for state, event in self._states.items() if event.is_set()]
        return web.Response(status=200 if holding else 503, text=f"{' '.join(holding) or 'not ready yet'}\n")

    async def _figures(self, _: web.Request) -> web.Response:
        states = {state: event.is_set() for state, event in self._states.items()}
        return web.Response(body=self._metrics.exposition(states), headers={"Content-Type": CONTENT_TYPE_LATEST})
