"""Kills at single steps: a few of the cases of ``make test-faults``, one for each kind of caller and called."""

import pytest

from sandbox.cloud import Cloud
from tests.faults.calls import Call
from tests.faults.cases import Case, run

CREATE = [
    Case("create", Call("metalplane-lvol", "spdk nvmf_subsystem_add_host", 1), "after", "lvol"),
    Case("create", Call("metalplane-provider", "kube create VolumeAttachment", 1), "after", "provider"),
    Case("create", Call("metalplane-agent", "spdk bdev_nvme_attach_controller", 1), "before", "spdk-dpu0"),
    Case("create", Call("metalplane-agent", "ovsdb transact", 1), "before", "ovs-vswitchd-dpu0"),
    Case("create", Call("metalplane-agent", "emulation emulation_plug", 1), "after", "agent-dpu0"),
]
DELETE = [
    Case("delete", Call("metalplane-agent", "emulation emulation_unplug", 1), "after", "chassis-server0"),
    Case("delete", Call("metalplane-provider", "csi ControllerUnpublishVolume", 1), "before", "lvol"),
    Case("delete", Call("metalplane-lvol", "spdk bdev_lvol_delete", 1), "before", "spdk-storage"),
]


@pytest.mark.parametrize("case", [*CREATE, *DELETE], ids=str)
def test_a_kill_is_made_good(cloud: Cloud, case: Case) -> None:
    assert run(cloud, case), "the call was never made, so nothing was killed"
