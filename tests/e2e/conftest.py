"""Fixtures of the end-to-end tests: one metal cloud for all of them, and tenants' machines in it."""

from collections.abc import Iterator

import pytest

from sandbox.cloud import Cloud
from sandbox.network import NAMESPACES
from sandbox.process import marked
from tests.e2e.inventory import inventory, wait_as_before
from tests.e2e.tenant import Tenant


@pytest.fixture(scope="package")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """The whole sandbox with one server, its inventory filled, and no machine in it. Nothing of it stays behind."""
    sandbox = Cloud(tmp_path_factory.mktemp("cloud"))
    try:
        sandbox.up()
        yield sandbox
    finally:
        sandbox.down()
    layout = sandbox.layout
    assert not layout.run.exists()
    assert list(marked(layout.run)) == []
    assert list(NAMESPACES.glob(f"{layout.network_namespace_prefix}*")) == []


@pytest.fixture
def tenant(cloud: Cloud) -> Iterator[Tenant]:
    """A tenant whose machines are gone, and all that was made for them, when the test ends."""
    before = inventory(cloud)
    tenant = Tenant(cloud)
    try:
        yield tenant
    finally:
        tenant.delete_everything()
    wait_as_before(cloud, before)
