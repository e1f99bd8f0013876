"""The agent's steps, each with the one that undoes it, and the order in which devices are made and taken away."""

from collections.abc import Iterator
from typing import get_args, get_type_hints

from dpu_handler.planning import disk, nic
from dpu_handler.planning.disk import Backing, Disk, LocalVolume, RemoteVolume, SeedFile
from dpu_handler.planning.nic import NIC
from dpu_handler.planning.observed import Bdev, Function, NvmeController, Observed, Port, VhostController
from dpu_handler.planning.steps import Plan, Step
from tests.states.markdown import prose, table

_UUID = "0b5a3c54-93f1-4d9e-8a61-0c2f6f1d7e10"
_SOCKET, _SLOT, _MAC = "/vhost/mp-1", 7, "02:00:00:00:00:01"
_BACKINGS: dict[str, Backing] = {
    "a disk over NVMe-oF": RemoteVolume(_UUID, "192.0.2.1", "4420", "nqn.volume", "nqn.server"),
    "a disk of the DPU's own target": LocalVolume(_UUID),
    "the seed": SeedFile("seed-1", "/seeds/a.iso"),
}


def lines() -> Iterator[str]:
    yield from prose("## Devices, on the DPU")
    yield from prose("All that an agent can do to its DPU. A step that makes something names the one that undoes it.")
    yield from table(("step", "what", "undone by"), _steps())
    yield from prose(
        "The plan for a device of which nothing is there, and for one that is all there and has to go. A stage begins",
        "when the one before is done.",
    )
    yield from table(("device", "made", "taken away"), _devices())


def _steps() -> Iterator[tuple[str, str, str]]:
    for step in get_args(Step):
        undo = getattr(step, "undo", None)
        undone = "" if undo is None else f"`{get_type_hints(undo.fget)['return'].__name__}`"
        yield f"`{step.__name__}`", " ".join((step.__doc__ or "").split()), undone


def _devices() -> Iterator[tuple[str, str, str]]:
    for name, backing in _BACKINGS.items():
        wanted = Disk("mp-1", _SOCKET, _SLOT, None, read_only=False, backing=backing)
        yield name, _stages(disk.plan(wanted, Observed())), _stages(disk.undo(wanted, _shown(backing)))
    wanted_nic = NIC("uid", _SLOT, "vm0", _MAC, 100, 1500)
    port = Port("vm0", 100, _MAC, "uid", 1500, ofport=1, link_up=True)
    there = Observed(functions={_SLOT: _function("vm0", _MAC)}, ports={"vm0": port})
    yield "a NIC", _stages(nic.plan(wanted_nic, Observed())), _stages(nic.undo(wanted_nic, there))


def _shown(backing: Backing) -> Observed:
    """All of a disk."""
    bdev = _UUID if isinstance(backing, LocalVolume) else backing.bdev
    remote = [backing] if isinstance(backing, RemoteVolume) else []
    return Observed(
        bdevs={bdev: Bdev(bdev, _UUID, 1 << 30, None)},
        nvme={each.controller: NvmeController(each.controller, each.subnqn, each.hostnqn, True) for each in remote},
        vhost={"mp-1": VhostController("mp-1", bdev, 0, False)},
        functions={_SLOT: _function(_SOCKET, None)},
    )


def _function(backing: str, mac: str | None) -> Function:
    return Function(slot=_SLOT, backing=backing, mac=mac, boot_index=None, unplugging=False)


def _stages(plan: Plan) -> str:
    return " → ".join(" and ".join(f"`{type(step).__name__}`" for step in stage) for stage in plan)
