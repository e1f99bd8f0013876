"""A server with power: booted by its firmware from an emulated disk, with devices that come and go while it runs.

One boot in all. The disk is a copy of the golden image behind a plain qemu-storage-daemon.
"""

import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pycdlib
import pytest
import yaml

from sandbox.images import Image, build, cache
from tests.conformance.emulation.rig import Backend, ChassisProcess, Refused, disk, nic
from tests.waiting import wait_for

MAC = "52:54:00:aa:bb:01"
ADDRESS = "10.99.0.11"
BOOT_TIMEOUT_S = 60.0


class StorageDaemon:
    """Serves raw files as vhost-user disks: name -> (file, writable)."""

    def __init__(self, directory: Path, disks: dict[str, tuple[Path, bool]]) -> None:
        self._sockets = {name: directory / f"{name}.sock" for name in disks}
        options = []
        for name, (file, writable) in disks.items():
            access = "off" if writable else "on"
            options += ["--blockdev", f"driver=file,node-name={name},filename={file},read-only={access}"]
            served = f"id={name},node-name={name},addr.type=unix,addr.path={self._sockets[name]},num-queues=1"
            options += ["--export", f"type=vhost-user-blk,{served},writable={'on' if writable else 'off'}"]
        self._process = subprocess.Popen(["qemu-storage-daemon", *options])
        wait_for(lambda: all(path.exists() for path in self._sockets.values()), "the storage daemon serves its disks")

    def socket(self, name: str) -> str:
        return str(self._sockets[name])

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The golden image."""
    return build("tiny", tmp_path_factory.mktemp("images"))


def write_seed(path: Path, key: str) -> None:
    """A NoCloud seed with one address."""
    network = {"ethernets": {"eth0": {"match": {"macaddress": MAC}, "addresses": [f"{ADDRESS}/24"]}}, "version": 2}
    identity = {"instance-id": str(uuid.uuid4()), "local-hostname": "bm-test", "public-keys": [key]}
    documents = {
        "meta-data": yaml.safe_dump(identity),
        "network-config": yaml.safe_dump(network),
        "user-data": "#cloud-config\nruncmd:\n- echo user data has run > /dev/console\n",
    }
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="cidata")
    for number, (name, text) in enumerate(documents.items()):
        (path.parent / name).write_text(text)
        iso.add_file(str(path.parent / name), f"/F{number}.;1", rr_name=name, joliet_path=f"/{name}")
    iso.write(str(path))
    iso.close()


@pytest.fixture
def storage(short_path: Path, tiny: Image) -> Iterator[StorageDaemon]:
    """A root disk made of the image, and the seed."""
    key = short_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    subprocess.run(["cp", "--sparse=always", str(tiny.path), str(short_path / "root.raw")], check=True)
    write_seed(short_path / "seed.iso", key.with_suffix(".pub").read_text().strip())
    served = {"root": (short_path / "root.raw", True), "seed": (short_path / "seed.iso", False)}
    daemon = StorageDaemon(short_path, served)
    yield daemon
    daemon.stop()


class Machine:
    """The booted server, seen from the network."""

    def __init__(self, chassis: ChassisProcess, key: Path) -> None:
        self._chassis = chassis
        self._key = key

    def answers(self) -> bool:
        ping = ["ip", "netns", "exec", self._chassis.netns, "ping", "-q", "-c", "1", "-W", "1", ADDRESS]
        return subprocess.run(ping, check=False, stdout=subprocess.DEVNULL).returncode == 0

    def run(self, command: str) -> str:
        """Run a command as root over SSH and return what it prints."""
        done = self._ssh(command)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def lets_in(self) -> bool:
        return self._ssh("true").returncode == 0

    def _ssh(self, command: str) -> subprocess.CompletedProcess[str]:
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=20"]
        ssh = ["ssh", "-i", str(self._key), *(word for option in options for word in ("-o", option))]
        where = ["ip", "netns", "exec", self._chassis.netns]
        return subprocess.run([*where, *ssh, f"root@{ADDRESS}", command], check=False, capture_output=True, text=True)


def power_is(chassis: ChassisProcess, power: str) -> bool:
    return bool(chassis.control("power_get") == {"power": power})


def bound(chassis: ChassisProcess, slot: int) -> bool:
    return any(item["slot"] == slot and item["driver_bound"] for item in chassis.emulation("emulation_function_list"))


def test_a_server_boots_runs_and_shuts_down(
    chassis: ChassisProcess,
    storage: StorageDaemon,
    short_path: Path,
    backend: Callable[[str], Backend],
    record_property: Callable[[str, object], None],
) -> None:
    emulation, control = chassis.emulation, chassis.control
    machine = Machine(chassis, short_path / "id")
    subprocess.run(["ip", "-n", chassis.netns, "address", "add", "10.99.0.1/24", "dev", "vm0"], check=True)
    emulation("emulation_plug", **disk(1, storage.socket("root"), boot_index=1))
    emulation("emulation_plug", **disk(2, storage.socket("seed")))
    emulation("emulation_plug", **nic(3, mac=MAC))

    # Firmware, boot loader, kernel, seed: nothing but the slots' disks was given to it.
    started = time.monotonic()
    control("power_on")
    wait_for(machine.answers, f"{ADDRESS} answers ping; console: {chassis.console()[-500:]}", BOOT_TIMEOUT_S)
    record_property("power_on_to_ping_s", round(time.monotonic() - started, 1))
    assert "loading the kernel from (hd0,msdos1)" in chassis.console()
    arguments = Path(f"/proc/{chassis.qemu_pid()}/cmdline").read_bytes().split(b"\0")
    assert not {b"-kernel", b"-initrd", b"-append"} & set(arguments)
    assert control("boots") == 1
    wait_for(lambda: all(bound(chassis, slot) for slot in (1, 2, 3)), "drivers of all three functions")
    wait_for(lambda: "user data has run" in chassis.console(), "user-data runs")
    wait_for(machine.lets_in, "root logs in with the seed's key")
    root, kernel = machine.run("mount | grep ' / '; cat /proc/cmdline").splitlines()
    assert root.startswith("/dev/vda1 on / type ext4 (rw")
    assert "root=LABEL=metalplane-root" in kernel

    # A killed chassis finds the running server again; a second power-on changes nothing.
    qemu = chassis.qemu_pid()
    chassis.kill()
    assert machine.answers()
    chassis.start()
    assert power_is(chassis, "on")
    assert chassis.qemu_pid() == qemu
    control("power_on")
    assert control("boots") == 1

    # Devices come and go.
    wait_for(lambda: bound(chassis, 2), "the new chassis sees the drivers")
    assert emulation("emulation_unplug", slot=2, wait_for_done=True) is True
    assert machine.run("ls /sys/block").split() == ["vda"]
    emulation("emulation_plug", **disk(5, storage.socket("seed")))
    emulation("emulation_plug", **nic(6, representor="vm1", mac="52:54:00:aa:bb:02"))
    wait_for(lambda: bound(chassis, 5) and bound(chassis, 6), "drivers of the hot-plugged functions")
    assert machine.run("cat /sys/class/net/eth1/address").strip() == "52:54:00:aa:bb:02"
    dead = backend("dead")
    dead.close()
    with pytest.raises(Refused) as caught:
        emulation("emulation_plug", **disk(7, dead.path))
    assert caught.value.code == -111
    assert machine.answers(), "a refused plug must not freeze the server"

    # A pulled cable.
    control("link_set", slot=3, up=False)
    assert not machine.answers()
    control("link_set", slot=3, up=True)
    wait_for(machine.answers, "the server answers again once its cable is back")

    # The power button; data that was synced is on the disk behind.
    machine.run("echo kept > /root/kept && sync")
    control("power_soft")
    wait_for(lambda: power_is(chassis, "off"), "the server shuts down", BOOT_TIMEOUT_S)
    wait_for(lambda: not Path(f"/proc/{qemu}").exists(), "QEMU's process is gone")
    assert b"kept\n" in (short_path / "root.raw").read_bytes()
    assert not any(item["driver_bound"] for item in emulation("emulation_function_list"))
    assert control("boots") == 1


def test_the_image_is_the_same_whoever_builds_it(tiny: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = tmp_path / "cache/metalplane/images/packages"
    packages.parent.mkdir(parents=True)
    shutil.copytree(cache.directory() / "packages", packages)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    again = build("tiny", tmp_path)
    assert again.sha256 == tiny.sha256
    assert again.size_bytes % (4 * 1024 * 1024) == 0
