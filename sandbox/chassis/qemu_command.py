"""QEMU's command line and hot-plug arguments, from what is plugged. Pure.

The firmware boots what the slots hold, in their boot order; nothing is handed to the guest past it (no -kernel, no
-initrd). Disks are vhost-user-blk with the write cache mode fixed: with ``config-wce`` on, the guest takes the disk for
write-through, sends no flush, and loses synced data when the storage process dies.
Source: QEMU's manual pages qemu-system-x86_64(1), and QAPI for the hot-plug commands.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.chassis.functions import DiskFunction, Function, NicFunction

_FUNCTIONS_PER_DEVICE = 8
_FIRST_PORT_DEVICE = 2
_RECONNECT_S = 1
# graphics=off: the firmware speaks on the serial port, so the console shows why a server does not boot.
_MACHINE = "q35,memory-backend=memory,graphics=off"
# A userspace datapath sees packets as the guest wrote them: no segment or checksum may be left to a later device.
_NO_OFFLOADS = dict.fromkeys(("csum", "gso", "host_tso4", "host_tso6", "host_ufo", "guest_csum"), False)


@dataclass(frozen=True, slots=True)
class Hardware:
    """What the server is made of, apart from what its DPU shows it."""

    name: str
    uuid: str
    cpus: int
    memory_mib: int
    slots: int


@dataclass(frozen=True, slots=True)
class Paths:
    """Where QEMU keeps its sockets and files."""

    qmp_socket: Path
    console_socket: Path
    console_log: Path
    pid_file: Path


def command_line(hardware: Hardware, paths: Paths, functions: Mapping[int, Function], netns: str) -> list[str]:
    """The whole command: QEMU in the network namespace netns, where the taps are."""
    options = [*_machine(hardware), *_sockets(paths), *_root_ports(hardware.slots)]
    for _, function in sorted(functions.items()):
        options += [*_backend_option(function), "-device", _option(device_arguments(function))]
    return ["ip", "netns", "exec", netns, "qemu-system-x86_64", *options]


def device_id(slot: int) -> str:
    """QEMU's name for the function in a slot."""
    return f"slot{slot}"


def backend_id(slot: int) -> str:
    """QEMU's name for what serves the function in a slot."""
    return f"slot{slot}-backend"


def device_arguments(function: Function) -> dict[str, Any]:
    """The arguments of QMP ``device_add``; the command line's -device has the same."""
    place = {"id": device_id(function.slot), "bus": f"port{function.slot}"}
    match function:
        case DiskFunction():
            order = {} if function.boot_index is None else {"bootindex": function.boot_index}
            backend = {"chardev": backend_id(function.slot), "num-queues": 1, "config-wce": False}
            return {"driver": "vhost-user-blk-pci", **place, **backend, **order}
        case NicFunction():
            backend = {"netdev": backend_id(function.slot), "mac": function.mac, "romfile": ""}
            return {"driver": "virtio-net-pci", **place, **backend, **_NO_OFFLOADS}


def chardev_arguments(function: DiskFunction) -> dict[str, Any]:
    """The arguments of QMP ``chardev-add`` for a disk's vhost-user socket."""
    address = {"type": "unix", "data": {"path": function.vhost_socket}}
    data = {"addr": address, "server": False, "reconnect": _RECONNECT_S}
    return {"id": backend_id(function.slot), "backend": {"type": "socket", "data": data}}


def netdev_arguments(function: NicFunction) -> dict[str, Any]:
    """The arguments of QMP ``netdev_add`` for a NIC's tap."""
    scripts = {"script": "no", "downscript": "no"}
    return {"type": "tap", "id": backend_id(function.slot), "ifname": function.representor, **scripts, "vhost": False}


def _machine(hardware: Hardware) -> list[str]:
    memory = f"memory-backend-memfd,id=memory,size={hardware.memory_mib}M,share=on"
    return [
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-name", hardware.name, "-uuid", hardware.uuid),
        *("-smbios", f"type=1,manufacturer=metalplane,product=server,serial={hardware.name}"),
        *("-accel", "tcg,thread=multi", "-cpu", "max", "-smp", str(hardware.cpus)),
        *("-m", f"{hardware.memory_mib}M", "-object", memory, "-machine", _MACHINE),
        *("-boot", "strict=on"),
    ]


def _sockets(paths: Paths) -> list[str]:
    console = f"socket,id=console,path={paths.console_socket},server=on,wait=off"
    return [
        *("-pidfile", str(paths.pid_file)),
        *("-chardev", f"socket,id=qmp,path={paths.qmp_socket},server=on,wait=off", "-mon", "chardev=qmp,mode=control"),
        *("-chardev", f"{console},logfile={paths.console_log},logappend=on", "-serial", "chardev:console"),
    ]


def _root_ports(count: int) -> list[str]:
    """One root port a slot: eight to a PCI device, as its functions."""
    options = []
    for slot in range(1, count + 1):
        device, function = divmod(slot - 1, _FUNCTIONS_PER_DEVICE)
        address = f"0x{_FIRST_PORT_DEVICE + device:x}.0x{function:x}"
        shared = ",multifunction=on" if function == 0 else ""
        options += ["-device", f"pcie-root-port,id=port{slot},chassis={slot},slot={slot},addr={address}{shared}"]
    return options


def _backend_option(function: Function) -> list[str]:
    match function:
        case DiskFunction():
            where = f"path={function.vhost_socket},reconnect={_RECONNECT_S}"
            return ["-chardev", f"socket,id={backend_id(function.slot)},{where}"]
        case NicFunction():
            return ["-netdev", _option(netdev_arguments(function), first="type")]


def _option(arguments: Mapping[str, Any], first: str = "driver") -> str:
    rest = [f"{key}={_text(value)}" for key, value in arguments.items() if key != first]
    return ",".join([str(arguments[first]), *rest])


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
