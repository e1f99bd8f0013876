"""Recorded exchanges with a real target, asked again: shapes, codes and messages of every method called here."""

import pytest

from tests.conformance.spdk.replay import parts, recorded_methods, replay, stories
from tests.conformance.spdk.targets import Targets
from tests.conformance.spdk.wire import Wire

OF_BOTH = frozenset({"bdev_aio_create", "bdev_aio_delete", "bdev_get_bdevs"})
METHODS = {
    "storage": OF_BOTH
    | {
        *("bdev_wait_for_examine", "bdev_lvol_clone", "bdev_lvol_clone_bdev", "bdev_lvol_create"),
        *("bdev_lvol_create_lvstore", "bdev_lvol_decouple_parent", "bdev_lvol_delete", "bdev_lvol_get_lvstores"),
        *("bdev_lvol_resize", "bdev_lvol_snapshot", "nvmf_get_transports", "nvmf_create_transport"),
        *("nvmf_create_subsystem", "nvmf_delete_subsystem", "nvmf_get_subsystems", "nvmf_subsystem_add_host"),
        *("nvmf_subsystem_add_listener", "nvmf_subsystem_add_ns", "nvmf_subsystem_remove_host"),
        "nvmf_subsystem_get_controllers",
    },
    "dpu": OF_BOTH
    | {
        *("bdev_nvme_attach_controller", "bdev_nvme_detach_controller", "bdev_nvme_get_controllers"),
        *(
            "bdev_nvme_disable_controller",
            "bdev_nvme_enable_controller",
            "vhost_create_blk_controller",
            "vhost_delete_controller",
            "vhost_get_controllers",
        ),
    },
}
"""What is called, by the part that a target takes."""


@pytest.mark.parametrize("part", sorted(METHODS))
def test_a_target_has_every_method_that_is_called(part: str, spdk_targets: Targets) -> None:
    with Wire(spdk_targets.socket(part)) as wire:
        assert METHODS[part] - set(wire.call("rpc_get_methods")) == set()


def test_every_method_that_is_called_was_recorded() -> None:
    assert frozenset().union(*METHODS.values()) - recorded_methods() == set()


@pytest.mark.parametrize("story", stories())
def test_a_target_answers_as_recorded(story: str, spdk_targets: Targets) -> None:
    for part in parts(story):
        spdk_targets.socket(part)
    assert replay(story, spdk_targets) == []


def test_a_replay_leaves_nothing_behind(storage: Wire, dpu: Wire) -> None:
    left = [wire.call("bdev_get_bdevs") for wire in (storage, dpu)]
    subsystems = [entry["nqn"] for entry in storage.call("nvmf_get_subsystems") if entry["subtype"] == "NVMe"]
    assert (left, subsystems, dpu.call("vhost_get_controllers")) == ([[], []], [], [])
