"""Fixtures of the BMC suite. METALPLANE_BMC=host:port:user:password runs it against another BMC, whose server it
switches on and off; what needs the sandbox's own server is left out then.
"""

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from provider.bmc.endpoint import Endpoint
from provider.bmc.ipmi import IpmiThread
from tests.conformance.bmc.bmc_rig import BmcProcess, HeldServer, Ipmitool
from tests.conformance.bmc.serial_wire import EchoingWire
from tests.conformance.emulation.rig import ChassisProcess

GIVEN = "METALPLANE_BMC"


@pytest.fixture(scope="package")
def metal() -> Iterator[tuple[HeldServer, BmcProcess]]:
    """A server that never boots, and its BMC."""
    if GIVEN in os.environ:
        pytest.skip(f"needs the sandbox's own server; {GIVEN} names another BMC")
    directory = Path(f"/tmp/mpb-{os.getpid()}-{uuid.uuid4().hex[:6]}")
    directory.mkdir(mode=0o700)
    netns = f"mpb-test-{uuid.uuid4().hex[:8]}"
    subprocess.run(["ip", "netns", "add", netns], check=True)
    chassis = ChassisProcess(directory, netns)
    try:
        chassis.start()
        process = BmcProcess(directory, chassis)
        try:
            process.start()
            yield HeldServer(chassis, directory), process
        finally:
            process.stop()
    finally:
        chassis.stop()
        subprocess.run(["ip", "netns", "delete", netns], check=True)
        shutil.rmtree(directory)


@pytest.fixture
def server(metal: tuple[HeldServer, BmcProcess]) -> HeldServer:
    """The sandbox's server, off."""
    held, _ = metal
    held.chassis.control("power_off")
    return held


@pytest.fixture
def bmc_process(metal: tuple[HeldServer, BmcProcess]) -> BmcProcess:
    """The sandbox's BMC as a process."""
    return metal[1]


@pytest.fixture
def echo(server: HeldServer) -> Iterator[None]:
    """A system on the server that echoes what is typed on its console."""
    with EchoingWire(server.chassis.console_path):
        yield


@pytest.fixture
def endpoint(request: pytest.FixtureRequest) -> Endpoint:
    """The BMC under test; its server is off."""
    given = os.environ.get(GIVEN)
    if given is None:
        request.getfixturevalue("server")
        process: BmcProcess = request.getfixturevalue("bmc_process")
        return process.endpoint
    host, port, user, password = given.split(":", 3)
    endpoint = Endpoint(host, int(port), user, password)
    Ipmitool(endpoint)("chassis", "power", "off")
    return endpoint


@pytest.fixture
def ipmitool(endpoint: Endpoint) -> Ipmitool:
    """IPMI's reference client."""
    return Ipmitool(endpoint)


@pytest.fixture(scope="package")
def ipmi_thread() -> Iterator[IpmiThread]:
    """A thread in which one BMC is waited for at a time."""
    thread = IpmiThread()
    yield thread
    thread.close()
