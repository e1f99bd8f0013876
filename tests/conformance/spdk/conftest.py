"""Fixtures of the SPDK suite: the targets under test, and connections to them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from dpu_handler.lvol.local import OwnTarget
from dpu_handler.lvol.nvmf import NvmeTcp
from dpu_handler.lvol.planning import Listener
from tests.conformance.spdk.node import DpuNode, StorageNode, dpu_node, storage_node
from tests.conformance.spdk.targets import Targets, short_directory, targets
from tests.conformance.spdk.wire import Wire


@pytest.fixture(scope="session")
def spdk_targets() -> Iterator[Targets]:
    """The targets of the session. Each test takes away what it made."""
    with targets() as found:
        yield found


@pytest.fixture
def storage(spdk_targets: Targets) -> Iterator[Wire]:
    """A connection to the storage node's target."""
    with Wire(spdk_targets.storage) as wire:
        yield wire


@pytest.fixture
def dpu(spdk_targets: Targets) -> Iterator[Wire]:
    """A connection to the DPU's target."""
    with Wire(spdk_targets.socket("dpu")) as wire:
        yield wire


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory of the test's own."""
    with short_directory() as path:
        yield path


@pytest.fixture
async def storage_side(spdk_targets: Targets, directory: Path) -> AsyncIterator[StorageNode]:
    """The lvol driver's parts over the storage node's target, its pool open."""
    way = NvmeTcp(Listener("127.0.0.1", str(spdk_targets.port)))
    async with storage_node(spdk_targets.storage, way, directory) as node:
        yield node


@pytest.fixture
async def dpu_side(spdk_targets: Targets, directory: Path) -> AsyncIterator[DpuNode]:
    """The agent's parts over the DPU's target."""
    async with dpu_node(spdk_targets.socket("dpu"), directory) as node:
        yield node


@pytest.fixture
async def both_sides(spdk_targets: Targets, directory: Path) -> AsyncIterator[tuple[StorageNode, DpuNode]]:
    """The lvol driver's parts and the agent's over one and the same target."""
    target = spdk_targets.socket("disks")
    async with storage_node(target, OwnTarget(), directory) as storage, dpu_node(target, directory) as dpu:
        yield storage, dpu
