"""Faults at single steps: a few of the cases of ``make test-faults``, one for each kind of fault, caller and called."""

import pytest

from sandbox.cloud import Cloud
from tests.faults.calls import Call
from tests.faults.cases import Case, run
from tests.faults.fault import API_SERVER, CONTROLLER_MANAGER, Fault

_SHORT_S = 5.0
"""Of an outage of the API server: what matters is that nothing reached it for a while."""

_PROVIDER, _AGENT, _LVOL = "provider", "agent-dpu0", "lvol"

CREATE = [
    Case("create", Call(_LVOL, "spdk nvmf_subsystem_add_host", 1), "after", Fault("killed", "lvol")),
    Case("create", Call(_PROVIDER, "kube create VolumeAttachment", 1), "after", Fault("killed", "provider")),
    Case("create", Call(_PROVIDER, "kube patch VolumeAttachment", 1), "after", Fault("killed", CONTROLLER_MANAGER)),
    Case("create", Call(_PROVIDER, "csi ControllerPublishVolume", 1), "before", Fault("away", API_SERVER, _SHORT_S)),
    Case("create", Call(_AGENT, "spdk bdev_nvme_attach_controller", 1), "before", Fault("killed", "spdk-dpu0")),
    Case("create", Call(_AGENT, "ovsdb transact", 1), "before", Fault("killed", "ovs-vswitchd-dpu0")),
    Case("create", Call(_AGENT, "emulation emulation_plug", 1), "after", Fault("killed", "agent-dpu0")),
]
DELETE = [
    Case("delete", Call(_AGENT, "emulation emulation_unplug", 1), "after", Fault("killed", "chassis-server0")),
    Case("delete", Call(_PROVIDER, "csi ControllerUnpublishVolume", 1), "before", Fault("killed", "lvol")),
    Case("delete", Call(_LVOL, "spdk bdev_lvol_delete", 1), "before", Fault("killed", "spdk-storage")),
]


@pytest.mark.parametrize("case", [*CREATE, *DELETE], ids=str)
def test_a_fault_is_made_good(cloud: Cloud, case: Case) -> None:
    run(cloud, case)
