"""A light server's BMC, held against what the suite asks of any BMC."""

import asyncio
import threading
import uuid
from collections.abc import Iterator

import pytest

from provider.bmc.endpoint import Endpoint
from sandbox.fleet.bmc import LightBMC
from sandbox.fleet.chassis import LightChassis
from sandbox.fleet.disks import Disks
from tests.conformance.bmc import test_bmc_client as client_suite
from tests.conformance.bmc import test_bmc_console as console_suite
from tests.conformance.bmc import test_bmc_ipmitool as ipmitool_suite
from tests.conformance.bmc.bmc_rig import PASSWORD, USER, Ipmitool, free_udp_port
from tests.waiting import wait_for

bmc, opened = client_suite.bmc, client_suite.opened
console = console_suite.console

test_power_is_read_and_switched = ipmitool_suite.test_power_is_read_and_switched
test_the_boot_device_is_chosen_and_read_back = ipmitool_suite.test_the_boot_device_is_chosen_and_read_back
test_who_is_not_known_gets_no_session = ipmitool_suite.test_who_is_not_known_gets_no_session
test_a_session_without_a_password_is_refused = ipmitool_suite.test_a_session_that_would_prove_no_password_is_refused
test_our_client_reads_and_switches_the_power = client_suite.test_power_is_read_and_switched
test_our_client_resets_it = (
    client_suite.test_a_server_that_is_reset_has_power_all_the_time_and_one_that_is_off_stays_off
)
test_our_client_has_it_boot_from_disk = client_suite.test_the_firmware_is_told_to_boot_from_disk
test_our_client_is_told_of_refused_credentials = client_suite.test_refused_credentials_are_told_as_such

test_every_byte_goes_both_ways = console_suite.test_every_byte_goes_both_ways
test_much_arrives_whole_and_in_order = console_suite.test_much_arrives_whole_and_in_order
test_a_break_is_sent_and_the_console_goes_on = console_suite.test_a_break_is_sent_and_the_console_goes_on
test_who_opens_the_console_takes_it_over = console_suite.test_who_opens_the_console_takes_it_over
test_ipmitool_has_the_console = console_suite.test_ipmitool_has_the_console_and_loses_it_to_us
test_a_closed_session_leaves_room = console_suite.test_a_session_that_was_closed_leaves_room_for_the_next


@pytest.fixture
def echo(ipmitool: Ipmitool) -> None:
    """The light server's own system echoes while it is on."""
    ipmitool("chassis", "power", "on")
    wait_for(ipmitool.powered, "the server is on")


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """The BMC of a server that is off, on an event loop of its own."""
    endpoint = Endpoint("127.0.0.1", free_udp_port(), USER, PASSWORD)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    chassis = LightChassis("server0", Disks(), slots=8, representors=["vm0"])

    async def serve() -> asyncio.DatagramTransport:
        guid = uuid.uuid4()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: LightBMC(chassis, chassis.serial, guid=guid, username=USER, password=PASSWORD),
            local_addr=(endpoint.address, endpoint.port),
        )
        return transport

    async def end() -> None:
        transport.close()
        await asyncio.sleep(0)  # it is closed in the loop's next round

    transport = asyncio.run_coroutine_threadsafe(serve(), loop).result()
    yield endpoint
    asyncio.run_coroutine_threadsafe(end(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.mark.parametrize("suite", ["3", "17"])
def test_both_cipher_suites_are_spoken(ipmitool: Ipmitool, suite: str) -> None:
    assert ipmitool.run("chassis", "power", "status", cipher_suite=suite).stdout.strip() == "Chassis Power is off"


def test_a_boot_device_that_the_server_has_not_is_refused(ipmitool: Ipmitool) -> None:
    ipmitool("chassis", "bootdev", "disk")
    assert "failed" in ipmitool.run("chassis", "bootdev", "pxe").stderr
    assert "Force Boot from default Hard-Drive" in ipmitool("chassis", "bootparam", "get", "5")


def test_a_soft_shutdown_of_a_server_that_is_off_is_refused(ipmitool: Ipmitool) -> None:
    assert ipmitool.run("chassis", "power", "soft").returncode != 0
