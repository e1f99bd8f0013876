"""The driver's own watch over its exports, beside the requests that open and close them."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dpu_handler.lvol.driver import Driver
from dpu_handler.lvol.exports import Exports
from dpu_handler.lvol.images import Images
from dpu_handler.lvol.nvmf import NvmeTcp
from dpu_handler.lvol.planning import Listener
from dpu_handler.lvol.pool import Pool
from dpu_handler.lvol.records import ExportRecords
from dpu_handler.lvol.volumes import SizeRange, Volumes
from tests.unit.lvol.model_target import ModelTarget

GIB = 1 << 30
SERVER = "11111111-2222-3333-4444-555555555555"


class SlowTarget(ModelTarget):
    """Answers the next look at its subsystems with what was true when it was asked, and late."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = False
        self.asked, self.answer = asyncio.Event(), asyncio.Event()

    async def call(
        self, method: str, params: Mapping[str, Any] | None = None, *, timeout_s: float | None = None
    ) -> Any:
        result = await super().call(method, params, timeout_s=timeout_s)
        if method == "nvmf_get_subsystems" and self.slow:
            self.slow = False
            self.asked.set()
            await self.answer.wait()
        return result


async def test_what_was_seen_before_a_volume_was_closed_does_not_open_it_again(tmp_path: Path) -> None:
    target = SlowTarget()
    exports = Exports(ExportRecords(tmp_path / "exports"), NvmeTcp(Listener("127.0.0.1", "4420")))
    pool = Pool(tmp_path / "pool.img", GIB, "lvs0", tmp_path / "state")
    images = Images(tmp_path, pool)
    driver = Driver(target, pool, images, Volumes(pool, images), exports)
    keeping = asyncio.create_task(driver.keep(look_every_s=0.0))
    async with asyncio.timeout(5):
        await driver.ready.wait()
        uuid = (await driver.create("pvc-1", SizeRange(GIB), None)).uuid
        await driver.publish(uuid, SERVER)

        target.subsystems.clear()
        target.slow = True
        await target.asked.wait()
        closing = asyncio.create_task(driver.unpublish(uuid, SERVER))
        await asyncio.wait({closing}, timeout=0.05)  # as far as it comes while the late answer is on its way
        target.answer.set()
        await closing
        target.asked.clear()
        target.slow = True
        await target.asked.wait()
    keeping.cancel()
    assert target.subsystems == {}
