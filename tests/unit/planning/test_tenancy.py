"""Whose server it is: a tenant may write any child spec, and reaches nobody else's server with it."""

from typing import Any

import pytest

from provider.api.meta import ObjectMeta
from provider.api.reasons import Reason
from provider.api.server import Server
from provider.api.serverclaim import ServerClaim
from provider.planning.tenancy import Hold, NoHold, prove_hold
from tests.unit.planning.builders import DELETED, MACHINE_UID, Json, child, server

OTHER = "99999999-2222-3333-4444-555555555555"


def prove(mine: Json, claim: Json | None, *servers: Json) -> Hold | NoHold:
    meta = ObjectMeta.model_validate(mine["metadata"])
    return prove_hold(
        meta, None if claim is None else ServerClaim.parse(claim), [Server.parse(each) for each in servers]
    )


def disk(**metadata: Any) -> Json:
    return child("VirtualDisk", "disk", {}, **metadata)


CLAIM = child("ServerClaim", "claim", {})
FOREIGN = child("ServerClaim", "foreign", {}, machine=OTHER)
ABROAD = child("ServerClaim", "claim", {}, namespace="tenant-b")


def test_a_child_acts_through_its_own_machines_claim() -> None:
    proof = prove(disk(), CLAIM, server("s0"), server("s1", claim=CLAIM))
    assert isinstance(proof, Hold)
    assert (proof.server.metadata.name, proof.dpu_name) == ("s1", "dpu-of-s1")
    assert (proof.machine.uid, proof.machine.namespace) == (MACHINE_UID, "tenant-a")


def test_a_claim_that_does_not_exist_yet_is_waited_for() -> None:
    proof = prove(disk(), None)
    assert isinstance(proof, NoHold)
    assert (proof.reason, proof.refused) == (Reason.SERVER_NOT_BOUND, False)


def test_a_claim_that_has_no_server_yet_is_waited_for() -> None:
    proof = prove(disk(), CLAIM, server("s1"))
    assert isinstance(proof, NoHold)
    assert not proof.refused


def _pointing_at(name: str) -> Json:
    return CLAIM | {"status": {"atProvider": {"serverName": name}}}


def _without_owner() -> Json:
    made = disk()
    made["metadata"]["ownerReferences"] = []
    return made


@pytest.mark.parametrize(
    ("mine", "claim", "held"),
    [
        (_without_owner(), CLAIM, server("s1", claim=CLAIM)),
        (disk(), FOREIGN, server("s1", claim=FOREIGN)),
        (disk(), ABROAD, server("s1", claim=ABROAD)),
        (disk(namespace="tenant-b"), CLAIM, server("s1", claim=CLAIM)),
        (disk(), _pointing_at("s1"), server("s1", claim=FOREIGN)),
        (disk(), CLAIM, server("s1", claim=CLAIM, allowedNamespaces=["tenant-b"])),
    ],
    ids=[
        "made by hand without a machine",
        "under a neighbour's claim",
        "a claim of another namespace",
        "a child of another namespace",
        "a claim whose status lies",
        "a server closed to the namespace",
    ],
)
def test_a_child_that_points_at_a_strangers_server_is_refused(mine: Json, claim: Json, held: Json) -> None:
    proof = prove(mine, claim, held)
    assert isinstance(proof, NoHold)
    assert (proof.reason, proof.refused) == (Reason.SERVER_NOT_YOURS, True)


def test_what_goes_away_may_act_on_the_server_it_holds_though_that_was_closed_to_its_namespace() -> None:
    closed = server("s1", claim=CLAIM, allowedNamespaces=["tenant-b"])
    assert isinstance(prove(disk(**DELETED), CLAIM, closed), Hold)


def test_a_namesake_of_the_claim_that_holds_the_server_holds_nothing() -> None:
    earlier = child("ServerClaim", "claim", {}, uid="uid-of-an-earlier-one")
    assert isinstance(prove(disk(), CLAIM, server("s1", claim=earlier)), NoHold)


def test_a_server_whose_mark_has_no_uid_is_nobodys() -> None:
    marked = server("s1")
    marked["spec"]["claimRef"] = {"namespace": "tenant-a", "name": "claim"}
    assert isinstance(prove(disk(), CLAIM, marked), NoHold)
