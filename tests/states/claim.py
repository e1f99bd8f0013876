"""A ServerClaim: its planner is asked along a claim's whole life."""

from collections.abc import Iterator
from dataclasses import dataclass

from provider.api.reasons import Reason
from provider.api.server import Server
from provider.api.serverclaim import ServerClaim, ServerClaimObservation
from provider.planning.action import Action, PatchObject, SwitchPower
from provider.planning.powerstate import Fault
from provider.planning.serverclaim import ServerClaimPlan, World, plan
from tests.states.markdown import OUTSIDE, diagram, prose, table
from tests.unit.planning.builders import DELETED, Json, child, server


@dataclass(frozen=True)
class Scene:
    """What is observed, and in how many words; ``after``: the scenes that it comes from, and by what."""

    name: str
    seen: str
    world: World
    after: tuple[tuple[str, str], ...] = ()


def lines() -> Iterator[str]:
    scenes = list(_scenes())
    yield from prose("## A ServerClaim")
    yield from prose("It holds a server for a machine. `Server.spec.claimRef` says so, and nothing else.")
    rows = ([each.name, each.seen, *_decided(plan(each.world))] for each in scenes)
    yield from table(("", "observed", "Ready", "done"), rows)
    edges: dict[tuple[str, str], list[str]] = {}
    for scene in scenes:
        for before, cause in scene.after:
            edges.setdefault((before, scene.name), []).append(cause)
        if plan(scene.world).gone:
            edges[scene.name, OUTSIDE] = ["its finalizer is taken off"]
    yield from diagram(edges)


def _decided(decided: ServerClaimPlan) -> tuple[str, str]:
    done = [_action(action) for action in decided.actions] or (["gone"] if decided.gone else [])
    return f"{decided.ready.status}, {decided.ready.reason}", "; ".join(done)


def _action(action: Action) -> str:
    match action:
        case PatchObject(body=body):
            return "claimRef is cleared" if body["spec"]["claimRef"] is None else "claimRef is written"
        case SwitchPower(reset_type=reset_type):
            return f"{reset_type} is asked of the BMC"
        case _:
            raise ValueError(f"the page has no words for {action}")


def _claim(*, deleted: bool = False, held: bool = False) -> Json:
    made = child("ServerClaim", "claim", {"cpus": 2}, **(DELETED if deleted else {}))
    seen = ServerClaimObservation(server_name="s1", server_uid="uid-s1", dpu_name="dpu-of-s1")
    return made | ({"status": {"atProvider": seen.to_json()}} if held else {})


def _world(claim: Json, servers: list[Json], **known: object) -> World:
    return World(ServerClaim.parse(claim), tuple(map(Server.parse, servers)), **known)  # type: ignore[arg-type]


def _scenes() -> Iterator[Scene]:
    new, held, going = _claim(), _claim(held=True), _claim(deleted=True, held=True)
    mine, others = server("s1", claim=held), server("s1", claim=child("ServerClaim", "other", {}, uid="uid-other"))
    small, free = server("s1", capacity={"cpus": 1, "memory": "1Gi"}), server("s1")
    fault = Fault(Reason.BMC_UNREACHABLE, "no answer")
    yield Scene("waits", "no server fits", _world(new, [small]), ((OUTSIDE, "made"),))
    yield Scene(
        "binds", "a server is free, open to the namespace and fits", _world(new, [free]), (("waits", "one fits"),)
    )
    yield Scene("bound", "claimRef names the claim's UID", _world(held, [mine]), (("binds", "compare-and-swap won"),))
    yield Scene(
        "disputed", "claimRef names another", _world(held, [others]), (("bound", "claimRef overwritten by hand"),)
    )
    yield Scene(
        "restores",
        "claimRef is empty, the claim's record is not",
        _world(held, [free]),
        (("bound", "claimRef cleared"),),
    )
    yield Scene(
        "in use",
        "deleted; disks, NICs, power or volumes are left",
        _world(going, [mine], dependents=("PowerState p",)),
        (("bound", "deleted"),),
    )
    yield Scene(
        "still on",
        "deleted; nothing is left; the BMC says On",
        _world(going, [mine], reading="On"),
        (("in use", "all gone"),),
    )
    yield Scene(
        "power unknown",
        "deleted; nothing is left; the BMC does not say",
        _world(going, [mine], fault=fault),
        (("still on", "BMC silent"),),
    )
    yield Scene(
        "seen off",
        "deleted; nothing is left; the BMC says Off",
        _world(going, [mine], reading="Off"),
        (("still on", "power cut"), ("in use", "all gone"), ("power unknown", "BMC says Off")),
    )
    yield Scene("released", "deleted; claimRef is empty", _world(going, [free]), (("seen off", "claimRef cleared"),))
