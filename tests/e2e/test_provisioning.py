"""One machine's life, as its tenant and its operator see it: from ``kubectl apply`` to nothing left."""

import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from provider.api import rights
from provider.api.names import dpu_user
from sandbox import fabric
from sandbox.cloud import Cloud
from sandbox.inventory import PROVIDER_USER
from sandbox.targets import TargetProcess, dpu_target
from tests.conformance.emulation.rig import Caller
from tests.conformance.spdk.wire import Wire
from tests.e2e.inventory import inventory, wait_as_before
from tests.e2e.rights_used import may_write, wrote
from tests.e2e.tenant import ADDRESS, BOOT_S, NAMESPACE, Machine, Tenant, paused, renewals, restart
from tests.waiting import wait_for

NOTICED_S = 15.0
ROOT = {"name": "root", "boot": True, "image": "tiny", "size": "1Gi"}
DATA = {"name": "data", "size": "64Mi", "keep": True}
GROWN = DATA | {"size": "128Mi"}
MIB = 1 << 20


@pytest.fixture(scope="module")
def before(cloud: Cloud) -> Counter[str]:
    """What was there before the machine."""
    return inventory(cloud)


@pytest.fixture(scope="module")
def machine(cloud: Cloud, before: Counter[str]) -> Iterator[Machine]:
    """A machine that runs, with a data disk to keep, for all the tests of this file."""
    tenant = Tenant(cloud)
    try:
        machine = tenant.apply(disks=[ROOT, DATA], terminationGracePeriodSeconds=5)
        machine.wait_running()
        wait_for(machine.lets_in, "the machine lets its tenant in")
        yield machine
    finally:
        tenant.delete_everything()


@pytest.fixture(scope="module")
def control(cloud: Cloud) -> Caller:
    """The chassis' own socket: the hand that pulls the server's cable."""
    return Caller(cloud.layout.server_run(0) / "control.sock")


@pytest.fixture
def dpu_port(cloud: Cloud, machine: Machine) -> Iterator["Port"]:
    port = Port(cloud)
    yield port
    wait_for(machine.answers, "the machine answers again")
    machine.wait_running()


class Port:
    """The machine's port on its DPU's switch, as a hand with ovs-vsctl reaches it."""

    def __init__(self, cloud: Cloud) -> None:
        self._database = fabric.dpu_switch(cloud.layout, 0).database_socket

    def change(self, *arguments: str) -> str:
        argv = ["ovs-vsctl", f"--db=unix:{self._database}", *arguments]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def test_the_machine_answers_and_says_so(machine: Machine) -> None:
    assert machine.answers()
    seen = machine.get()
    assert seen["status"]["printableStatus"] == "Running"
    assert seen["status"]["addresses"] == [f"{ADDRESS}/24"]
    assert seen["status"]["powerState"] == "On"
    assert machine.steps() == ["ServerBound", "VolumesReady", "NICsReady", "DisksReady", "PoweredOn", "Answering"]
    tenant = machine.tenant
    tenant.kubectl.run("wait", "--for=condition=Ready", f"bmm/{machine.name}", "-n", NAMESPACE, "--timeout=10s")
    line = tenant.kubectl.run("get", "bmm", "-n", NAMESPACE, "--no-headers").split()
    assert line[:4] == ["bm-01", "Running", "server0", f"{ADDRESS}/24"]


def test_what_happened_to_it_stands_in_its_events(machine: Machine) -> None:
    argv = ("get", "events", "-n", NAMESPACE, f"--field-selector=involvedObject.name={machine.name}", "-o", "json")
    wait_for(lambda: "the machine answers at" in machine.tenant.kubectl.run(*argv), "the event Running")


