"""What IPMI's reference client can do with a BMC: switch the power, choose the boot device, and be refused."""

import pytest

from provider.bmc.endpoint import Endpoint
from tests.conformance.bmc.bmc_rig import PASSWORD, BmcProcess, HeldServer, Ipmitool
from tests.waiting import wait_for

REFUSED = "Unable to establish IPMI v2 / RMCP+ session"


def test_power_is_read_and_switched(ipmitool: Ipmitool) -> None:
    assert not ipmitool.powered()
    ipmitool("chassis", "power", "on")
    wait_for(ipmitool.powered, "the power is on")
    ipmitool("chassis", "power", "on")
    assert ipmitool.powered()
    ipmitool("chassis", "power", "off")
    wait_for(lambda: not ipmitool.powered(), "the power is off")
    ipmitool("chassis", "power", "off")


def test_a_power_cycle_is_off_and_on_again(ipmitool: Ipmitool, server: HeldServer) -> None:
    ipmitool("chassis", "power", "on")
    ipmitool("chassis", "power", "cycle")
    wait_for(lambda: server.power() == "off", "the power goes")
    wait_for(lambda: server.power() == "on", "the power comes back")


def test_the_power_that_the_bmc_reports_is_the_servers(ipmitool: Ipmitool, server: HeldServer) -> None:
    server.chassis.control("power_on")
    assert ipmitool.powered()
    server.chassis.control("power_off")
    assert not ipmitool.powered()


def test_a_server_without_a_system_refuses_a_soft_shutdown(ipmitool: Ipmitool, server: HeldServer) -> None:
    ipmitool("chassis", "power", "on")
    assert ipmitool.run("chassis", "power", "soft").returncode != 0
    assert server.power() == "on"
    ipmitool("chassis", "power", "reset")
    assert (server.power(), server.boots()) == ("on", 0)


@pytest.mark.parametrize(
    ("device", "reported"), [("disk", "Force Boot from default Hard-Drive"), ("none", "No override")]
)
def test_the_boot_device_is_chosen_and_read_back(ipmitool: Ipmitool, device: str, reported: str) -> None:
    ipmitool("chassis", "bootdev", device)
    assert f"Boot Device Selector : {reported}" in ipmitool("chassis", "bootparam", "get", "5")


def test_a_boot_device_that_the_server_has_not_is_refused(ipmitool: Ipmitool, server: HeldServer) -> None:
    ipmitool("chassis", "bootdev", "disk")
    assert "failed" in ipmitool.run("chassis", "bootdev", "pxe").stderr
    assert server.chassis.control("boot_device_get") == {"device": "disk"}


@pytest.mark.parametrize(
    "other",
    [{"password": "wrong-password"}, {"password": ""}, {"username": "nobody"}],
    ids=["wrong", "empty", "unknown"],
)
def test_who_is_not_known_gets_no_session(ipmitool: Ipmitool, other: dict[str, str]) -> None:
    refused = ipmitool.as_user(**other).run("chassis", "power", "on")
    assert refused.returncode != 0
    assert REFUSED in refused.stderr
    assert not ipmitool.powered()


@pytest.mark.parametrize("password", ["wrong-password", PASSWORD])
def test_a_session_that_would_prove_no_password_is_refused(ipmitool: Ipmitool, password: str) -> None:
    refused = ipmitool.as_user(password=password).run("chassis", "power", "on", cipher_suite="0")
    assert refused.returncode != 0
    assert REFUSED in refused.stderr
    assert not ipmitool.powered()


def test_the_system_guid_lasts(ipmitool: Ipmitool, endpoint: Endpoint, bmc_process: BmcProcess) -> None:
    before = ipmitool("mc", "guid")
    bmc_process.stop()
    bmc_process.start()
    assert ipmitool("mc", "guid") == before


def test_the_power_outlives_the_bmc(ipmitool: Ipmitool, server: HeldServer, bmc_process: BmcProcess) -> None:
    ipmitool("chassis", "power", "on")
    bmc_process.stop()
    assert server.power() == "on"
    bmc_process.start()
    assert ipmitool.powered()


def test_no_password_is_on_a_command_line_or_readable_by_others(bmc_process: BmcProcess) -> None:
    shown = bmc_process.command_lines()
    assert "ipmi_sim" in shown
    assert bmc_process.endpoint.password not in shown
    (configuration,) = bmc_process.files_with_password()
    assert configuration.stat().st_mode & 0o077 == 0
