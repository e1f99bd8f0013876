"""bm-api, for one file of tests after the other."""

from collections.abc import Iterator

import pytest

from sandbox.apiserver import ApiServer
from tests.integration.apiserver.installed import InstalledApi
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
