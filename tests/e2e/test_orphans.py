"""What nobody claims on a DPU: made by hand, reported by its agent, removed by an operator with bmctl."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from provider.api.names import ORPHAN_REPORT, dpu_namespace
from sandbox import fabric
from sandbox.cloud import Cloud
from sandbox.targets import dpu_target
from tests.conformance.emulation.rig import Caller
from tests.conformance.spdk.wire import Wire
from tests.e2e.inventory import inventory, wait_as_before
from tests.e2e.tenant import Json, Tenant, patch, paused
from tests.waiting import wait_for

_LISTED_S = 40.0
PORT = "orphan0"


class Dpu:
    """The DPU, its report, and a hand that leaves things on it."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.target = dpu_target(cloud.layout, 0).socket
        self._database = fabric.dpu_switch(cloud.layout, 0).database_socket

    def vsctl(self, *arguments: str) -> str:
        argv = ["ovs-vsctl", f"--db=unix:{self._database}", *arguments]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    def holds(self) -> Counter[str]:
        """How many things of each kind there are on it for servers, whosever they are."""
        functions = Caller(self._cloud.layout.dpu_run(0) / "emulation.sock")("emulation_function_list")
        found = Counter(Function=len(functions), Port=self.vsctl("list-ports", "br0").split().count("vm0"))
        with Wire(self.target) as target:
            found["VhostController"] = len(target.call("vhost_get_controllers"))
            found["Bdev"] = sum(each["name"].startswith("seed-") for each in target.call("bdev_get_bdevs"))
            if not self._cloud.spdk.are_one:
                found["NVMeController"] = len(target.call("bdev_nvme_get_controllers"))
        return found

    def report(self) -> list[Json]:
        namespace = f"--namespace={dpu_namespace('dpu0')}"
        report = self._cloud.kubectl.get(f"orphanreport/{ORPHAN_REPORT}", namespace)
        orphans: list[Json] = report["status"]["orphans"]
        return orphans

    def listed(self) -> set[str]:
        return {each["name"] for each in self.report()}

    def bmctl(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        argv = [sys.executable, "-m", "bmctl", "--kubeconfig", str(self._cloud.layout.kubeconfig), *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def dpu(cloud: Cloud) -> Iterator[Dpu]:
    before = inventory(cloud)
    yield Dpu(cloud)
    wait_as_before(cloud, before)


def test_what_nobody_claims_is_listed_and_goes_and_a_machines_own_stays(
    dpu: Dpu, cloud: Cloud, tenant: Tenant, tmp_path: Path
) -> None:
    assert dpu.report() == []
    machine = tenant.apply(runStrategy="Halted")
    owner, seed, iso = str(uuid4()), f"seed-{uuid4()}", tmp_path / "seed.iso"
    iso.write_bytes(bytes(1 << 20))
    iso.chmod(0o644)
    ids = f"external_ids:metalplane-owner={owner}"
    dpu.vsctl("add-port", "br0", PORT, "--", "set", "Interface", PORT, "type=internal", ids)
    with Wire(dpu.target) as target:
        target.call("bdev_aio_create", name=seed, filename=str(iso), block_size=512, readonly=True)
    machine.wait_status("Stopped", within_s=60.0)

    wait_for(lambda: dpu.listed() == {PORT, seed}, "both are listed, and nothing of the machine's", _LISTED_S)
    told = dpu.bmctl("orphans", "dpu0", "-o", "wide")
    assert told.returncode == 0, told.stderr
    assert f"made for EmulatedNIC {owner}" in told.stdout

    # One that its owner names is asked for by hand all the same, as of the time that the other is listed since.
    since = dpu.report()[0]["since"]
    (disk,) = (each for each in _disks(cloud) if each["spec"]["slot"] == 1)
    own = {"where": "spdk", "kind": "VhostController", "name": f"mp-{disk['metadata']['uid']}", "since": since}
    namespace = dpu_namespace("dpu0")
    patch(cloud, f"orphanreport/{ORPHAN_REPORT}", {"spec": {"remove": [own]}}, namespace)
    refused = dpu.bmctl("orphans", "dpu0", own["name"], "--delete", "--yes")
    assert refused.returncode == 3

    done = dpu.bmctl("orphans", "dpu0", "--delete", "--yes", "--timeout", "60s")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "2 removed"
    assert dpu.report() == []
    with Wire(dpu.target) as target:
        assert own["name"] in {each["ctrlr"] for each in target.call("vhost_get_controllers")}
        assert seed not in {each["name"] for each in target.call("bdev_get_bdevs")}
    assert machine.status() == "Stopped"


def test_what_lost_its_objects_goes_from_the_top_and_is_made_again_for_its_machine(
    dpu: Dpu, cloud: Cloud, tenant: Tenant
) -> None:
    nothing = dpu.holds()
    behind = 0 if cloud.spdk.are_one else 1
    machine = tenant.apply(runStrategy="Halted")
    whole = nothing + Counter(Function=3, VhostController=2, Bdev=1, Port=1, NVMeController=behind)
    wait_for(lambda: dpu.holds() == whole, "the DPU has all that the machine needs", _LISTED_S)
    # As by a namespace that was deleted by hand; who would write them again is not there for now.
    with paused(cloud, "provider"):
        for each in (*_disks(cloud), *cloud.kubectl.get("emulatednics", "--all-namespaces")["items"]):
            _lose(cloud, each)
        wait_for(lambda: not whole - _kinds(dpu.report()), "all of it is listed", _LISTED_S)
        done = dpu.bmctl("orphans", "dpu0", "--delete", "--yes", "--timeout", "60s")
        assert done.returncode == 0, done.stderr
        assert dpu.holds() == nothing
    wait_for(lambda: dpu.holds() == whole, "the machine has all of it again", _LISTED_S)
    machine.wait_status("Stopped")


def _kinds(orphans: list[Json]) -> Counter[str]:
    return Counter(each["kind"] for each in orphans)


def _lose(cloud: Cloud, obj: Json) -> None:
    """Delete an object of the DPU without anything that should come before."""
    kind, name = obj["kind"].lower(), obj["metadata"]["name"]
    namespace = obj["metadata"]["namespace"]
    patch(cloud, f"{kind}/{name}", {"metadata": {"finalizers": None}}, namespace)
    cloud.kubectl.run("delete", f"{kind}/{name}", f"--namespace={namespace}")


def _disks(cloud: Cloud) -> list[Json]:
    disks: list[Json] = cloud.kubectl.get("emulateddisks", "--all-namespaces")["items"]
    return disks
