"""The scheduler: which server for a claim, and when to let go of it.

``Server.spec.claimRef`` is written by compare-and-swap and is the only truth; the claim's status follows it. A server
that holds our UID is ours, also when a crash kept us from recording it.

A server is let go of when its power was read Off for that very purpose, whatever became of the objects that should have
switched it off: the next holder's disks must never be shown to the operating system of the last one.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from provider.api.powerstate import Power
from provider.api.quantity import parse_bytes
from provider.api.reasons import Reason
from provider.api.resources import EMULATEDDISK, EMULATEDNIC, POWERSTATE, SERVER, VIRTUALDISK, VIRTUALNIC, VOLUME
from provider.api.server import Server
from provider.api.serverclaim import ServerClaim, ServerClaimObservation, ServerClaimParameters
from provider.planning.action import PatchObject, SwitchPower
from provider.planning.powerworld import FAULT_RETRY_S, IN_TRANSITION_S, Fault
from provider.planning.tenancy import holds
from provider.planning.verdict import AVAILABLE, Plan, Verdict, refused, waiting

_LAST_TO_GO = (VOLUME.kind, VIRTUALDISK.kind, VIRTUALNIC.kind, POWERSTATE.kind, EMULATEDDISK.kind, EMULATEDNIC.kind)
"""Kinds of dependents, the last to go first."""

ServerClaimPlan = Plan[ServerClaimObservation]


@dataclass(frozen=True, slots=True)
class World:
    """A claim, the servers to decide on, and what still stands between the claim and its end (named as users would).

    ``reading`` and ``fault``: of the server that is to be let go of, made for that; ``cutting``: its BMC was asked a
    moment ago to cut the power.
    """

    claim: ServerClaim
    servers: tuple[Server, ...]
    dependents: tuple[str, ...] = ()
    reading: Power | None = None
    fault: Fault | None = None
    cutting: bool = False


def plan(world: World) -> ServerClaimPlan:
    """Bind, stay bound, or let go."""
    mine = next((server for server in world.servers if holds(server, world.claim)), None)
    if world.claim.metadata.deleting:
        return _release(world, mine)
    if mine is not None:
        return Plan(ready=AVAILABLE, seen=_seen(mine))
    lost = world.claim.status.at_provider
    if lost.server_uid is not None:
        return _restore(world, lost)
    return _bind(world)


def _bind(world: World) -> ServerClaimPlan:
    fitting = [server for server in world.servers if misfit(server, world.claim) is None]
    if not fitting:
        return Plan(
            ready=waiting(Reason.NO_FITTING_SERVER, explain(world.servers, world.claim)), seen=ServerClaimObservation()
        )
    return _hold(choose(fitting, world.claim), world.claim)


def _hold(server: Server, claim: ServerClaim) -> ServerClaimPlan:
    metadata = claim.metadata
    reference = {"namespace": metadata.namespace, "name": metadata.name, "uid": metadata.uid}
    bind = PatchObject(
        SERVER,
        None,
        server.metadata.name,
        server.metadata.resource_version,
        {"spec": {"claimRef": reference}},
        f"bound Server {server.metadata.name}",
        "Create",
    )
    ready = waiting(Reason.CREATING, f"binding Server {server.metadata.name}")
    return Plan(ready=ready, seen=ServerClaimObservation(), actions=(bind,))


def _restore(world: World, lost: ServerClaimObservation) -> ServerClaimPlan:
    """The server that was bound says otherwise now. Another one is no cure: ours may still run with its disks."""
    same = next((server for server in world.servers if server.metadata.uid == lost.server_uid), None)
    if same is not None and same.spec.claim_ref is None and same.allows(world.claim.metadata.namespace or ""):
        return _hold(same, world.claim)
    cause = "is gone" if same is None else "no longer names this claim in spec.claimRef"
    return refused(
        Reason.SERVER_NOT_BOUND,
        f"Server {lost.server_name}, which this claim held, {cause}: restore it, or delete the machine",
        lost,
    )


def _last_to_go(dependents: tuple[str, ...]) -> str:
    """The one that is expected to go last: naming each that is left would rewrite the status whenever one goes."""
    return min(dependents, key=lambda each: (_LAST_TO_GO.index(each.partition(" ")[0]), each))


def _release(world: World, mine: Server | None) -> ServerClaimPlan:
    if mine is None:
        return Plan(ready=waiting(Reason.DELETING), seen=ServerClaimObservation(), gone=not world.dependents)
    if world.dependents:
        message = f"waiting until all that uses the server is gone, {_last_to_go(world.dependents)} too"
        return Plan(ready=waiting(Reason.WAITING_FOR_CHILDREN, message), seen=_seen(mine))
    if world.reading != "Off":
        return _see_off(world, mine)
    release = PatchObject(
        SERVER,
        None,
        mine.metadata.name,
        mine.metadata.resource_version,
        {"spec": {"claimRef": None}},
        f"released Server {mine.metadata.name}",
        "Delete",
    )
    return Plan(ready=waiting(Reason.DELETING), seen=_seen(mine), actions=(release,))


def _see_off(world: World, mine: Server) -> ServerClaimPlan:
    if world.fault is not None:
        message = (
            f"the power has to be seen off before the server is released, and is read again every {FAULT_RETRY_S:g} s "
            f"(where its BMC is gone for good, cut its power and clear its spec.claimRef): {world.fault.message}"
        )
        synced = Verdict("False", Reason.RECONCILE_ERROR, message)
        ready = waiting(world.fault.reason, message)
        return Plan(ready=ready, seen=_seen(mine), synced=synced, look_again_s=FAULT_RETRY_S)
    name = mine.metadata.name
    ready = waiting(Reason.POWERING_OFF, f"the BMC of Server {name} was asked to cut the power, which was still on")
    cut = SwitchPower("ForceOff", f"asked the BMC of Server {name} for ForceOff before its release", "Delete")
    idle = world.cutting or world.reading is None
    return Plan(ready=ready, seen=_seen(mine), actions=() if idle else (cut,), look_again_s=IN_TRANSITION_S)


def choose(fitting: Iterable[Server], claim: ServerClaim) -> Server:
    """The same answer for the same servers: no larger than needed, and spread over equals by the claim's UID."""

    def preference(server: Server) -> tuple[int, int, int, str]:
        capacity = server.spec.capacity
        weight = hashlib.sha256(f"{claim.metadata.uid}/{server.metadata.uid}".encode()).hexdigest()
        return capacity.cpus, parse_bytes(capacity.memory), server.spec.slots, weight

    return min(fitting, key=preference)


