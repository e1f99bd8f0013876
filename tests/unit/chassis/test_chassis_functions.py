"""What the chassis takes for a function, and what it refuses."""

from typing import Any

import pytest

from sandbox.chassis.errors import InvalidRequest
from sandbox.chassis.functions import DiskFunction, NicFunction, parse_function, record_of

DISK = {"slot": 1, "kind": "virtio_blk", "backing": {"vhost_socket": "/run/vda"}, "boot_index": 1}
NIC = {"slot": 3, "kind": "virtio_net", "backing": {"representor": "vm0"}, "mac": "52:54:00:AA:bb:01"}


def test_a_disk_and_a_nic_are_read() -> None:
    assert parse_function(DISK) == DiskFunction(1, "/run/vda", 1)
    assert parse_function(NIC) == NicFunction(3, "vm0", "52:54:00:aa:bb:01")


@pytest.mark.parametrize("params", [DISK, {**DISK, "boot_index": 0}, {**NIC, "mac": "52:54:00:aa:bb:01"}])
def test_a_function_survives_its_record(params: dict[str, Any]) -> None:
    function = parse_function(params)
    assert record_of(function) == params
    assert parse_function(record_of(function)) == function


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"kind": "nvme"}, "kind"),
        ({"slot": "1"}, "slot"),
        ({"slot": True}, "slot"),
        ({"backing": {"representor": "vm0"}}, "backing"),
        ({"backing": {"vhost_socket": "relative"}}, "vhost_socket"),
        ({"backing": {"vhost_socket": "/" + "x" * 107}}, "vhost_socket"),
        ({"backing": {"vhost_socket": "/run/a,server=on"}}, "vhost_socket"),
        ({"boot_index": -1}, "boot_index"),
        ({"mac": "52:54:00:aa:bb:01"}, "mac"),
        ({"serial": "x"}, "serial"),
    ],
)
def test_a_wrong_disk_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        parse_function({**DISK, **change})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"mac": None}, "mac"),
        ({"mac": "52:54:00:aa:bb"}, "mac"),
        ({"mac": "53:54:00:aa:bb:01"}, "multicast"),
        ({"boot_index": 2}, "boot_index"),
    ],
)
def test_a_wrong_nic_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        parse_function({**NIC, **change})
