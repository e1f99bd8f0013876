"""What on a DPU belongs to nobody: by our own names alone, held by what uses it, and taken away from the top."""

from dataclasses import replace

import pytest

from dpu_handler.planning.observed import Bdev, Function, NvmeController, Observed, Port, VhostController
from dpu_handler.planning.orphans import Claims, claims_of, orphans
from dpu_handler.planning.steps import CloseFile, DeleteController, DetachNvme, DisableNvme, RemovePort, Unplug
from provider.api.resources import EMULATEDDISK, EMULATEDNIC
from tests.unit.dpu_handler.agent_bench import device

DISK, SEED, NIC = (f"{number}1111111-2222-3333-4444-555555555555" for number in range(3))
VOLUME = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
NVME, NQN = "aaaaaaaabbbbccccdd", f"nqn.2026-01.io.metalplane:vol-{VOLUME}"
SOCKET, MAC = f"/run/vhost/mp-{DISK}", "02:00:00:00:00:01"
REMOTE = Bdev(f"{NVME}n1", VOLUME, 1 << 30)

SEEN = Observed(
    bdevs={REMOTE.name: REMOTE, f"seed-{SEED}": Bdev(f"seed-{SEED}", "u", 1 << 20, "/seeds/a.iso")},
    nvme={NVME: NvmeController(NVME, NQN, "nqn.host", connected=True)},
    vhost={f"mp-{DISK}": VhostController(f"mp-{DISK}", REMOTE.name, 0)},
    functions={1: Function(1, SOCKET), 5: Function(5, "vm0", MAC)},
    ports={
        "vm0": Port("vm0", 100, MAC, NIC, 1500, 1, link_up=False),
        "mp-probe-100": Port("mp-probe-100", 100, None, None, None, 2, link_up=False),
    },
)
"""A disk with its seed and a NIC, of a server whose power is off; nobody is left whom they belong to."""

ALL = [
    f"Function slot-1/mp-{DISK}",
    "Function slot-5/vm0",
    f"VhostController mp-{DISK}",
    f"Bdev seed-{SEED}",
    f"NVMeController {NVME}",
    "Port mp-probe-100",
    "Port vm0",
]


def names(claimed: Claims, seen: Observed = SEEN) -> list[str]:
    return [str(orphan.key) for orphan in orphans(claimed, seen)]


def held(seen: Observed) -> dict[str, str]:
    return {orphan.key.name: orphan.held_by for orphan in orphans(Claims(), seen)}


def test_what_nobody_claims_is_listed_from_the_top() -> None:
    assert names(Claims()) == ALL


def test_what_objects_name_is_theirs() -> None:
    csi = {"driver": "lvol", "volumeHandle": VOLUME, "publishContext": {"uuid": VOLUME, "subnqn": NQN}}
    disk = device(EMULATEDDISK, "root", {"slot": 1, "source": {"csi": csi}})
    seed = device(EMULATEDDISK, "seed", {"slot": 2, "source": {"seed": {"secretRef": {"name": "s"}}}})
    network = {"name": "blue", "vlan": 100}
    nic = device(EMULATEDNIC, "eth0", {"nicSlot": 5, "representor": "vm0", "mac": MAC, "network": network})
    for obj, uid in ((disk, DISK), (seed, SEED), (nic, NIC)):
        obj["metadata"]["uid"] = uid
    assert names(claims_of([disk, seed], [nic])) == []
    nic["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert names(claims_of([disk, seed], [dict(nic)])) == [], "it is taken away by its own controller"


def test_a_volume_attached_under_another_name_is_its_disks_all_the_same() -> None:
    assert f"NVMeController {NVME}" not in names(Claims(subsystems=frozenset({NQN})))
    assert f"NVMeController {NVME}" not in names(Claims(nvme=frozenset({NVME})))


@pytest.mark.parametrize(
    "foreign",
    [
        Observed(bdevs={"Malloc0": Bdev("Malloc0", "u", 1), "seed-mine": Bdev("seed-mine", "u", 1, "/x")}),
        Observed(bdevs={f"seed-{SEED}": Bdev(f"seed-{SEED}", "u", 1)}),
        Observed(nvme={"Nvme0": NvmeController("Nvme0", "nqn.2014-08.org.other:x", "h", connected=True)}),
        Observed(
            vhost={"vhost.0": VhostController("vhost.0", None, 0), "mp-mine": VhostController("mp-mine", None, 0)}
        ),
        Observed(functions={1: Function(1, "/run/vhost/other"), 2: Function(2, "Malloc0")}),
        Observed(ports={"uplink": Port("uplink", 100, None, None, None, 1, link_up=True)}),
        Observed(ports={"mp-probe-100": Port("mp-probe-100", 7, None, None, None, 1, link_up=True)}),
    ],
    ids=["bdevs", "no file of ours", "nvme", "vhost", "functions", "port", "port of a like name"],
)
def test_what_does_not_bear_our_names_is_never_listed(foreign: Observed) -> None:
    assert names(Claims(), foreign) == []


def test_each_is_held_by_what_stands_on_it() -> None:
    assert {name: bool(why) for name, why in held(SEEN).items()} == {
        f"slot-1/mp-{DISK}": False,
        "slot-5/vm0": False,
        f"mp-{DISK}": True,
        f"seed-{SEED}": False,
        NVME: True,
        "mp-probe-100": False,
        "vm0": True,
    }
    without_functions = held(replace(SEEN, functions={}))
    assert [name for name, why in without_functions.items() if why] == [NVME]
    assert not any(held(replace(SEEN, functions={}, vhost={})).values())


def test_what_a_server_uses_is_held() -> None:
    bound = {slot: replace(function, driver_bound=True) for slot, function in SEEN.functions.items()}
    assert "power the server off" in held(replace(SEEN, functions=bound))["slot-5/vm0"]
    connected = {f"mp-{DISK}": VhostController(f"mp-{DISK}", REMOTE.name, 1)}
    assert "a server is connected" in held(replace(SEEN, functions={}, vhost=connected))[f"mp-{DISK}"]


def test_where_the_storage_fell_silent_the_volume_goes_before_what_serves_it() -> None:
    silent = {NVME: NvmeController(NVME, NQN, "nqn.host", connected=False)}
    seen = replace(SEEN, functions={}, nvme=silent)
    assert held(seen)[NVME] == ""
    assert f"remove NVMeController {NVME} first" in held(seen)[f"mp-{DISK}"]
    busy = {f"mp-{DISK}": VhostController(f"mp-{DISK}", REMOTE.name, 0, busy=True)}
    assert held(replace(seen, vhost=busy))[NVME], "requests under way come back late, and crash the target"


def test_each_has_its_way_out() -> None:
    assert {orphan.key.name: orphan.removal for orphan in orphans(Claims(), SEEN)} == {
        f"slot-1/mp-{DISK}": ((Unplug(1),),),
        "slot-5/vm0": ((Unplug(5),),),
        f"mp-{DISK}": ((DeleteController(f"mp-{DISK}"),),),
        f"seed-{SEED}": ((CloseFile(f"seed-{SEED}"),),),
        NVME: ((DisableNvme(NVME),), (DetachNvme(NVME),)),
        "mp-probe-100": ((RemovePort("mp-probe-100"),),),
        "vm0": ((RemovePort("vm0"),),),
    }
