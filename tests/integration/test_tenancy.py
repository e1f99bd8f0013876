"""Two tenants: what one of them writes by hand never reaches the server of the other, and a server has one holder."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from provider.api.conditions import REMOVED
from provider.api.names import ANNOTATION_PAUSED
from provider.api.resources import (
    BAREMETALMACHINE,
    EMULATEDDISK,
    EMULATEDNIC,
    NETWORK,
    PERSISTENTVOLUMECLAIM,
    POWERSTATE,
    SERVER,
    SERVERCLAIM,
    VIRTUALDISK,
    VIRTUALNIC,
    VOLUME,
    ResourceType,
)
from sandbox.apiserver import ApiServer
from tests.integration.installation import Installation
from tests.integration.manifests import edited, manifest
from tests.integration.rack import Rack
from tests.integration.rest import Rest
from tests.integration.waiting import eventually

Json = dict[str, Any]

CHILDREN: dict[str, tuple[ResourceType, Json]] = {
    "VirtualDisk": (VIRTUALDISK, {"slot": 2, "seed": {"hostname": "intruder"}}),
    "VirtualNIC": (VIRTUALNIC, {"index": 0, "network": "shared"}),
    "PowerState on": (POWERSTATE, {"state": "On"}),
    "PowerState off": (POWERSTATE, {"state": "Off", "gracefulShutdownTimeoutSeconds": 0}),
}


@pytest.fixture(scope="module")
def rack(apiserver: ApiServer, rest: Rest, installation: Installation) -> Iterator[Rack]:
    """The server that one tenant holds and another one is after, which is on from before; and a network for all."""
    network = {"vlan": 200, "subnet": "10.30.0.0/24", "allowedNamespaces": ["*"]}
    apiserver.kubectl.apply([manifest(NETWORK, "shared", None, network)])
    rack = Rack(apiserver, rest, "coveted", ["victim", "intruder"])
    rack.chassis.power = "on"
    yield rack
    rack.take_away()


@pytest.fixture(scope="module")
def victim(apiserver: ApiServer, installation: Installation, rack: Rack) -> Json:
    """A machine that holds the server."""
    apiserver.kubectl.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "victim"}}])
    installation.rest.create(BAREMETALMACHINE, machine("bm", "victim", rack))
    return await_server(installation, "victim", "bm", rack)


@pytest.fixture(scope="module")
def intruder(apiserver: ApiServer, installation: Installation, rack: Rack, victim: Json) -> Json:
    """A machine of the other tenant's, which has no server."""
    apiserver.kubectl.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "intruder"}}])
    wanted = installation.rest.create(BAREMETALMACHINE, machine("bm", "intruder", rack))
    installation.await_condition(BAREMETALMACHINE, wanted, "Progressing", "NoFittingServer")
    return wanted


@pytest.fixture
def own_rack(apiserver: ApiServer, rest: Rest, installation: Installation, namespace: str) -> Iterator[Rack]:
    """A server that nobody holds yet."""
    rack = Rack(apiserver, rest, f"server-{namespace}", [namespace])
    yield rack
    rack.take_away()


def machine(name: str, namespace: str, rack: Rack) -> Json:
    spec = {
        "serverSelector": {"matchLabels": {"rack": rack.server}},
        "disks": [{"name": "root", "boot": True, "image": "tiny", "size": "1Gi"}],
    }
    return manifest(BAREMETALMACHINE, name, namespace, spec)


def await_server(installation: Installation, namespace: str, name: str, rack: Rack) -> Json:
    return eventually(
        lambda: installation.machine(namespace, name),
        lambda seen: seen.get("status", {}).get("serverName") == rack.server,
    )


def by_hand(resource: ResourceType, owner: Json | None, namespace: str, parameters: Json) -> Json:
    """A child as a tenant may write it."""
    obj = manifest(resource, f"by-hand-{uuid.uuid4().hex[:8]}", namespace, {"forProvider": parameters})
    if owner is None:
        return obj
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }
    return edited(obj, {"metadata.ownerReferences": [reference]})


def forge_claim(rest: Rest, rack: Rack, owner: Json) -> Json:
    """A ServerClaim that says of itself that it holds the rack's server."""
    wanted = {"disks": 2, "serverSelector": {"matchLabels": {"rack": rack.server}}}
    claim = rest.create(SERVERCLAIM, by_hand(SERVERCLAIM, owner, owner["metadata"]["namespace"], wanted))
    uid = rest.get(SERVER, rack.server)["metadata"]["uid"]
    seen = {"serverName": rack.server, "serverUID": uid, "dpuName": rack.dpu}
    rest.patch(SERVERCLAIM, claim, {"status": {"atProvider": seen}}, subresource="status")
    return claim


