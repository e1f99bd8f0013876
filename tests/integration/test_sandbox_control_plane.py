"""The sandbox's control plane as installed: who may see what, and its controllers' restart."""

from pathlib import Path

import pytest

from provider.api.names import INSTALLATION_NAMESPACE, dpu_namespace, dpu_user
from sandbox import inventory
from sandbox.apiserver import ApiServer
from sandbox.errors import CommandFailed
from sandbox.images import Image
from sandbox.kubectl import Kubectl

BMCS = [(20001, "password"), (20002, "password")]
IMAGE = Image("tiny", "0" * 64, 1 << 20, Path("/nonexistent"))


@pytest.fixture
def as_dpu1(apiserver: ApiServer, tmp_path: Path) -> Kubectl:
    apiserver.kubectl.apply(inventory.objects(IMAGE, BMCS))
    user = dpu_user("dpu1")
    path = apiserver.control_plane.identity(tmp_path / "kubeconfig", user, groups=(inventory.DPU_GROUP,))
    return Kubectl(apiserver.kubectl.program, path)


@pytest.mark.parametrize("kind", ["emulateddisks", "emulatednics", "secrets"])
def test_a_dpu_reads_its_own_namespace_and_no_other(as_dpu1: Kubectl, kind: str) -> None:
    assert as_dpu1.get(kind, f"--namespace={dpu_namespace('dpu1')}")["items"] == []
    for namespace in (dpu_namespace("dpu0"), INSTALLATION_NAMESPACE, inventory.FIRST_TENANT.name):
        with pytest.raises(CommandFailed, match="Forbidden"):
            as_dpu1.get(kind, f"--namespace={namespace}")


def test_a_dpu_changes_status_only(as_dpu1: Kubectl) -> None:
    namespace = f"--namespace={dpu_namespace('dpu1')}"
    assert as_dpu1.run("auth", "can-i", "patch", "emulateddisks", "--subresource=status", namespace).strip() == "yes"
    for verb in ("create", "patch", "delete"):
        with pytest.raises(CommandFailed, match="status 1"):
            as_dpu1.run("auth", "can-i", verb, "emulateddisks", namespace)


def test_the_inventory_is_accepted_twice(apiserver: ApiServer, as_dpu1: Kubectl) -> None:
    before = apiserver.kubectl.get("server/server0")["metadata"]["resourceVersion"]
    apiserver.kubectl.apply(inventory.objects(IMAGE, BMCS))
    assert apiserver.kubectl.get("server/server0")["metadata"]["resourceVersion"] == before