def test_its_firmware_booted_it_from_the_emulated_disk(machine: Machine, cloud: Cloud) -> None:
    pid = int((cloud.layout.server(0) / "qemu.pid").read_text())
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    assert not {b"-kernel", b"-initrd", b"-append"} & set(arguments)
    assert "server0" in Path(os.environ["METALPLANE_BOOT_LEDGER"]).read_text(), "boots are counted"
    assert machine.run("mount | grep ' / '").startswith("/dev/vda1 on / type ext4 (rw")
    sizes = machine.run("cat /sys/block/vda/size /sys/block/vdb/size /sys/block/vdc/size").split()
    assert {(1 << 30) // 512, (64 << 20) // 512} <= {int(size) for size in sizes}


def test_it_reads_its_seed(machine: Machine) -> None:
    assert machine.run("hostname").strip() == "bm-01"
    assert f"inet {ADDRESS}/24" in machine.run("ip addr show eth0")
    assert machine.tenant.public_key() in machine.run("cat /root/.ssh/authorized_keys")


class DataDisk:
    """The machine's data disk as its operating system sees it, by its size: names change when it is plugged again."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def device(self, size_bytes: int) -> str:
        """Its name once there is a disk of that size."""
        grep = f"grep -lx {size_bytes // 512} /sys/block/vd*/size || true"
        path = wait_for(lambda: self._machine.run(grep).strip(), f"the machine sees {size_bytes // MIB} MiB")
        return path.split("/")[3]

    def write(self, device: str, at_mib: int, word: str) -> None:
        """Write a MiB of the word, down to the storage."""
        self._machine.run(f"yes {word} | dd of=/dev/{device} bs=1M count=1 seek={at_mib} iflag=fullblock conv=fsync")

    def read(self, device: str, at_mib: int) -> str:
        """The first word of that MiB, read from the storage."""
        self._machine.run("echo 3 > /proc/sys/vm/drop_caches")
        return self._machine.run(f"dd if=/dev/{device} bs=1M count=1 skip={at_mib} | head -n1").strip()


@pytest.fixture
def data_disk(machine: Machine) -> DataDisk:
    return DataDisk(machine)


def test_its_disk_grows_under_it(machine: Machine, data_disk: DataDisk, cloud: Cloud) -> None:
    boots = Caller(cloud.layout.server_run(0) / "control.sock")("boots")
    device = data_disk.device(64 * MIB)
    data_disk.write(device, 3, "before")
    machine.patch({"disks": [ROOT, GROWN]})
    assert data_disk.device(128 * MIB) == device
    assert data_disk.read(device, 3) == "before"
    data_disk.write(device, 127, "beyond")
    assert data_disk.read(device, 127) == "beyond"
    machine.wait_running()
    assert Caller(cloud.layout.server_run(0) / "control.sock")("boots") == boots


def test_a_disk_in_use_whose_attachment_was_deleted_by_hand_fails_its_requests_and_comes_back(
    machine: Machine, data_disk: DataDisk, cloud: Cloud
) -> None:
    if cloud.spdk.are_one:
        pytest.skip("the DPU's target is the storage node's: a volume under a disk is not taken from it")
    restarts = restarts_of(cloud, "spdk-dpu0")
    device = data_disk.device(128 * MIB)
    writes = f"dd if=/dev/zero of=/dev/{device} bs=64k seek=64 count=16 conv=fsync"
    machine.start(f"while {writes}; do :; done; echo > /failed")
    cloud.kubectl.run("delete", f"volumeattachment/{attachment_of(cloud, '128Mi')}", "--wait=false")
    wait_for(lambda: machine.run("test -e /failed && echo yes || true"), "the requests under way fail", 60.0)
    wait_for(lambda: data_disk.read(data_disk.device(128 * MIB), 3) == "before", "the disk is back", 60.0)
    device = data_disk.device(128 * MIB)
    assert data_disk.read(device, 127) == "beyond"
    data_disk.write(device, 5, "again")
    assert data_disk.read(device, 5) == "again"
    machine.wait_running()
    assert restarts_of(cloud, "spdk-dpu0") == restarts


def attachment_of(cloud: Cloud, size: str) -> str:
    """Name of the VolumeAttachment of the only volume of that size."""
    volumes = cloud.kubectl.get("persistentvolumes")["items"]
    (volume,) = [each["metadata"]["name"] for each in volumes if each["spec"]["capacity"]["storage"] == size]
    attachments = cloud.kubectl.get("volumeattachments")["items"]
    held = {each["spec"]["source"]["persistentVolumeName"]: each["metadata"]["name"] for each in attachments}
    return str(held[volume])


def test_with_its_cable_pulled_it_runs_no_longer_though_it_has_power(machine: Machine, control: Caller) -> None:
    functions = Caller(machine.tenant.cloud.layout.dpu_run(0) / "emulation.sock")("emulation_function_list")
    (slot,) = [each["slot"] for each in functions if each["kind"] == "virtio_net"]
    control("link_set", slot=slot, up=False)
    try:
        machine.wait_status("Starting", within_s=NOTICED_S)
        assert control("power_get") == {"power": "on"}
        assert machine.condition()["reason"] == "WaitingForAnswer"
        assert machine.condition("Ready")["status"] == "False"
    finally:
        control("link_set", slot=slot, up=True)
    machine.wait_running(NOTICED_S)


def test_a_tag_changed_by_hand_is_put_back(dpu_port: Port, machine: Machine, cloud: Cloud) -> None:
    with paused(cloud, "agent-dpu0"):
        dpu_port.change("set", "port", "vm0", "tag=999")
        wait_for(lambda: not machine.answers(), "ping stops")
    wait_for(lambda: dpu_port.change("get", "port", "vm0", "tag") == "100", "the tag is as it was")


def test_a_port_removed_by_hand_is_put_back(dpu_port: Port, machine: Machine, cloud: Cloud) -> None:
    with paused(cloud, "agent-dpu0"):
        dpu_port.change("del-port", "vm0")
        wait_for(lambda: not machine.answers(), "ping stops")
    wait_for(lambda: "vm0" in dpu_port.change("list-ports", "br0").split(), "the port is there")


def test_a_target_that_was_restarted_empty_gets_its_disks_back(machine: Machine, cloud: Cloud) -> None:
    target = dpu_target(cloud.layout, 0)
    held = names_of(target, "bdev_get_bdevs", "name")
    machine.run("echo written > /root/mark && sync")
    restart(cloud, target.name)
    wait_for(lambda: held == names_of(target, "bdev_get_bdevs", "name"), "the bdevs are back")
    machine.run("echo 3 > /proc/sys/vm/drop_caches")
    assert machine.run("cat /root/mark").strip() == "written"


def test_the_storage_nodes_target_too(machine: Machine, cloud: Cloud) -> None:
    if cloud.spdk.are_one:
        pytest.skip("the DPU's target is the storage node's")
    target = cloud.storage_target
    held = names_of(target, "nvmf_get_subsystems", "nqn")
    restart(cloud, target.name)
    wait_for(lambda: held == names_of(target, "nvmf_get_subsystems", "nqn"), "the exports are back")
    machine.run("echo 3 > /proc/sys/vm/drop_caches")
    assert machine.run("sync; cat /root/mark").strip() == "written"


def names_of(target: TargetProcess, method: str, noun: str) -> set[str]:
    with Wire(target.socket) as wire:
        return {each[noun] for each in wire.call(method)}


def test_the_provider_and_the_agent_may_be_killed_under_it(machine: Machine, cloud: Cloud) -> None:
    boots = Caller(cloud.layout.server_run(0) / "control.sock")("boots")
    restart(cloud, "provider", "agent-dpu0", "lvol", "chassis-server0", "bmc-server0")
    machine.wait_running()
    assert machine.answers()
    assert Caller(cloud.layout.server_run(0) / "control.sock")("boots") == boots


def test_a_disk_and_a_nic_come_and_go_by_one_command_each(machine: Machine, data_disk: DataDisk, cloud: Cloud) -> None:
    boots = Caller(cloud.layout.server_run(0) / "control.sock")("boots")
    tenant = machine.tenant
    tenant.bmctl("addvolume", machine.name, "scratch", "--size=96Mi", "--keep=false")
    device = data_disk.device(96 * MIB)
    data_disk.write(device, 3, "scratch")
    tenant.bmctl("expand", machine.name, "scratch", "--size=160Mi")
    assert data_disk.device(160 * MIB) == device
    tenant.bmctl("addnic", machine.name, "eth1", "--network=tenant-a")
    assert "eth1" in machine.run("ls /sys/class/net").split()
    tenant.bmctl("removenic", machine.name, "eth1")
    assert "eth1" not in machine.run("ls /sys/class/net").split()
    tenant.bmctl("removevolume", machine.name, "scratch")
    assert device not in machine.run("ls /sys/block").split()
    machine.wait_running()
    assert Caller(cloud.layout.server_run(0) / "control.sock")("boots") == boots


def test_its_console_is_heard_though_its_bmc_was_killed(machine: Machine) -> None:
    def heard() -> bool:
        machine.run("echo still here > /dev/ttyS0")
        return "still here" in machine.tenant.bmctl("logs", machine.name)

    wait_for(heard, "the console is connected again", 60.0)


def test_it_is_restarted_once_though_the_provider_is_killed_meanwhile(machine: Machine, cloud: Cloud) -> None:
    control = Caller(cloud.layout.server_run(0) / "control.sock")
    boots = control("boots")
    machine.tenant.bmctl("restart", machine.name, "--no-wait")
    wait_for(lambda: machine.request().get("phase") == "PoweringOff", "the shutdown is asked for")
    restart(cloud, "provider")
    wait_for(lambda: machine.request().get("phase") == "Succeeded", "the restart is done", BOOT_S)
    machine.wait_running()
    wait_for(machine.lets_in, "the machine lets its tenant in")
    assert control("boots") == boots + 1


def test_its_console_tells_of_both_boots(machine: Machine) -> None:
    def log() -> str:
        return machine.tenant.bmctl("logs", machine.name)

    wait_for(lambda: log().rstrip().endswith(f"{machine.name} login:"), "the machine asks who logs in")
    assert log().count("loading the kernel") == 2


def test_a_machine_at_rest_is_written_to_by_nobody(machine: Machine, cloud: Cloud) -> None:
    kinds = (
        "bmm,serverclaims,volumes.metalplane.io,virtualdisks,virtualnics,powerstates,emulateddisks,emulatednics,"
        "servers.metalplane.io,pvc,pv,volumeattachments"
    )
    versions = ("get", kinds, "-A", "-o", "jsonpath={.items[*].metadata.resourceVersion}")
    seen = {process: renewals(cloud, process) for process in ("provider", "agent-dpu0")}
    before = machine.tenant.kubectl.run(*versions)
    # Both have been at work meanwhile: each has renewed its Lease.
    for process, moment in seen.items():
        wait_for(partial(_renewed_after, cloud, process, moment), f"{process} renews its Lease")
    assert machine.tenant.kubectl.run(*versions) == before


def _renewed_after(cloud: Cloud, process: str, moment: str) -> bool:
    return renewals(cloud, process) != moment


def test_deleted_while_its_storage_is_silent_it_leaves_what_it_was_to_keep_and_nothing_else(
    machine: Machine, cloud: Cloud, before: Counter[str]
) -> None:
    restarts = restarts_of(cloud, "spdk-dpu0")
    machine.start("while dd if=/dev/zero of=/root/x bs=64k count=64 conv=fsync; do :; done")
    with ExitStack() as silence:
        if not cloud.spdk.are_one:
            silence.enter_context(paused(cloud, cloud.storage_target.name))
        machine.delete()
        wait_for(lambda: not slots_of_disks(cloud), "all its disks are off the DPU", 90.0)
    machine.wait_gone()
    assert restarts_of(cloud, "spdk-dpu0") == restarts
    kept = machine.tenant.kubectl.get("pvc", "-n", NAMESPACE)["items"]
    assert [each["spec"]["resources"]["requests"]["storage"] for each in kept] == ["128Mi"]
    machine.tenant.delete_everything()
    wait_as_before(cloud, before)
    assert_rights_have_nothing_spare(cloud)


def assert_rights_have_nothing_spare(cloud: Cloud) -> None:
    """After a whole life: all that may be written was, and nothing that was refused."""
    log = cloud.layout.log / "audit.jsonl"
    where = (rights.provider, rights.engine, rights.provider_at_home, rights.provider_at_dpu)
    unused = may_write([rule for rules in where for rule in rules()]) - wrote(log, PROVIDER_USER)
    assert unused == set()
    assert may_write(rights.agent()) - wrote(log, dpu_user("dpu0")) == set()


def slots_of_disks(cloud: Cloud) -> set[int]:
    return {disk["spec"]["slot"] for disk in cloud.kubectl.get("emulateddisks", "--all-namespaces")["items"]}


def restarts_of(cloud: Cloud, process: str) -> int:
    restarts: int = next(report["restarts"] for report in cloud.supervisor.status() if report["name"] == process)
    return restarts
