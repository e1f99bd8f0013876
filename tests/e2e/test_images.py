"""An image comes and goes: what a machine's disk stands on stays as long as the disk, and then goes too."""

import hashlib
import os
from collections.abc import Iterator

import pytest

from dpu_handler.lvol.names import image_snapshot
from sandbox.cloud import Cloud
from tests.conformance.spdk.wire import Wire
from tests.e2e.tenant import NAMESPACE, Tenant
from tests.waiting import wait_for

_IMAGE_BYTES = 1 << 20


@pytest.fixture
def passing(cloud: Cloud) -> Iterator[str]:
    """An image of a content that nothing else has, named ``passing``; its sha256."""
    content = os.urandom(_IMAGE_BYTES)
    sha256 = hashlib.sha256(content).hexdigest()
    raw = cloud.layout.storage / "images" / f"{sha256}.raw"
    raw.write_bytes(content)
    head = {"apiVersion": "metalplane.io/v1alpha1", "kind": "MachineImage", "metadata": {"name": "passing"}}
    spec = {"sha256": sha256, "sizeBytes": _IMAGE_BYTES, "allowedNamespaces": [NAMESPACE]}
    cloud.kubectl.apply([head | {"spec": spec}])
    yield sha256
    raw.unlink()


def in_the_pool(cloud: Cloud, sha256: str) -> bool:
    with Wire(cloud.storage_target.socket) as target:
        return any(lvol["name"] == image_snapshot(sha256) for lvol in target.call("bdev_lvol_get_lvols"))


def test_a_deleted_image_goes_at_once_and_its_snapshot_with_the_last_disk_on_it(
    cloud: Cloud, tenant: Tenant, passing: str
) -> None:
    disks = [{"name": "root", "boot": True, "image": "passing", "size": "1Gi"}]
    machine = tenant.apply(runStrategy="Halted", disks=disks)
    machine.wait_status("Stopped")
    cloud.kubectl.run("delete", "machineimage/passing", "--timeout=20s")
    assert in_the_pool(cloud, passing)
    assert machine.status() == "Stopped"
    machine.delete()
    machine.wait_gone()
    wait_for(lambda: not in_the_pool(cloud, passing), "the snapshot is gone")
