"""Fixtures of the device-emulation suite: a chassis, its network namespace, vhost-user sockets that accept."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.emulation.rig import Backend, Caller, ChassisProcess


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory whose paths fit into a socket address of 108 bytes."""
    path = Path(f"/tmp/mpc-{os.getpid()}-{uuid.uuid4().hex[:6]}")
    path.mkdir(mode=0o700)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def netns() -> Iterator[str]:
    """A network namespace of the test's own."""
    name = f"mpc-test-{uuid.uuid4().hex[:8]}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    yield name
    subprocess.run(["ip", "netns", "delete", name], check=True)


@pytest.fixture
def chassis(short_path: Path, netns: str) -> Iterator[ChassisProcess]:
    """A chassis with an empty server that is off."""
    process = ChassisProcess(short_path, netns)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def emulation(chassis: ChassisProcess) -> Caller:
    """The device-emulation socket under test; METALPLANE_EMULATION_SOCKET names another implementation's."""
    given = os.environ.get("METALPLANE_EMULATION_SOCKET")
    return Caller(Path(given)) if given else chassis.emulation


@pytest.fixture
def backend(short_path: Path) -> Iterator[Callable[[str], Backend]]:
    """Makes vhost-user sockets that accept."""
    made: list[Backend] = []

    def make(name: str) -> Backend:
        made.append(Backend(short_path / name))
        return made[-1]

    yield make
    for item in made:
        item.close()
