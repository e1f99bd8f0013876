"""Stories of the scheduler."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from provider.api.powerstate import Power
from provider.api.reasons import Reason
from provider.api.server import Server
from provider.api.serverclaim import ServerClaim
from provider.planning.action import PatchObject, SwitchPower
from provider.planning.powerworld import Fault
from provider.planning.serverclaim import ServerClaimPlan, World, plan
from tests.unit.planning.builders import DELETED, Json, child, server


def decide(claim: Json, *servers: Json, reading: Power | None = "Off", **known: object) -> ServerClaimPlan:
    world = World(ServerClaim.parse(claim), tuple(map(Server.parse, servers)), reading=reading)
    return plan(replace(world, **known))  # type: ignore[arg-type]


def claim(name: str = "claim", status: Json | None = None, **parameters: object) -> Json:
    made = child("ServerClaim", name, dict(parameters))
    return made | {"status": status} if status else made


def only_patch(decided: ServerClaimPlan) -> PatchObject:
    (action,) = decided.actions
    assert isinstance(action, PatchObject)
    return action


def test_a_free_server_is_bound_by_compare_and_swap_with_the_claims_uid() -> None:
    free = server("s1")
    free["metadata"]["resourceVersion"] = "7"
    action = only_patch(decide(claim(), free))
    assert action.name == "s1"
    assert action.body == {"spec": {"claimRef": {"namespace": "tenant-a", "name": "claim", "uid": "uid-claim"}}}
    assert action.resource_version == "7"


def test_a_bind_that_was_not_recorded_is_adopted() -> None:
    mine = claim()
    decided = decide(mine, server("s1"), server("s2", claim=mine))
    assert decided.actions == ()
    assert decided.ready.status == "True"
    assert decided.seen.server_name == "s2"


def test_a_namesake_of_an_earlier_claim_does_not_inherit_its_server() -> None:
    earlier = claim()
    earlier["metadata"]["uid"] = "another"
    decided = decide(claim(), server("s1", claim=earlier))
    assert decided.ready.reason is Reason.NO_FITTING_SERVER


def test_the_smallest_server_that_fits_is_taken() -> None:
    big = server("a-big", capacity={"cpus": 64, "memory": "512Gi"})
    assert only_patch(decide(claim(cpus=2), big, server("b-small"))).name == "b-small"


def test_no_fitting_server_says_why_for_each_group() -> None:
    other = claim("other")
    decided = decide(
        claim(cpus=16, disks=2),
        server("s1", claim=other, capacity={"cpus": 32, "memory": "8Gi"}),
        server("s2", claim=other, capacity={"cpus": 32, "memory": "8Gi"}),
        server("s3", capacity={"cpus": 8, "memory": "8Gi"}),
        server("s4", allowedNamespaces=["tenant-b"]),
        server("s5", capacity={"cpus": 32, "memory": "8Gi"}, unschedulable=True),
        server(
            "s6",
            capacity={"cpus": 32, "memory": "8Gi"},
            slots=3,
            nicSlots=[{"slot": 1, "representor": "a"}, {"slot": 2, "representor": "b"}],
        ),
    )
    assert decided.actions == ()
    assert decided.ready.reason is Reason.NO_FITTING_SERVER
    assert decided.ready.message == (
        "none of 6 servers fits: 2 held by other machines, 1 not open to namespace tenant-a, 1 unschedulable, "
        "1 with 1 disk slots < 2, 1 with 8 CPUs < 16"
    )
    assert decided.synced.status == "True"


def test_a_claim_whose_server_lost_its_mark_takes_that_server_back_and_no_other() -> None:
    status = {"atProvider": {"serverName": "s1", "serverUID": "uid-s1"}}
    assert only_patch(decide(claim(status=status), server("s0"), server("s1"))).name == "s1"


def test_a_claim_whose_server_is_gone_does_not_move_to_another() -> None:
    status = {"atProvider": {"serverName": "s1", "serverUID": "uid-s1"}}
    decided = decide(claim(status=status), server("s0"))
    assert decided.actions == ()
    assert decided.synced.status == "False"
    assert "restore it" in decided.ready.message


def test_a_deleted_claim_keeps_its_server_while_anything_depends_on_it() -> None:
    mine = claim()
    mine["metadata"] |= DELETED
    dependents = ("PowerState bm-01-p", "Volume bm-01-v")
    told = decide(mine, server("s1", claim=mine), dependents=dependents).ready.message
    assert "Volume bm-01-v" in told, "the last to go, so that the message holds still while the others go"
    decided = decide(mine, server("s1", claim=mine), dependents=dependents[:1])
    assert decided.actions == ()
    assert not decided.gone
    assert decided.ready.reason is Reason.WAITING_FOR_CHILDREN
    assert "PowerState bm-01-p" in decided.ready.message


def test_a_deleted_claim_releases_its_own_server_only() -> None:
    mine, other = claim(), claim("other")
    mine["metadata"] |= DELETED
    action = only_patch(decide(mine, server("s1", claim=other), server("s2", claim=mine)))
    assert (action.name, action.body, action.policy) == ("s2", {"spec": {"claimRef": None}}, "Delete")
    assert decide(mine, server("s1", claim=other), server("s2")).gone


def release(**known: object) -> ServerClaimPlan:
    mine = claim()
    mine["metadata"] |= DELETED
    return decide(mine, server("s1", claim=mine), **known)  # type: ignore[arg-type]


def test_a_server_that_is_still_on_is_switched_off_before_it_is_released() -> None:
    decided = release(reading="On")
    (action,) = decided.actions
    assert isinstance(action, SwitchPower)
    assert (action.reset_type, action.policy, decided.gone) == ("ForceOff", "Delete", False)
    assert (decided.ready.reason, decided.seen.server_name) == (Reason.POWERING_OFF, "s1")
    asked = release(reading="On", cutting=True)
    assert (asked.actions, asked.gone, asked.look_again_s) == ((), False, 1.0)


def test_a_server_whose_power_was_not_read_is_not_released() -> None:
    assert (release(reading=None).actions, release(reading=None).gone) == ((), False)


def test_a_release_waits_for_a_bmc_that_does_not_answer_and_says_what_to_do() -> None:
    decided = release(reading=None, fault=Fault(Reason.BMC_UNREACHABLE, "Server s1: read power at BMC b: silence."))
    assert (decided.actions, decided.gone, decided.look_again_s) == ((), False, 10.0)
    assert (decided.synced.status, decided.ready.reason) == ("False", Reason.BMC_UNREACHABLE)
    for part in ("has to be seen off before the server is released", "Server s1: read power", "spec.claimRef"):
        assert part in decided.ready.message


@st.composite
def inventories(draw: st.DrawFn) -> list[Json]:
    count = draw(st.integers(0, 6))
    holder = claim("other")
    return [
        server(
            f"s{number}",
            claim=holder if draw(st.booleans()) else None,
            capacity={"cpus": draw(st.sampled_from([2, 4, 8])), "memory": draw(st.sampled_from(["4Gi", "8Gi"]))},
            unschedulable=draw(st.booleans()),
            allowedNamespaces=draw(st.sampled_from([["*"], ["tenant-a"], ["tenant-b"]])),
        )
        for number in range(count)
    ]


@given(servers=inventories(), cpus=st.sampled_from([1, 4, 8]), deleted=st.booleans())
def test_carrying_out_a_plan_and_planning_again_gives_the_empty_plan(
    servers: list[Json], cpus: int, deleted: bool
) -> None:
    mine = claim(cpus=cpus)
    if deleted:
        mine["metadata"] |= DELETED
    first = decide(mine, *servers)
    for action in first.actions:
        assert isinstance(action, PatchObject)
        target = next(each for each in servers if each["metadata"]["name"] == action.name)
        assert target["spec"].get("claimRef") is None, "a server that somebody holds is never taken"
        taken = target | {"spec": target["spec"] | {"claimRef": action.body["spec"]["claimRef"]}}
        servers = [taken if each is target else each for each in servers]
    again = decide(mine, *servers)
    assert again.actions == ()
    assert sum(1 for each in servers if (each["spec"].get("claimRef") or {}).get("uid") == "uid-claim") <= 1


@given(st.permutations(["s1", "s2", "s3", "s4"]))
def test_the_choice_does_not_depend_on_the_order_of_the_servers(names: list[str]) -> None:
    expected = only_patch(decide(claim(), *map(server, sorted(names)))).name
    assert only_patch(decide(claim(), *map(server, names))).name == expected


def test_equal_servers_are_spread_over_claims() -> None:
    names = [f"s{number}" for number in range(4)]
    chosen = {only_patch(decide(claim(f"claim-{number}"), *map(server, names))).name for number in range(40)}
    assert chosen == set(names)
