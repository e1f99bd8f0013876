"""From the call to the device seen in a running guest: through metalplane's API, and by QEMU alone, in turns."""

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import count

from provider.api.subresources import ADDNIC, ADDVOLUME, API_VERSION, MACHINE, REMOVENIC, REMOVEVOLUME
from sandbox import inventory
from sandbox.cloud import Cloud
from tests.bench import spans
from tests.bench.apiconnection import ApiConnection, Json
from tests.bench.guestwatch import DISKS, NICS, GuestWatch
from tests.bench.plugway import Plug, Way, way
from tests.bench.progress import say
from tests.bench.provisioning import ADDRESS, NAME, NAMESPACE
from tests.bench.qemualone import ADDRESS as ALONE_ADDRESS
from tests.bench.qemualone import QemuAlone
from tests.bench.writes import Audit
from tests.e2e.tenant import Machine, Tenant

_QUIET_S = 0.4
_MARKS = 25


@dataclass(slots=True)
class Found:
    """All rounds: what metalplane took, what QEMU took, and what the watcher itself takes in each guest."""

    disks: list[Way] = field(default_factory=list)
    nics: list[Way] = field(default_factory=list)
    qemu_disks: list[Plug] = field(default_factory=list)
    qemu_nics: list[Plug] = field(default_factory=list)
    marks_ms: list[float] = field(default_factory=list)
    qemu_marks_ms: list[float] = field(default_factory=list)


def measure(cloud: Cloud, machine_uid: str, alone: QemuAlone, rounds: int) -> Found:
    """One disk and one NIC a round on each side. The machine runs, and so does the server that QEMU has alone."""
    found = Found()
    machine = Machine(Tenant(cloud), NAME)
    disks: list[Plug] = []
    nics: list[Plug] = []
    with ExitStack() as stack:
        ours = stack.enter_context(GuestWatch(machine, ADDRESS, cloud.layout.server(0) / "console.log"))
        theirs = stack.enter_context(GuestWatch(machine, ALONE_ADDRESS, alone.console_log))
        verbs = _Verbs(
            stack.enter_context(closing(ApiConnection(cloud))), ours, Audit(cloud.layout.log / "audit.jsonl")
        )
        found.marks_ms += ours.own_delays_ms(_MARKS)
        found.qemu_marks_ms += theirs.own_delays_ms(_MARKS)
        for number in range(1, rounds + 1):
            disks.append(verbs.disk())
            found.qemu_disks.append(_alone(theirs, alone.plug_disk, alone.unplug_disk, DISKS))
            nics.append(verbs.nic())
            found.qemu_nics.append(_alone(theirs, alone.plug_nic, alone.unplug_nic, NICS))
            took = (disks[-1], found.qemu_disks[-1], nics[-1], found.qemu_nics[-1])
            disk, disk_alone, nic, nic_alone = (f"{each.ms:.0f} ms" for each in took)
            say(f"{number}/{rounds}  disk {disk}, QEMU alone {disk_alone}; NIC {nic}, QEMU alone {nic_alone}")
    trace = list(spans.of_machine(cloud.layout, machine_uid))
    found.disks = [way(trace, each) for each in disks]
    found.nics = [way(trace, each) for each in nics]
    return found


class _Verbs:
    """Adds and removes through the API, as a client with an open connection."""

    def __init__(self, api: ApiConnection, watch: GuestWatch, audit: Audit) -> None:
        self._api = api
        self._watch = watch
        self._audit = audit
        self._names = (f"hot{number}" for number in count(1))

    def disk(self) -> Plug:
        """A blank volume, gone again with the disk."""
        wanted = {"kind": "AddVolumeOptions", "size": "1Gi", "keep": False}
        return self._turn(ADDVOLUME, wanted, REMOVEVOLUME, "RemoveVolumeOptions", DISKS)

    def nic(self) -> Plug:
        """In the tenant's network, with an address of the control plane's choice."""
        wanted = {"kind": "AddNicOptions", "network": inventory.FIRST_TENANT.name}
        return self._turn(ADDNIC, wanted, REMOVENIC, "RemoveNicOptions", NICS)

    def _turn(self, add: str, wanted: Json, remove: str, kind: str, prefix: str) -> Plug:
        name = next(self._names)
        asked_ns = time.time_ns()
        self._post(add, {"name": name, **wanted})
        seen = self._watch.wait("+", prefix)
        self._audit.wait_quiet(_QUIET_S)
        self._post(remove, {"kind": kind, "name": name})
        self._watch.wait("-", seen.entry)
        self._audit.wait_quiet(_QUIET_S)
        return Plug(asked_ns, seen.at_ns)

    def _post(self, verb: str, options: Json) -> None:
        self._api.post(MACHINE.path(NAMESPACE, NAME, verb), {"apiVersion": API_VERSION, **options})


def _alone(watch: GuestWatch, plug: Callable[[], int], unplug: Callable[[], None], prefix: str) -> Plug:
    asked_ns = plug()
    seen = watch.wait("+", prefix)
    unplug()
    watch.wait("-", seen.entry)
    return Plug(asked_ns, seen.at_ns)