def misfit(server: Server, claim: ServerClaim) -> str | None:
    """Why the server does not do for the claim, in words that group; None if it does."""
    namespace = claim.metadata.namespace or ""
    if not server.allows(namespace):
        return f"not open to namespace {namespace}"
    if shortage := _shortage(server, claim.spec.for_provider):
        return shortage
    if server.spec.unschedulable:
        return "unschedulable"
    return None if server.spec.claim_ref is None else "held by other machines"


def _shortage(server: Server, wanted: ServerClaimParameters) -> str | None:
    labels = wanted.server_selector.match_labels if wanted.server_selector else {}
    if not labels.items() <= server.metadata.labels.items():
        return "without labels " + ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
    capacity = server.spec.capacity
    if wanted.cpus is not None and capacity.cpus < wanted.cpus:
        return f"with {capacity.cpus} CPUs < {wanted.cpus}"
    if wanted.memory is not None and parse_bytes(capacity.memory) < parse_bytes(wanted.memory):
        return f"with memory {capacity.memory} < {wanted.memory}"
    if len(server.disk_slots()) < wanted.disks:
        return f"with {len(server.disk_slots())} disk slots < {wanted.disks}"
    if len(server.spec.nic_slots) < wanted.nics:
        return f"with {len(server.spec.nic_slots)} NIC slots < {wanted.nics}"
    return None


def explain(servers: Iterable[Server], claim: ServerClaim) -> str:
    """Why no server fits, by groups: ``none of 3 servers fits: 2 held by other machines, 1 with 8 CPUs < 16``."""
    groups = Counter(reason for server in servers if (reason := misfit(server, claim)) is not None)
    if not groups:
        return "there are no servers: register one as a Server"
    total = sum(groups.values())
    listed = ", ".join(f"{count} {reason}" for reason, count in sorted(groups.items(), key=lambda g: (-g[1], g[0])))
    return f"none of {total} server{'s' if total > 1 else ''} fits: {listed}"


def _seen(server: Server) -> ServerClaimObservation:
    return ServerClaimObservation(
        server_name=server.metadata.name, server_uid=server.metadata.uid, dpu_name=server.spec.dpu.name
    )
