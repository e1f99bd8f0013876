"""The chassis' memory: what is written is what is read, whole, and what a loss of power does to it."""

from pathlib import Path

from sandbox.chassis.functions import DiskFunction, NicFunction
from sandbox.chassis.state import Power, Slot, State, StateFile

DISK = Slot(DiskFunction(1, "/run/vda", 1), unplugging=True)
NIC = Slot(NicFunction(3, "vm0", "52:54:00:aa:bb:01"), link_up=False)


def test_a_new_chassis_is_off_and_empty(tmp_path: Path) -> None:
    assert StateFile(tmp_path).load() == State(Power.OFF, 0, "disk", {})


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    state = State(Power.HELD, 7, "none", {1: DISK, 3: NIC})
    StateFile(tmp_path).save(state)
    assert StateFile(tmp_path).load() == state


def test_a_save_that_was_cut_off_changes_nothing(tmp_path: Path) -> None:
    state = State(Power.ON, 1, slots={3: NIC})
    StateFile(tmp_path).save(state)
    (tmp_path / "chassis.part").write_text('{"power": "o')
    assert StateFile(tmp_path).load() == state


def test_without_power_nobody_holds_on_to_what_is_being_unplugged() -> None:
    state = State(Power.ON, 1, slots={1: DISK, 3: NIC}).powered_off()
    assert state == State(Power.OFF, 1, slots={3: NIC})
