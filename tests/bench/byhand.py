"""A server whose disks and NIC are put there by hand, without metalplane: what other ways of booting it are shown on.

It has a chassis of its own with the hardware of the cloud's server, and sits on the first DPU's switch in the first
tenant's VLAN. Its disks are served as the stand-in of SPDK serves them. The cloud's supervisor runs both processes, so
they go with the cloud.
"""

import json
import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dpu_handler import seed as seed_image
from provider.api.virtualdisk import SeedParameters
from provider.planning.seed import SeedNIC, render
from sandbox import fabric, inventory, network
from sandbox.cloud import DEFAULT_IMAGE, Cloud
from sandbox.ovs import BRIDGE
from sandbox.process import ProcessSpec, Ready
from tests.bench.provisioning import NAME, PREFIX_BITS, public_key
from tests.conformance.emulation.rig import Caller

DISK_BYTES = 1 << 30

_SERVER, REPRESENTOR = "bare0", "bare0"
MAC = "02:00:00:00:ba:7e"
NIC_SLOT = min(inventory.NIC_SLOTS)
_CHASSIS, _STORAGE = f"chassis-{_SERVER}", f"storage-{_SERVER}"


@dataclass(frozen=True, slots=True)
class Disk:
    """A file as a disk in a slot; of those with a boot index the firmware boots the lowest."""

    file: Path
    slot: int
    format: str = "raw"
    writable: bool = True
    boot_index: int | None = None

    @property
    def name(self) -> str:
        return self.file.stem


class ServerByHand:
    """Off and empty between boots."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.files = cloud.layout.files / _SERVER
        self.run = cloud.layout.run / _SERVER
        self._emulation = Caller(self.run / "emulation.sock")
        self._control = Caller(self.run / "control.sock")

    def up(self) -> None:
        """Have the chassis running and its representor in the tenant's VLAN."""
        for directory in (self.files, self.run):
            directory.mkdir()
        self.cloud.supervisor.start([self._chassis()])
        fabric.dpu_switch(self.cloud.layout, 0).ensure_port(BRIDGE, REPRESENTOR, vlan=inventory.FIRST_TENANT.vlan)

    @property
    def image(self) -> Path:
        """The golden image from which the cloud's machines are cloned."""
        images = self.cloud.layout.storage / "images"
        return images / f"{json.loads((images / f'{DEFAULT_IMAGE}.json').read_text())['sha256']}.raw"

    def clone(self, name: str, size_bytes: int = 0) -> Path:
        """A copy-on-write clone of the golden image, of its size or as large as asked for."""
        path = self.files / name
        path.unlink(missing_ok=True)
        size = [str(size_bytes)] if size_bytes else []
        backing = ("-b", str(self.image), "-F", "raw")
        network.run("qemu-img", "create", "-q", "-f", "qcow2", *backing, str(path), *size)
        return path

    def seed(self, name: str, address: str, user_data: bytes | None = None) -> Path:
        """What the product renders for the example machine, with this server's MAC and another address."""
        nic = SeedNIC("eth0", MAC, (f"{address}/{PREFIX_BITS}",), gateway=inventory.FIRST_TENANT.gateway)
        parameters = SeedParameters(hostname=NAME, ssh_authorized_keys=[public_key(self.cloud)])
        path = self.files / name
        path.unlink(missing_ok=True)
        seed_image.build(path, render(parameters, str(uuid.uuid4()), [nic], user_data))
        return path

    @contextmanager
    def serving(self, *disks: Disk) -> Iterator[None]:
        """With a storage daemon that serves these disks; to be left with the power off."""
        self.cloud.supervisor.start([self._storage(disks)])
        try:
            yield
        finally:
            self.cloud.supervisor.stop([_STORAGE])

    @contextmanager
    def powered(self, *disks: Disk) -> Iterator[None]:
        """With these disks and the NIC plugged and the power asked for; off and empty afterwards."""
        for disk in disks:
            self._plug(disk)
        nic = {"kind": "virtio_net", "backing": {"representor": REPRESENTOR}, "mac": MAC}
        self._emulation("emulation_plug", slot=NIC_SLOT, **nic)
        try:
            self._control("power_on")
            yield
        finally:
            self._control("power_off")
            for slot in (*(disk.slot for disk in disks), NIC_SLOT):
                self._emulation("emulation_unplug", slot=slot)

    def _plug(self, disk: Disk) -> None:
        order = {} if disk.boot_index is None else {"boot_index": disk.boot_index}
        backing = {"vhost_socket": str(self.socket(disk))}
        self._emulation("emulation_plug", slot=disk.slot, kind="virtio_blk", backing=backing, **order)

    def socket(self, disk: Disk) -> Path:
        """Where the storage daemon serves a disk."""
        return self.run / f"{disk.name}.sock"

    def _chassis(self) -> ProcessSpec:
        layout, size = self.cloud.layout, inventory.server_size(DEFAULT_IMAGE)
        options: Mapping[str, object] = {
            "server": _SERVER,
            "uuid": uuid.uuid5(uuid.NAMESPACE_URL, f"sandbox:{layout.id}:{_SERVER}"),
            "emulation-socket": self._emulation.path,
            "control-socket": self._control.path,
            "console-socket": self.run / "console.sock",
            "state-dir": self.files,
            "netns": layout.dpu_namespace(0),
            "representors": REPRESENTOR,
            "slots": inventory.SLOTS,
            "cpus": size.cpus,
            "memory-mib": size.memory_mib,
        }
        flags = tuple(f"--{name}={value}" for name, value in options.items())
        ready = tuple(Ready("unix", str(caller.path)) for caller in (self._control, self._emulation))
        return ProcessSpec(_CHASSIS, (sys.executable, "-m", "sandbox.chassis", *flags), ready=ready)

    def _storage(self, disks: tuple[Disk, ...]) -> ProcessSpec:
        """One storage daemon that serves all disks as the stand-in of SPDK does."""
        program = shutil.which("qemu-storage-daemon")
        assert program is not None, "make setup installs it"
        argv = [program]
        for disk in disks:
            source = f"file.driver=file,file.filename={disk.file},read-only={_switch(not disk.writable)}"
            argv += ["--blockdev", f"driver={disk.format},node-name={disk.name},{source}"]
            argv += ["--export", self._export(disk)]
        ready = tuple(Ready("unix", str(self.socket(disk))) for disk in disks)
        return ProcessSpec(_STORAGE, tuple(argv), ready=ready)

    def _export(self, disk: Disk) -> str:
        mode = f"writable={_switch(disk.writable)},writethrough=off,num-queues=1,logical-block-size=512"
        where = f"addr.type=unix,addr.path={self.socket(disk)}"
        return f"type=vhost-user-blk,id=export-{disk.name},node-name={disk.name},{where},{mode}"


def _switch(on: bool) -> str:
    return "on" if on else "off"
