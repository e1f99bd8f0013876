"""A pool on the DPU's own target: volumes are bdevs there, and closed when no vhost controller serves them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dpu_handler.lvol.driver import Driver
from dpu_handler.lvol.errors import CallAgain, NotNow
from dpu_handler.lvol.exports import Exports
from dpu_handler.lvol.images import Images
from dpu_handler.lvol.local import OwnTarget
from dpu_handler.lvol.pool import Pool
from dpu_handler.lvol.records import ExportRecords
from dpu_handler.lvol.volumes import SizeRange, Volumes
from dpu_handler.planning.disk import LocalVolume, backing_of
from tests.unit.lvol.model_target import ModelTarget

GIB = 1 << 30
SERVER = "11111111-2222-3333-4444-555555555555"
OTHER = "99999999-2222-3333-4444-555555555555"


class WithoutNvmf(ModelTarget):
    """SPDK's ``vhost`` application, which has no ``nvmf_*`` methods: what is asked of them fails the test."""

    def __getattribute__(self, name: str) -> object:
        assert not name.startswith("_nvmf_"), name
        return super().__getattribute__(name)


@pytest.fixture
def target() -> WithoutNvmf:
    empty = WithoutNvmf()
    empty.lose_memory()
    return empty


@pytest.fixture
async def driver(target: WithoutNvmf, tmp_path: Path) -> AsyncIterator[Driver]:
    exports = Exports(ExportRecords(tmp_path / "exports"), OwnTarget())
    pool = Pool(tmp_path / "pool.img", GIB, "lvs0", tmp_path / "state", networked=False)
    images = Images(tmp_path, pool)
    driver = Driver(target, pool, images, Volumes(pool, images), exports)
    keeping = asyncio.create_task(driver.keep(look_every_s=0.0))
    async with asyncio.timeout(5):
        await driver.ready.wait()
    yield driver
    keeping.cancel()


async def made(driver: Driver) -> str:
    return (await driver.create("pvc-1", SizeRange(GIB), None)).uuid


async def test_the_agent_is_told_the_bdev(driver: Driver) -> None:
    uuid = await made(driver)
    context = await driver.publish(uuid, SERVER)
    assert context == {"protocol": "bdev", "uuid": uuid}
    assert backing_of(context) == LocalVolume(uuid)


async def test_a_volume_has_one_holder(driver: Driver) -> None:
    uuid = await made(driver)
    await driver.publish(uuid, SERVER)
    with pytest.raises(NotNow, match=SERVER):
        await driver.publish(uuid, OTHER)
    await driver.unpublish(uuid, SERVER)
    assert await driver.publish(uuid, OTHER)


async def test_a_volume_that_is_served_is_neither_closed_nor_deleted(driver: Driver, target: WithoutNvmf) -> None:
    uuid = await made(driver)
    await driver.publish(uuid, SERVER)
    target.served["mp-disk"] = uuid
    with pytest.raises(CallAgain, match="mp-disk"):
        await driver.unpublish(uuid, SERVER)
    with pytest.raises(NotNow, match=SERVER):
        await driver.publish(uuid, OTHER)
    target.served.clear()
    await driver.unpublish(uuid, SERVER)
    target.served["somebody-elses"] = uuid
    with pytest.raises(CallAgain, match="somebody-elses"):
        await driver.delete(uuid)
    target.served.clear()
    await driver.delete(uuid)
    assert target.lvols == {}