def create_under(rest: Rest, claim: str, owner: Json | None, namespace: str, case: str) -> tuple[ResourceType, Json]:
    """One of the children, pointed at a claim."""
    resource, parameters = CHILDREN[case]
    child = by_hand(resource, owner, namespace, parameters | {"serverClaimRef": {"name": claim}})
    return resource, rest.create(resource, child)


def assert_untouched(rest: Rest, rack: Rack, holder: Json, child: Json) -> None:
    """The server has the holder that it had, no command reached its BMC, and its DPU was told nothing of the child."""
    assert rack.holder() == holder
    assert (rack.chassis.commands, rack.chassis.power) == ([], "on")
    uid = child["metadata"]["uid"]
    devices = [*rest.all_of(EMULATEDDISK, rack.namespace), *rest.all_of(EMULATEDNIC, rack.namespace)]
    assert devices, "the holder's own seed disk is there"
    assert [device["metadata"]["name"] for device in devices if uid in device["metadata"]["name"]] == []


@pytest.fixture(scope="module")
def holder(installation: Installation, rack: Rack, victim: Json) -> Json:
    """Who holds the server, once its DPU was told of the holder's first device; the server runs.

    It was on before it had a holder, so its power was cut first. With no agent to say that the disks are there it is
    never started: its PowerState is paused, and it is on as if it had been.
    """
    rest = installation.rest
    eventually(lambda: rest.all_of(EMULATEDDISK, rack.namespace), bool)
    eventually(lambda: (rack.chassis.commands, rack.chassis.power), lambda seen: seen == (["power_off"], "off"))
    power = installation.children(victim)["power"]
    rest.patch(POWERSTATE, power, {"metadata": {"annotations": {ANNOTATION_PAUSED: "true"}}})
    installation.await_condition(POWERSTATE, power, "Synced", "ReconcilePaused")
    rack.chassis.commands, rack.chassis.power = [], "on"
    reference = rack.holder()
    assert reference is not None
    assert reference["namespace"] == "victim"
    return reference


@pytest.mark.parametrize("case", CHILDREN)
def test_a_child_under_a_forged_claim_is_refused(
    installation: Installation, rack: Rack, holder: Json, intruder: Json, case: str
) -> None:
    rest = installation.rest
    claim = forge_claim(rest, rack, intruder)
    resource, child = create_under(rest, claim["metadata"]["name"], intruder, "intruder", case)
    for type_ in ("Ready", "Synced"):
        said = installation.await_condition(resource, child, type_, "ServerNotYours")
        assert said["status"] == "False"
        assert f"Server {rack.server} is held by another claim" in said["message"]
    assert_untouched(rest, rack, holder, child)


@pytest.mark.parametrize("case", CHILDREN)
def test_a_child_without_a_machine_is_refused(
    installation: Installation, rack: Rack, holder: Json, intruder: Json, case: str
) -> None:
    rest = installation.rest
    claim = forge_claim(rest, rack, intruder)
    resource, child = create_under(rest, claim["metadata"]["name"], None, "intruder", case)
    said = installation.await_condition(resource, child, "Ready", "ServerNotYours")
    assert "make a BareMetalMachine, and it makes its children" in said["message"]
    assert_untouched(rest, rack, holder, child)


@pytest.mark.parametrize("case", CHILDREN)
def test_a_child_under_the_claim_of_a_sister_machine_is_refused(
    installation: Installation, rack: Rack, holder: Json, case: str
) -> None:
    rest = installation.rest
    sister = rest.create(BAREMETALMACHINE, machine(f"sister-{uuid.uuid4().hex[:8]}", "victim", rack))
    resource, child = create_under(rest, holder["name"], sister, "victim", case)
    said = installation.await_condition(resource, child, "Ready", "ServerNotYours")
    assert f"ServerClaim {holder['name']} belongs to another machine" in said["message"]
    assert_untouched(rest, rack, holder, child)


@pytest.mark.parametrize("case", CHILDREN)
def test_a_claim_is_not_looked_for_in_another_namespace(
    installation: Installation, rack: Rack, holder: Json, intruder: Json, case: str
) -> None:
    rest = installation.rest
    resource, child = create_under(rest, holder["name"], intruder, "intruder", case)
    said = installation.await_condition(resource, child, "Ready", "ServerNotBound")
    assert "its ServerClaim does not exist yet" in said["message"]
    assert_untouched(rest, rack, holder, child)


