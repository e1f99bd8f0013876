"""The same boot without metalplane: what the firmware, the boot loader and the kernel of the image cost by themselves.

A chassis of its own, with the hardware of the cloud's server, gets a clone of the same image, a seed with the same
address and a NIC in the same VLAN, all put there by hand. The clock starts as the power is asked for, at the chassis'
own socket.
"""

import json
import shutil
import sys
import time
import uuid
from pathlib import Path

from dpu_handler import seed as seed_image
from provider.api.virtualdisk import SeedParameters
from provider.function.children import BOOT_SLOT, SEED_SLOT
from provider.planning.seed import SeedNIC, render
from sandbox import fabric, inventory, network
from sandbox.cloud import DEFAULT_IMAGE, Cloud
from sandbox.ovs import BRIDGE
from sandbox.process import ProcessSpec, Ready
from tests.bench.firstreply import FirstReply
from tests.bench.provisioning import ADDRESS, BOOT_S, NAME, PREFIX_BITS, public_key
from tests.conformance.emulation.rig import Caller

_SERVER, _REPRESENTOR = "bare0", "bare0"
_MAC = "02:00:00:00:ba:7e"
_STORAGE = "storage-bare0"
_DISK_BYTES = 1 << 30
_NIC_SLOT = min(inventory.NIC_SLOTS)
_CHASSIS = f"chassis-{_SERVER}"


class BareServer:
    """A second server on the first DPU's switch; the cloud's supervisor runs it, so it goes with the cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._files = cloud.layout.files / _SERVER
        self._run = cloud.layout.run / _SERVER
        self._emulation = Caller(self._run / "emulation.sock")
        self._control = Caller(self._run / "control.sock")

    def up(self) -> None:
        """Have the chassis running and its representor in the tenant's VLAN."""
        for directory in (self._files, self._run):
            directory.mkdir()
        self._cloud.supervisor.start([self._chassis()])
        fabric.dpu_switch(self._cloud.layout, 0).ensure_port(BRIDGE, _REPRESENTOR, vlan=inventory.FIRST_TENANT.vlan)

    def boot(self) -> float:
        """Seconds from asking for power to the first reply; the server is off and empty again afterwards."""
        self._fill()
        try:
            with FirstReply(self._cloud, ADDRESS) as reply:
                began = time.monotonic()
                self._control("power_on")
                return reply.wait(BOOT_S) - began
        finally:
            self._empty()

    def _fill(self) -> None:
        self._clone()
        seed_image.build(self._files / "seed.iso", _seed(public_key(self._cloud)))
        self._cloud.supervisor.start([self._storage()])
        for slot, socket, more in ((BOOT_SLOT, "root", {"boot_index": 1}), (SEED_SLOT, "seed", {})):
            backing = {"vhost_socket": str(self._run / f"{socket}.sock")}
            self._emulation("emulation_plug", slot=slot, kind="virtio_blk", backing=backing, **more)
        nic = {"kind": "virtio_net", "backing": {"representor": _REPRESENTOR}, "mac": _MAC}
        self._emulation("emulation_plug", slot=_NIC_SLOT, **nic)

    def _empty(self) -> None:
        self._control("power_off")
        for slot in (BOOT_SLOT, SEED_SLOT, _NIC_SLOT):
            self._emulation("emulation_unplug", slot=slot)
        self._cloud.supervisor.stop([_STORAGE])

    def _clone(self) -> None:
        """A copy-on-write clone of the golden image, as large as the machine's disk."""
        images = self._cloud.layout.storage / "images"
        image = images / f"{json.loads((images / f'{DEFAULT_IMAGE}.json').read_text())['sha256']}.raw"
        clone = self._files / "root.qcow2"
        clone.unlink(missing_ok=True)
        backing = ("-b", str(image), "-F", "raw")
        network.run("qemu-img", "create", "-q", "-f", "qcow2", *backing, str(clone), str(_DISK_BYTES))

    def _chassis(self) -> ProcessSpec:
        layout, size = self._cloud.layout, inventory.server_size(DEFAULT_IMAGE)
        options: dict[str, object] = {
            "server": _SERVER,
            "uuid": uuid.uuid5(uuid.NAMESPACE_URL, f"sandbox:{layout.id}:{_SERVER}"),
            "emulation-socket": self._emulation.path,
            "control-socket": self._control.path,
            "console-socket": self._run / "console.sock",
            "state-dir": self._files,
            "netns": layout.dpu_namespace(0),
            "representors": _REPRESENTOR,
            "slots": inventory.SLOTS,
            "cpus": size.cpus,
            "memory-mib": size.memory_mib,
        }
        flags = tuple(f"--{name}={value}" for name, value in options.items())
        ready = tuple(Ready("unix", str(caller.path)) for caller in (self._control, self._emulation))
        return ProcessSpec(_CHASSIS, (sys.executable, "-m", "sandbox.chassis", *flags), ready=ready)

    def _storage(self) -> ProcessSpec:
        """One storage daemon that serves both disks as the stand-in of SPDK does."""
        program = shutil.which("qemu-storage-daemon")
        assert program is not None, "make setup installs it"
        argv = [program]
        for name, driver, file in (("root", "qcow2", "root.qcow2"), ("seed", "raw", "seed.iso")):
            read_only = "on" if name == "seed" else "off"
            source = f"file.driver=file,file.filename={self._files / file},read-only={read_only}"
            argv += ["--blockdev", f"driver={driver},node-name={name},{source}"]
            argv += ["--export", _export(name, self._run / f"{name}.sock", writable=name != "seed")]
        ready = tuple(Ready("unix", str(self._run / f"{name}.sock")) for name in ("root", "seed"))
        return ProcessSpec(_STORAGE, tuple(argv), ready=ready)


def _export(name: str, socket: Path, *, writable: bool) -> str:
    mode = f"writable={'on' if writable else 'off'},writethrough=off,num-queues=1,logical-block-size=512"
    return f"type=vhost-user-blk,id=export-{name},node-name={name},addr.type=unix,addr.path={socket},{mode}"


def _seed(key: str) -> dict[str, bytes]:
    """What the product renders for the example machine, with this server's MAC."""
    nic = SeedNIC("eth0", _MAC, (f"{ADDRESS}/{PREFIX_BITS}",), gateway=inventory.FIRST_TENANT.gateway)
    return render(SeedParameters(hostname=NAME, ssh_authorized_keys=[key]), str(uuid.uuid4()), [nic], None)
