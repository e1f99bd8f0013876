"""Machines that cannot be had at first: each obstacle is named, and heals when its cause is gone."""

import base64
import hashlib
from collections.abc import Iterator

import pytest

from provider.api.names import INSTALLATION_NAMESPACE
from sandbox import processes
from sandbox.cloud import Cloud
from tests.conformance.emulation.rig import Caller
from tests.e2e.inventory import inventory, wait_as_before
from tests.e2e.tenant import BOOT_S, NAMESPACE, Json, Tenant, kill, patch
from tests.waiting import wait_for

_SYSTEM = INSTALLATION_NAMESPACE
BEFORE_POWER = ("ServerBound", "VolumesReady", "NICsReady", "DisksReady")


@pytest.fixture
def good_bmc_password(cloud: Cloud) -> Iterator[str]:
    """The BMC's true password; the Secret holds it again after the test."""
    password = processes.bmc_password_file(cloud.layout, 0).read_text()
    yield password
    write_bmc_password(cloud, password)


@pytest.fixture
def closed_server(cloud: Cloud) -> Iterator[None]:
    """No server is open to anybody; the one there is takes machines again after the test."""
    patch(cloud, "server/server0", {"spec": {"unschedulable": True}})
    yield
    patch(cloud, "server/server0", {"spec": {"unschedulable": False}})


@pytest.fixture
def image_without_boot_sector(cloud: Cloud) -> Iterator[str]:
    """A MachineImage of the usual content but for its first sector, which is zero."""
    images = cloud.layout.storage / "images"
    image = cloud.kubectl.get("machineimage/tiny")["spec"]
    content = bytearray((images / f"{image['sha256']}.raw").read_bytes())
    content[:512] = bytes(512)
    digest, name = hashlib.sha256(content).hexdigest(), "no-boot-sector"
    raw = images / f"{digest}.raw"
    raw.write_bytes(content)
    head = {"apiVersion": "metalplane.io/v1alpha1", "kind": "MachineImage", "metadata": {"name": name}}
    cloud.kubectl.apply([head | {"spec": {**image, "sha256": digest}}])
    yield name
    cloud.kubectl.run("delete", f"machineimage/{name}")
    raw.unlink()


@pytest.fixture
def other_tenant(cloud: Cloud) -> Iterator[Tenant]:
    """A second tenant, whose namespace goes with all that is in it."""
    before, namespace = inventory(cloud), "tenant-b"
    cloud.kubectl.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}])
    for kind in ("network/tenant-a", "machineimage/tiny"):
        patch(cloud, kind, {"spec": {"allowedNamespaces": [NAMESPACE, namespace]}})
    tenant = Tenant(cloud, namespace)
    try:
        yield tenant
    finally:
        tenant.leave()
        tenant.wait_left()
        for kind in ("network/tenant-a", "machineimage/tiny"):
            patch(cloud, kind, {"spec": {"allowedNamespaces": [NAMESPACE]}})
    wait_as_before(cloud, before)


def write_bmc_password(cloud: Cloud, password: str) -> None:
    patch(cloud, "secret/server0-bmc", {"data": {"password": base64.b64encode(password.encode()).decode()}}, _SYSTEM)


@pytest.fixture
def hidden_image(cloud: Cloud) -> Iterator[Json]:
    """The image's object, taken away; it is there again after the test."""
    image = cloud.kubectl.get("machineimage/tiny")
    shown = {key: image[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": "tiny"}}
    cloud.kubectl.run("delete", "machineimage/tiny")
    yield shown
    cloud.kubectl.apply([shown])


def test_each_obstacle_is_named_and_heals_and_kills_at_every_step_do_no_harm(
    cloud: Cloud, other_tenant: Tenant, hidden_image: Json, closed_server: None, good_bmc_password: str
) -> None:
    write_bmc_password(cloud, "not-the-password")

    machine = other_tenant.apply()
    told = machine.wait_reason("ImageNotFound")
    assert "MachineImage tiny" in told["message"]
    assert machine.status() == "Pending"

    cloud.kubectl.apply([hidden_image])
    told = machine.wait_reason("NoFittingServer")
    assert told["message"].endswith("none of 1 server fits: 1 unschedulable")
    assert machine.status() == "Unschedulable"

    # The machine comes up to where it would be started, and at each step those are killed that made it.
    patch(cloud, "server/server0", {"spec": {"unschedulable": False}})
    for step in BEFORE_POWER:
        machine.wait_step(step)
        kill(cloud, "provider", "agent-dpu0")
    told = machine.wait_reason("BMCAuthenticationFailed")
    assert "server0" in told["message"]
    assert machine.status() == "Failed"
    assert Caller(cloud.layout.server_run(0) / "control.sock")("power_get") == {"power": "off"}

    write_bmc_password(cloud, good_bmc_password)
    kill(cloud, "provider", "agent-dpu0", "lvol", "bmc-server0")
    machine.wait_step("PoweredOn")
    kill(cloud, "provider", "agent-dpu0")
    machine.wait_running()
    wait_for(machine.answers, "an answer")

    # It goes with its whole namespace, and they are killed on that way too.
    other_tenant.leave()
    for names in (("provider", "agent-dpu0"), ("lvol",), ("provider",), ("agent-dpu0", "chassis-server0")):
        kill(cloud, *names)
        wait_for(lambda: all(each["pid"] for each in cloud.supervisor.status()), f"successors of {names}")
    other_tenant.wait_left()
    assert cloud.kubectl.get("server/server0")["spec"].get("claimRef") is None


def test_without_its_boot_sector_it_stays_starting(
    cloud: Cloud, tenant: Tenant, image_without_boot_sector: str
) -> None:
    console = cloud.layout.server(0) / "console.log"
    before = len(console.read_bytes()) if console.exists() else 0

    def printed() -> str:
        return console.read_bytes()[before:].decode(errors="replace")

    machine = tenant.apply(disks=[{"name": "root", "boot": True, "image": image_without_boot_sector, "size": "1Gi"}])
    machine.wait_status("Starting")
    wait_for(lambda: "No bootable device" in printed(), "the firmware gives up", BOOT_S)
    assert "Booting from Hard Disk" in printed()
    assert "loading the kernel" not in printed()
    assert machine.status() == "Starting"
    assert machine.condition()["reason"] == "WaitingForAnswer"
    assert not machine.answers()
    machine.delete()
    machine.wait_gone()