def test_a_claim_that_lies_about_its_server_gets_none(
    installation: Installation, rack: Rack, holder: Json, intruder: Json
) -> None:
    claim = forge_claim(installation.rest, rack, intruder)
    said = installation.await_condition(SERVERCLAIM, claim, "Ready", "ServerNotBound")
    assert "no longer names this claim in spec.claimRef" in said["message"]
    assert_untouched(installation.rest, rack, holder, claim)


def test_a_volume_that_names_anothers_pvc_makes_one_of_its_own(
    installation: Installation, victim: Json, intruder: Json
) -> None:
    rest = installation.rest
    theirs = eventually(lambda: rest.all_of(PERSISTENTVOLUMECLAIM, "victim"), bool)[0]
    name = theirs["metadata"]["name"]
    volume = by_hand(VOLUME, intruder, "intruder", {"size": "1Gi"})
    rest.create(VOLUME, edited(volume, {"metadata.annotations": {"crossplane.io/external-name": name}}))
    path = PERSISTENTVOLUMECLAIM.path("intruder", name)
    ours = eventually(lambda: rest.ask("GET", path), lambda answer: not answer.refusal).body
    assert ours["metadata"]["uid"] != theirs["metadata"]["uid"]
    left = rest.get(PERSISTENTVOLUMECLAIM, name, "victim")
    assert left["metadata"]["labels"] == theirs["metadata"]["labels"]
    assert "deletionTimestamp" not in left["metadata"]


def test_a_server_that_is_not_open_to_a_tenant_is_not_his(
    installation: Installation, own_rack: Rack, namespace: str
) -> None:
    rest = installation.rest
    server = rest.get(SERVER, own_rack.server)
    rest.patch(SERVER, server, {"spec": {"allowedNamespaces": ["victim"]}})
    wanted = rest.create(BAREMETALMACHINE, machine("bm", namespace, own_rack))
    said = installation.await_condition(BAREMETALMACHINE, wanted, "Progressing", "NoFittingServer")
    assert f"not open to namespace {namespace}" in said["message"]
    rest.patch(SERVER, server, {"spec": {"allowedNamespaces": ["victim", namespace]}})
    await_server(installation, namespace, "bm", own_rack)


def test_one_of_many_gets_the_only_server_and_the_next_when_it_has_gone(
    installation: Installation, own_rack: Rack, namespace: str
) -> None:
    rest, names = installation.rest, [f"bm-{number}" for number in range(4)]
    for name in names:
        rest.create(BAREMETALMACHINE, machine(name, namespace, own_rack))
    (winner,) = eventually(lambda: with_server(installation, namespace), bool)
    losers = [name for name in names if name != winner]
    for name in losers:
        loser = installation.machine(namespace, name)
        said = installation.await_condition(BAREMETALMACHINE, loser, "Progressing", "NoFittingServer")
        assert "1 held by other machines" in said["message"]
        assert installation.machine(namespace, name)["status"]["printableStatus"] == "Unschedulable"
    assert with_server(installation, namespace) == [winner]
    first = own_rack.holder()
    rest.delete(BAREMETALMACHINE, installation.machine(namespace, winner))
    undo_devices(rest, own_rack)
    (second,) = eventually(lambda: with_server(installation, namespace), bool)
    assert second in losers
    assert own_rack.holder() != first
    # Nobody's disks were ready, so nobody's server was to be powered on: not on the way out either.
    assert own_rack.chassis.commands == []


def with_server(installation: Installation, namespace: str) -> list[str]:
    """Machines that say that they have a server. One that goes away says so for a moment after it let go of it."""
    machines = installation.rest.all_of(BAREMETALMACHINE, namespace)
    staying = [machine for machine in machines if "deletionTimestamp" not in machine["metadata"]]
    return [machine["metadata"]["name"] for machine in staying if machine.get("status", {}).get("serverName")]


def undo_devices(rest: Rest, rack: Rack) -> None:
    """Play the DPU's agent: say of each device that is to go that all is undone."""
    leaving = eventually(lambda: rest.all_of(EMULATEDDISK, rack.namespace), all_leaving)
    done = {"type": REMOVED, "status": "True", "reason": "Removed", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    for device in leaving:
        rack.agent.patch(EMULATEDDISK, device, {"status": {"conditions": [done]}}, subresource="status")


def all_leaving(devices: list[Json]) -> bool:
    return bool(devices) and all("deletionTimestamp" in device["metadata"] for device in devices)
