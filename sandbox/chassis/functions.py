"""The PCIe functions a DPU can show its server: what they are, how a request describes them, how they are listed.

Pure: values in, values out. A function is its slot, kind and backing; two requests are the same when these are equal.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.chassis.errors import InvalidRequest, SlotEmpty

_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
_MULTICAST_BIT = 0x01
# A Unix socket's path: sun_path has 108 bytes, the last one zero (unix(7)).
_SOCKET_PATH_BYTES = 107
_BOOT_INDEX_MAX = 2**31 - 1
_PLUG_KEYS = {"slot", "kind", "backing", "mac", "boot_index"}


@dataclass(frozen=True, slots=True)
class DiskFunction:
    """A virtio-blk function served over the vhost-user socket at an absolute path."""

    slot: int
    vhost_socket: str
    boot_index: int | None = None

    kind = "virtio_blk"

    @property
    def backing(self) -> dict[str, str]:
        """The backing as requests and listings carry it."""
        return {"vhost_socket": self.vhost_socket}


@dataclass(frozen=True, slots=True)
class NicFunction:
    """A virtio-net function whose other end is the tap named representor; mac is lower-case with colons."""

    slot: int
    representor: str
    mac: str

    kind = "virtio_net"

    @property
    def backing(self) -> dict[str, str]:
        """The backing as requests and listings carry it."""
        return {"representor": self.representor}


Function = DiskFunction | NicFunction


def parse_function(params: Mapping[str, Any]) -> Function:
    """The function that ``emulation_plug``'s parameters describe; InvalidRequest says which one is wrong."""
    unknown = sorted(set(params) - _PLUG_KEYS)
    if unknown:
        raise InvalidRequest(
            f"emulation_plug: unknown parameter {unknown[0]}; known are {', '.join(sorted(_PLUG_KEYS))}"
        )
    match params.get("kind"):
        case "virtio_blk":
            return _parse_disk(params)
        case "virtio_net":
            return _parse_nic(params)
        case kind:
            raise InvalidRequest(f"emulation_plug: kind must be virtio_blk or virtio_net, not {kind!r}")


def check_fits(function: Function, *, slots: int, representors: Collection[str]) -> None:
    """SlotEmpty where the server has no such slot, or its DPU no such representor."""
    if not 1 <= function.slot <= slots:
        raise SlotEmpty(f"there is no slot {function.slot}: this server has slots 1 to {slots}")
    if isinstance(function, NicFunction) and function.representor not in representors:
        known = ", ".join(sorted(representors))
        raise SlotEmpty(f"there is no representor {function.representor}: this server's are {known}")


def parse_slot(params: Mapping[str, Any]) -> int:
    """The parameter ``slot``; whether the server has it is the chassis' to say."""
    slot = params.get("slot")
    if not isinstance(slot, int) or isinstance(slot, bool):
        raise InvalidRequest(f"slot must be a number, not {slot!r}")
    return slot


def record_of(function: Function) -> dict[str, Any]:
    """The function as JSON: what `parse_function` reads, and the constant part of a listing."""
    record: dict[str, Any] = {"slot": function.slot, "kind": function.kind, "backing": function.backing}
    match function:
        case DiskFunction(boot_index=int(boot_index)):
            record["boot_index"] = boot_index
        case NicFunction(mac=mac):
            record["mac"] = mac
        case DiskFunction():
            pass
    return record


def _parse_disk(params: Mapping[str, Any]) -> DiskFunction:
    if "mac" in params:
        raise InvalidRequest("emulation_plug: a virtio_blk function has no mac")
    path = _backing(params, "vhost_socket")
    if not path.startswith("/") or len(path.encode()) > _SOCKET_PATH_BYTES or "," in path:
        rule = f"an absolute path of at most {_SOCKET_PATH_BYTES} bytes without a comma"
        raise InvalidRequest(f"emulation_plug: backing.vhost_socket must be {rule}, not {path!r}")
    boot_index = params.get("boot_index")
    if boot_index is not None and not _is_boot_index(boot_index):
        raise InvalidRequest(f"emulation_plug: boot_index must be a number from 0 on, not {boot_index!r}")
    return DiskFunction(parse_slot(params), path, boot_index)


def _is_boot_index(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= _BOOT_INDEX_MAX


def _parse_nic(params: Mapping[str, Any]) -> NicFunction:
    if params.get("boot_index") is not None:
        raise InvalidRequest("emulation_plug: a virtio_net function cannot be booted from; leave boot_index out")
    mac = params.get("mac")
    if not isinstance(mac, str) or not _MAC.fullmatch(mac.lower()):
        raise InvalidRequest(f"emulation_plug: mac must be six bytes such as 52:54:00:12:34:56, not {mac!r}")
    if int(mac[:2], 16) & _MULTICAST_BIT:
        raise InvalidRequest(
            f"emulation_plug: mac {mac} is a multicast address; clear the lowest bit of the first byte"
        )
    return NicFunction(parse_slot(params), _backing(params, "representor"), mac.lower())


def _backing(params: Mapping[str, Any], key: str) -> str:
    backing = params.get("backing")
    if not isinstance(backing, dict) or set(backing) != {key} or not isinstance(backing[key], str):
        raise InvalidRequest(f'emulation_plug: backing of a {params["kind"]} function must be {{"{key}": text}}')
    return str(backing[key])
