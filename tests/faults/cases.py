"""One case: a machine is brought through a phase of its life, a fault strikes at one call, and all must be well."""

from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.cloud import Cloud
from tests.e2e.inventory import inventory, wait_as_before
from tests.e2e.tenant import Tenant
from tests.faults.calls import Call, Edge, Spans
from tests.faults.fault import API_SERVER, CONTROLLER_MANAGER, DISKS, SERVER, Aimed, Fault
from tests.faults.images import fresh_image
from tests.faults.life import SETTLES_S, Life, Phase, Strike, go_through
from tests.faults.writers import Watch

OUTAGE_S = 30.0
SILENCE_S = 10.0
"""For how long the API server, and a storage node's data path, are not there."""

EDGES: tuple[Edge, ...] = ("before", "after")

_CALL_WITHIN_S = 30.0
_CALLERS = {"metalplane-provider": "provider", "metalplane-agent": "agent-dpu0", "metalplane-lvol": "lvol"}
_CALLED = {
    "emulation": ("chassis-server0",),
    "ovsdb": ("ovsdb-server-dpu0", "ovs-vswitchd-dpu0"),
    "csi": ("lvol",),
    "bmc": ("bmc-server0", "chassis-server0"),
    "kube": (API_SERVER, "etcd"),
}
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

_UNDER_A_MACHINE = (
    *("spdk-dpu0", f"spdk-dpu0{DISKS}", "spdk-storage", f"spdk-storage{DISKS}", "ovsdb-server-dpu0"),
    *("ovs-vswitchd-dpu0", "agent-dpu0", "relay-dpu0", "lvol", "provider", "function", "bmc-server0"),
    *("chassis-server0", SERVER, API_SERVER, "etcd", CONTROLLER_MANAGER),
)


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """``fault`` strikes just before, or just after, ``call`` in ``phase``; without a call, while the machine runs."""

    phase: Phase
    call: Call | None
    edge: Edge
    fault: Fault

    def __str__(self) -> str:
        return f"{self.phase}: {self.fault}" + ("" if self.call is None else f" {self.edge} {self.call}")

    @property
    def of_caller(self) -> bool:
        """Whether it is the caller that is struck, and not one of the called."""
        return self.call is not None and _CALLERS[self.call.service] == self.fault.victim


def prepare(cloud: Cloud) -> None:
    """Have the usual image in the pool, as it is in all cases but those of its import."""
    tenant = Tenant(cloud)
    Life(tenant).create()
    tenant.delete_everything()


def calls(cloud: Cloud, most_of_a_name: int) -> dict[Phase, list[Call]]:
    """The calls of each phase of a life without faults, in a cloud that is prepared.

    Of an import, what a creation has not; of ``start`` and ``stop``, those to the BMC.
    """
    before, tenant = inventory(cloud), Tenant(cloud)
    made: dict[Phase, list[Call]] = {}

    def note(phase: Phase, step: Strike) -> None:
        spans = Spans(cloud.layout.trace)
        step()
        made[phase] = spans.calls(most_of_a_name)

    def delete() -> None:
        life.delete()
        wait_as_before(cloud, before)  # the machine's own volume goes after it

    life = Life(tenant)
    note("create", life.create)
    note("start", life.start)
    note("stop", life.stop)
    note("delete", delete)
    with fresh_image(cloud) as image:
        note("import", Life(tenant, image).create)
        tenant.delete_everything()
    for phase in ("start", "stop"):
        made[phase] = [call for call in made[phase] if call.system == "bmc"]
    usual = {(call.service, call.name) for call in made["create"] if call.name != "csi CreateVolume"}
    made["import"] = [call for call in made["import"] if (call.service, call.name) not in usual]
    return made


def cases(made: dict[Phase, list[Call]]) -> Iterator[Case]:
    """Every case: each call's caller and called, and the faults of the cluster; then those of a machine that runs."""
    for phase, each in made.items():
        seen: set[tuple[str, str]] = set()
        for call in each:
            for fault in _kills(call):
                yield from (Case(phase, call, edge, fault) for edge in EDGES)
            if (sort := (call.service, call.system)) not in seen:
                seen.add(sort)
                yield from (Case(phase, call, "before", outage) for outage in _outages())
    faults = [Fault("killed", victim) for victim in _UNDER_A_MACHINE]
    faults += [*_outages(), Fault("hangs", f"spdk-storage{DISKS}", SILENCE_S)]
    yield from (Case("run", None, "before", fault) for fault in faults)


def run(cloud: Cloud, case: Case) -> bool:
    """Run one case; False where the call was not made this time. Fails as a test fails, with what is wrong."""
    before, watch = inventory(cloud), Watch(cloud)
    aimed: Aimed | None = None

    def aim() -> Strike:
        spans = Spans(cloud.layout.trace)
        nonlocal aimed
        aimed = target = Aimed(cloud, case.fault)

        def strike() -> None:
            if case.call is None or spans.wait(case.call, case.edge, _CALL_WITHIN_S):
                target.strike()

        return strike

    go_through(Tenant(cloud), case.phase, case.fault, aim)
    wait_as_before(cloud, before, SETTLES_S)
    struck_at_ns = None if aimed is None else aimed.struck_at_ns
    watch.check(case.fault, struck_at_ns)
    return struck_at_ns is not None


def _kills(call: Call) -> Iterator[Fault]:
    victims = [_CALLERS[call.service], *_called(call)]
    if any(name in call.name for name in _OF_ATTACHMENT):
        victims.append(CONTROLLER_MANAGER)
    yield from (Fault("killed", victim) for victim in victims)


def _outages() -> Iterator[Fault]:
    yield Fault("hangs", API_SERVER, OUTAGE_S)
    yield Fault("away", API_SERVER, OUTAGE_S)


def _called(call: Call) -> tuple[str, ...]:
    if call.system == "spdk":
        return ("spdk-dpu0",) if call.service == "metalplane-agent" else ("spdk-storage",)
    called = _CALLED[call.system]
    return (*called, "function") if call.name == _FOLLOWS_A_FUNCTION else called
