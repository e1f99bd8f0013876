"""QEMU's command line says what is plugged, and nothing that would boot the server by a shorter way."""

from itertools import pairwise
from pathlib import Path

from sandbox.chassis.functions import DiskFunction, Function, NicFunction
from sandbox.chassis.qemu_command import Hardware, Paths, command_line, device_arguments

HARDWARE = Hardware("server0", "11111111-2222-3333-4444-555555555555", cpus=1, memory_mib=256, slots=10)
PATHS = Paths(Path("/run/qmp"), Path("/run/console"), Path("/s/console.log"), Path("/s/qemu.pid"))
FUNCTIONS: dict[int, Function] = {
    1: DiskFunction(1, "/run/vda", 1),
    2: DiskFunction(2, "/run/seed"),
    3: NicFunction(3, "vm0", "52:54:00:aa:bb:01"),
}


def command() -> list[str]:
    return command_line(HARDWARE, PATHS, FUNCTIONS, "mp-x-dpu0")


def devices(driver: str) -> list[str]:
    words = command()
    options = [value for flag, value in pairwise(words) if flag == "-device"]
    return [option for option in options if option.startswith(driver)]


def test_the_firmware_boots_what_the_slots_hold() -> None:
    assert not {"-kernel", "-initrd", "-append", "-drive", "-hda", "-cdrom"} & set(command())
    assert command()[:5] == ["ip", "netns", "exec", "mp-x-dpu0", "qemu-system-x86_64"]
    assert "strict=on" in command()


def test_a_disk_never_hides_flushes_from_its_guest() -> None:
    boot, seed = devices("vhost-user-blk-pci")
    assert boot == (
        "vhost-user-blk-pci,id=slot1,bus=port1,chardev=slot1-backend,num-queues=1,config-wce=off,bootindex=1"
    )
    assert "bootindex" not in seed
    assert "config-wce=off" in seed


def test_a_nic_offloads_nothing_to_the_datapath() -> None:
    (nic,) = devices("virtio-net-pci")
    assert nic.startswith("virtio-net-pci,id=slot3,bus=port3,netdev=slot3-backend,mac=52:54:00:aa:bb:01,romfile=,")
    assert {"csum=off", "gso=off", "host_tso4=off", "host_tso6=off", "host_ufo=off"} <= set(nic.split(","))


def test_every_slot_has_a_root_port_of_its_own() -> None:
    ports = devices("pcie-root-port")
    assert len(ports) == HARDWARE.slots
    addresses = [part for port in ports for part in port.split(",") if part.startswith("addr=")]
    assert len(set(addresses)) == HARDWARE.slots
    assert [port for port in ports if "multifunction=on" in port] == [ports[0], ports[8]]


def test_hot_plug_uses_the_same_device_as_the_command_line() -> None:
    arguments = device_arguments(FUNCTIONS[1])
    assert arguments["config-wce"] is False
    (option, _) = devices("vhost-user-blk-pci")
    assert {part.split("=")[0] for part in option.split(",")[1:]} == set(arguments) - {"driver"}
