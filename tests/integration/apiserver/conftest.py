"""bm-api, for one file of tests after the other, and what its consoles need."""

from collections.abc import AsyncIterator, Iterator

import pytest

from sandbox.apiserver import ApiServer
from tests.integration.apiserver.installed import InstalledApi
from tests.integration.apiserver.lightrack import LightRack
from tests.integration.apiserver.websockets import Clients, clients
from tests.integration.rest import Rest


@pytest.fixture(scope="package")
def api(apiserver: ApiServer, rest: Rest) -> Iterator[InstalledApi]:
    """Two replicas of bm-api behind the API server."""
    api = InstalledApi(apiserver, rest)
    try:
        api.start()
        yield api
    finally:
        api.stop()


@pytest.fixture(scope="package")
def rack(api: InstalledApi) -> Iterator[LightRack]:
    """Light servers."""
    rack = LightRack(api)
    try:
        rack.start()
        yield rack
    finally:
        rack.stop()


@pytest.fixture
async def consoles() -> AsyncIterator[Clients]:
    """Opens consoles, for one test."""
    async with clients() as opened:
        yield opened
