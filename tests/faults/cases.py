"""One case: a machine is brought through a phase of its life, a fault strikes at one call, and all must be well."""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sandbox.cloud import Cloud
from tests.e2e.inventory import inventory, wait_as_before
from tests.e2e.tenant import Tenant
from tests.faults.calls import Call, Edge, Spans
from tests.faults.fault import API_SERVER, BM_API, CONTROLLER_MANAGER, DISKS, DPU, SERVER, Aimed, Fault, common_name
from tests.faults.images import fresh_image
from tests.faults.life import PHASES, SETTLES_S, Life, Phase, go_through
from tests.faults.move import Move, Strike, keep_second_server_free
from tests.faults.writers import Watch

OUTAGE_S = 30.0
SILENCE_S = 10.0
"""For how long the API server, and a storage node's data path, are not there."""

EDGES: tuple[Edge, ...] = ("before", "after")

_CALL_WITHIN_S = 30.0
_AGENT = "agent-dpu"
_CALLED = {
    "emulation": ("chassis-server{number}",),
    "ovsdb": ("ovsdb-server-dpu{number}", "ovs-vswitchd-dpu{number}"),
    "csi": ("lvol",),
    "bmc": ("bmc-server0", "chassis-server0"),
    "kube": (API_SERVER, "etcd"),
}
"""By the first word of a call's name: the processes that it reaches, of the DPU that makes it."""

_FOLLOWS_A_FUNCTION = "kube apply BareMetalMachine"
"""What the provider does with the answer of the function, whose own call has no span."""

_OF_ATTACHMENT = (
    "VolumeAttachment",
    "PublishVolume",
    "UnpublishVolume",
    "spdk nvmf_",
    "spdk bdev_nvme_",
    "spdk vhost_",
)
"""In the names of calls by which volumes are attached and detached."""

_OF_A_MOVE = (*_OF_ATTACHMENT, "EmulatedDisk", "PersistentVolumeClaim", "emulation_")
"""In the names of those that a move is struck at: the rest of it is a deletion and a start."""

_OF_THE_BMC = ("bmc ",)
_OF_DEVICES = ("emulation_", "vhost_", "ovsdb", "EmulatedDisk", "EmulatedNIC", "BareMetalMachine")
_OF_ITS_OWN: dict[Phase, tuple[str, ...]] = {
    **dict.fromkeys(("start", "stop", "cut"), _OF_THE_BMC),
    "restart": (*_OF_THE_BMC, "PowerState"),
    **dict.fromkeys(("plug", "unplug"), _OF_DEVICES),
}
"""In the names of the calls that a phase is struck at, beside those of bm-api: other phases have the rest."""

_AFTER: dict[Phase, tuple[Phase, ...]] = {"start": ("restart", "plug", "unplug", "stop"), "plug": ("unplug",)}
"""What can be gone through only after a phase."""

_UNDER_A_MACHINE = (
    *("spdk-dpu0", f"spdk-dpu0{DISKS}", "spdk-storage", f"spdk-storage{DISKS}", "ovsdb-server-dpu0"),
    *("ovs-vswitchd-dpu0", "agent-dpu0", "relay-dpu0", "lvol", "provider", "function", "bmc-server0"),
    *("chassis-server0", SERVER, API_SERVER, "etcd", CONTROLLER_MANAGER),
)

_WITH_A_QUEUE = (
    *(Fault("hangs", victim, SILENCE_S) for victim in (f"spdk-{DPU}{DISKS}", f"spdk-{DPU}", f"agent-{DPU}", DPU)),
    *(Fault("fenced", victim) for victim in (f"spdk-{DPU}{DISKS}", DPU)),
    *(Fault("killed", victim) for victim in (f"spdk-{DPU}{DISKS}", f"spdk-{DPU}", "chassis-server0", SERVER)),
    *(Fault("killed", victim) for victim in ("spdk-storage", f"spdk-storage{DISKS}")),
)
"""What strikes a DPU that has writes under way for a volume that is to go to another."""


class NotMadeError(Exception):
    """The call was not made this time, so nothing was struck; all was well."""


@dataclass(frozen=True, slots=True)
class Case:
    """``fault`` strikes just before, or just after, ``call`` in ``phase``; without a call, while the machine runs."""

    phase: Phase
    call: Call | None
    edge: Edge
    fault: Fault

    def __str__(self) -> str:
        return f"{self.phase}: {self.fault}" + ("" if self.call is None else f" {self.edge} {self.call}")

    @property
    def place(self) -> tuple[object, ...]:
        """Where it stands among others: by phase, those without a call first."""
        return self.phase, self.call is not None, self.call, self.edge, self.fault

    @property
    def of_caller(self) -> bool:
        """Whether it is the caller that is struck, and not one of the called."""
        return self.call is not None and self.call.process == self.fault.victim


def prepare(cloud: Cloud) -> None:
    """Have the usual image in the pool, as it is in all cases but those of its import; and one server in use."""
    keep_second_server_free(cloud)
    tenant = Tenant(cloud)
    Life(tenant).create()
    tenant.delete_everything()


def calls(cloud: Cloud, most_of_a_name: int, phases: Sequence[Phase] = PHASES) -> dict[Phase, list[Call]]:
    """The calls of each phase of a life without faults, in a cloud that is prepared.

    Of an import, what a creation has not; of ``start``, ``stop`` and ``cut``, those to the BMC; of ``restart`` those
    and what is written of the request; of ``plug`` and ``unplug``, what the machine and its DPU are told; of ``move``,
    which takes two servers, those by which the volume goes from one to the other.
    """
    made = _of_one_machine(cloud, most_of_a_name, set(phases)) if set(phases) - {"move"} else {}
    if "move" in phases:
        move = Move(Tenant(cloud))
        found = _made_by(cloud, move.go_through, most_of_a_name)
        made["move"] = [call for call in found if any(name in call.name for name in _OF_A_MOVE)]
        Tenant(cloud).delete_everything()
    return made


