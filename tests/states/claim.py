"""A ServerClaim: its planner is asked along a claim's whole life."""

from collections.abc import Iterator

from provider.api.reasons import Reason
from provider.api.server import Server
from provider.api.serverclaim import ServerClaim, ServerClaimObservation
from provider.planning.action import Action, PatchObject, SwitchPower
from provider.planning.powerworld import Fault
from provider.planning.serverclaim import World, plan
from tests.states.markdown import OUTSIDE
from tests.states.scenes import Scene, section
from tests.unit.planning.builders import DELETED, Json, child, server


def lines() -> Iterator[str]:
    intro = "It holds a server for a machine. `Server.spec.claimRef` says so, and nothing else."
    yield from section("A ServerClaim", intro, _scenes(), plan, _words)


def _words(action: Action) -> str:
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


def _scenes() -> Iterator[Scene[World]]:
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
