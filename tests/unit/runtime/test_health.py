"""What a kubelet is told: alive from the start, ready while one of the process' states holds."""

import asyncio
import socket

import aiohttp

from provider.runtime.health import Health
from provider.runtime.metrics import Metrics


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def asked(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, (await answer.text()).strip()


async def test_a_process_is_ready_while_it_reconciles_or_stands_by() -> None:
    reconciling, standing_by = asyncio.Event(), asyncio.Event()
    port = free_port()
    states = {"reconciling": reconciling, "standing by": standing_by}
    health = Health(port, states, Metrics(), host="127.0.0.1")
    await health.start()
    try:
        assert await asked(port, "/healthz") == (200, "ok")
        assert await asked(port, "/readyz") == (503, "not ready yet")
        standing_by.set()
        assert await asked(port, "/readyz") == (200, "standing by")
        standing_by.clear()
        assert await asked(port, "/readyz") == (503, "not ready yet")
        reconciling.set()
        assert await asked(port, "/readyz") == (200, "reconciling")
        code, figures = await asked(port, "/metrics")
        assert code == 200
        assert {'metalplane_state{state="reconciling"} 1.0', 'metalplane_state{state="standing by"} 0.0'} <= {
            *figures.splitlines()
        }
    finally:
        await health.stop()