def _of_one_machine(cloud: Cloud, most_of_a_name: int, phases: AbstractSet[Phase]) -> dict[Phase, list[Call]]:
    """Of the phases that are asked for, and of those that come before them."""
    before, tenant = inventory(cloud), Tenant(cloud)
    life = Life(tenant)
    made: dict[Phase, list[Call]] = {"create": _made_by(cloud, life.create, most_of_a_name)}

    def delete() -> None:
        life.delete()
        wait_as_before(cloud, before)  # the machine's own volume goes after it

    running: dict[Phase, Strike] = {
        "start": life.start,
        "restart": life.restart,
        "plug": life.plug,
        "unplug": life.unplug,
        "stop": life.stop,
    }
    for phase, step in running.items():
        if phases & {phase, *_AFTER.get(phase, ())}:
            made[phase] = _made_by(cloud, step, most_of_a_name)
    # As in the cases of a deletion, it is off before it is deleted.
    if "cut" in phases or ("start" in made and "stop" not in made):
        life.start()
        made["cut"] = _made_by(cloud, life.cut, most_of_a_name)
    made["delete"] = _made_by(cloud, delete, most_of_a_name)
    if "import" in phases:
        with fresh_image(cloud) as image:
            made["import"] = _made_by(cloud, Life(tenant, image).create, most_of_a_name)
            tenant.delete_everything()
        usual = {(call.process, call.name) for call in made["create"] if call.name != "csi CreateVolume"}
        made["import"] = [call for call in made["import"] if (call.process, call.name) not in usual]
    return {phase: list(_its_own(phase, each)) for phase, each in made.items()}


def _its_own(phase: Phase, made: Iterable[Call]) -> Iterator[Call]:
    names = _OF_ITS_OWN.get(phase, ("",))
    return (call for call in made if call.process == BM_API or any(name in call.name for name in names))


def _made_by(cloud: Cloud, step: Strike, most_of_a_name: int) -> list[Call]:
    spans = _spans(cloud)
    step()
    return spans.calls(most_of_a_name)


def cases(made: dict[Phase, list[Call]]) -> Iterator[Case]:
    """Every case: each call's caller and called, and the faults of the cluster; then those of a machine that runs."""
    for phase, each in made.items():
        seen: set[tuple[str, str]] = set()
        for call in each:
            for fault in _kills(call):
                yield from (Case(phase, call, edge, fault) for edge in EDGES)
            if (sort := (call.process, call.system)) not in seen:
                seen.add(sort)
                yield from (Case(phase, call, "before", outage) for outage in _outages())
    faults = [Fault("killed", victim) for victim in _UNDER_A_MACHINE]
    faults += [*_outages(), Fault("hangs", f"spdk-storage{DISKS}", SILENCE_S)]
    yield from (Case("run", None, "before", fault) for fault in faults)
    if "move" in made:
        yield from (Case("move", None, "before", fault) for fault in _WITH_A_QUEUE)


def run(cloud: Cloud, case: Case) -> None:
    """Run one case. Fails as a test fails, with what is wrong; raises ``NotMadeError`` where nothing was."""
    before, watch, shot = inventory(cloud), Watch(cloud), _Shot(cloud, case)
    go_through(Tenant(cloud), case.phase, case.fault, shot.aim, shot.let_go)
    wait_as_before(cloud, before, SETTLES_S)
    watch.check(case.fault, shot.struck_at_ns)
    if shot.struck_at_ns is None:
        raise NotMadeError(f"within {_CALL_WITHIN_S:g} s there was no {case.call}")


class _Shot:
    """A case's fault: aimed once its phase begins, struck at its call, and ended where it lasts."""

    def __init__(self, cloud: Cloud, case: Case) -> None:
        self._cloud = cloud
        self._case = case
        self._aimed: Aimed | None = None

    @property
    def struck_at_ns(self) -> int | None:
        return None if self._aimed is None else self._aimed.struck_at_ns

    def aim(self) -> Strike:
        spans, case = _spans(self._cloud), self._case
        aimed = self._aimed = Aimed(self._cloud, case.fault)

        def strike() -> None:
            if case.call is None or spans.wait(case.call, case.edge, _CALL_WITHIN_S):
                aimed.strike()

        return strike

    def let_go(self) -> None:
        if self._aimed is not None:
            self._aimed.let_go()


def _spans(cloud: Cloud) -> Spans:
    def processes() -> dict[int, str]:
        reports = cloud.supervisor.status()
        return {each["pid"]: common_name(each["name"]) for each in reports if each["pid"] is not None}

    return Spans(cloud.layout.trace, processes)


def _kills(call: Call) -> Iterator[Fault]:
    victims = [call.process, *_called(call)]
    if any(name in call.name for name in _OF_ATTACHMENT):
        victims.append(CONTROLLER_MANAGER)
    yield from (Fault("killed", victim) for victim in victims)


def _outages() -> Iterator[Fault]:
    yield Fault("hangs", API_SERVER, OUTAGE_S)
    yield Fault("away", API_SERVER, OUTAGE_S)


def _called(call: Call) -> tuple[str, ...]:
    number = call.process.removeprefix(_AGENT)
    if call.system == "spdk":
        return (f"spdk-dpu{number}",) if call.process.startswith(_AGENT) else ("spdk-storage",)
    called = tuple(each.format(number=number) for each in _CALLED[call.system])
    return (*called, "function") if call.name == _FOLLOWS_A_FUNCTION else called
