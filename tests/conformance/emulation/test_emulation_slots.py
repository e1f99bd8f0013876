"""The device-emulation seam as a DPU's agent meets it, with the server's power off: slots, repeats, refusals.

The suite knows the socket only; METALPLANE_EMULATION_SOCKET runs what needs no chassis against another back end.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.emulation.rig import Backend, Caller, ChassisProcess, Refused, disk, nic

BackendMaker = Callable[[str], Backend]


def refusal(call: Callable[[], Any]) -> int:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.code


@pytest.mark.parametrize("force", [False, True])
def test_what_is_plugged_is_listed_until_it_is_unplugged(emulation: Caller, backend: BackendMaker, force: bool) -> None:
    boot = disk(1, backend("vda").path, boot_index=1)
    assert emulation("emulation_function_list") == []
    assert emulation("emulation_plug", **nic(3)) is True
    assert emulation("emulation_plug", **boot) is True
    idle = {"state": "plugged", "driver_bound": False}
    assert emulation("emulation_function_list") == [{**boot, **idle}, {**nic(3), **idle}]
    assert emulation("emulation_unplug", slot=1, wait_for_done=True, force=force) is True
    assert emulation("emulation_function_list") == [{**nic(3), **idle}]


def test_the_same_call_again_is_true_and_a_different_one_finds_the_slot_occupied(
    emulation: Caller, backend: BackendMaker
) -> None:
    boot = disk(1, backend("vda").path, boot_index=1)
    other = disk(1, backend("vdb").path, boot_index=1)
    assert emulation("emulation_plug", **boot) is True
    assert emulation("emulation_plug", **boot) is True
    assert refusal(lambda: emulation("emulation_plug", **other)) == -17
    assert refusal(lambda: emulation("emulation_plug", **{**boot, "boot_index": 2})) == -17
    assert refusal(lambda: emulation("emulation_plug", **nic(1))) == -17


def test_a_disk_that_nobody_serves_is_not_plugged(emulation: Caller, backend: BackendMaker) -> None:
    gone = backend("vda")
    gone.close()
    assert refusal(lambda: emulation("emulation_plug", **disk(1, gone.path))) == -111
    assert emulation("emulation_function_list") == []


def test_one_backing_is_shown_once(emulation: Caller, backend: BackendMaker) -> None:
    served = backend("vda")
    emulation("emulation_plug", **disk(1, served.path))
    assert refusal(lambda: emulation("emulation_plug", **disk(2, served.path))) == -16
    emulation("emulation_plug", **nic(3))
    assert refusal(lambda: emulation("emulation_plug", **nic(4, mac="52:54:00:aa:bb:02"))) == -16


@pytest.mark.parametrize("slot", [0, 9, -1])
def test_a_slot_that_the_server_has_not(emulation: Caller, backend: BackendMaker, slot: int) -> None:
    assert refusal(lambda: emulation("emulation_plug", **disk(slot, backend("vda").path))) == -19
    assert refusal(lambda: emulation("emulation_unplug", slot=slot)) == -19


def test_an_empty_slot_and_an_unknown_representor(emulation: Caller) -> None:
    assert refusal(lambda: emulation("emulation_unplug", slot=1)) == -19
    assert refusal(lambda: emulation("emulation_plug", **nic(3, representor="vm7"))) == -19


@pytest.mark.parametrize(
    "params",
    [
        {},
        {**nic(3), "mac": None},
        {**nic(3), "kind": "nvme"},
        {**nic(3), "color": "red"},
        {**nic(3), "slot": "3"},
        disk(1, "relative/path"),
    ],
)
def test_wrong_parameters_are_named(emulation: Caller, params: dict[str, Any]) -> None:
    assert refusal(lambda: emulation("emulation_plug", **params)) == -32602


def test_an_unknown_method(emulation: Caller) -> None:
    assert refusal(lambda: emulation("emulation_paint")) == -32601


def test_each_pipelined_request_is_answered_under_its_id(emulation: Caller) -> None:
    calls = [{"jsonrpc": "2.0", "id": number, "method": "emulation_function_list"} for number in (7, 8, 2**52)]
    stream = "".join(json.dumps(call) for call in calls).encode()
    replies = [json.loads(line) for line in emulation.raw(stream).splitlines()]
    assert sorted(reply["id"] for reply in replies) == [7, 8, 2**52]
    assert all(reply["result"] == [] and reply["jsonrpc"] == "2.0" for reply in replies)


def test_what_is_no_json_closes_the_connection_without_a_reply(emulation: Caller) -> None:
    assert emulation.raw(b'{"jsonrpc":"2.0","id":1,"method":}') == b""
    assert emulation("emulation_function_list") == []


def test_slots_outlive_a_killed_chassis(chassis: ChassisProcess, backend: BackendMaker) -> None:
    chassis.emulation("emulation_plug", **disk(1, backend("vda").path, boot_index=1))
    chassis.emulation("emulation_plug", **nic(3))
    before = chassis.emulation("emulation_function_list")
    chassis.kill()
    chassis.start()
    assert chassis.emulation("emulation_function_list") == before


def test_each_request_is_in_the_log_before_it_is_answered(chassis: ChassisProcess) -> None:
    logged = len(chassis.requests.read_text().splitlines())
    chassis.emulation("emulation_plug", **nic(3))
    (line,) = chassis.requests.read_text().splitlines()[logged:]
    entry = json.loads(line)
    assert (entry["id"], entry["method"], entry["params"]) == (1, "emulation_plug", nic(3))
    assert isinstance(entry["at"], int)


def test_a_server_without_its_disk_has_power_but_does_not_boot(chassis: ChassisProcess, backend: BackendMaker) -> None:
    served = backend("vda")
    chassis.emulation("emulation_plug", **disk(1, served.path, boot_index=1))
    served.close()
    assert chassis.control("power_on") is True
    assert chassis.control("power_get") == {"power": "on"}
    assert refusal(lambda: chassis.control("power_soft")) == -112
    chassis.kill()
    chassis.start()
    assert chassis.control("power_get") == {"power": "on"}
    assert chassis.control("power_off") is True
    assert chassis.control("power_get") == {"power": "off"}
    assert chassis.control("boots") == 0


def test_a_server_that_is_off_can_be_neither_reset_nor_shut_down(chassis: ChassisProcess) -> None:
    assert refusal(lambda: chassis.control("power_reset")) == -112
    assert refusal(lambda: chassis.control("power_soft")) == -112
    assert chassis.control("power_off") is True


def test_the_boot_device_is_the_disk_or_not_chosen(chassis: ChassisProcess) -> None:
    assert chassis.control("boot_device_get") == {"device": "disk"}
    assert chassis.control("boot_device_set", device="none") is True
    assert chassis.control("boot_device_get") == {"device": "none"}
    assert refusal(lambda: chassis.control("boot_device_set", device="pxe")) == -32602
