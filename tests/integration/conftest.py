"""Fixtures of the tests that speak to a real API server."""

import uuid
from collections.abc import Iterator

import pytest

from sandbox.apiserver import ApiServer
from tests.integration.installation import Installation
from tests.integration.rest import Rest


@pytest.fixture
def namespace(apiserver: ApiServer) -> Iterator[str]:
    """A namespace of the test's own. Its end is asked for, not waited for."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    apiserver.kubectl.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}])
    yield name
    apiserver.kubectl.run("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture(scope="session")
def rest(apiserver: ApiServer) -> Rest:
    """The same API server, by plain HTTPS."""
    return Rest(apiserver)


@pytest.fixture(scope="module")
def installation(apiserver: ApiServer, rest: Rest) -> Iterator[Installation]:
    """Provider and function, for one file of tests: the others write what a provider would write over."""
    installation = Installation(apiserver, rest)
    installation.start()
    yield installation
    installation.stop()
