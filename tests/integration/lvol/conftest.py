"""Fixtures of the lvol driver's tests: one storage node for all of them, each with volumes of its own."""

import uuid
from collections.abc import Iterator

import pytest

from tests.conformance.spdk.targets import short_directory
from tests.integration.lvol.storage_node import StorageNode


@pytest.fixture(scope="session")
def storage_node() -> Iterator[StorageNode]:
    """A storage node that answers CSI."""
    with short_directory() as directory:
        node = StorageNode(directory)
        try:
            node.start()
            yield node
        finally:
            node.stop()


@pytest.fixture
def name() -> str:
    """A name for a volume that no other test uses."""
    return f"pvc-{uuid.uuid4()}"
