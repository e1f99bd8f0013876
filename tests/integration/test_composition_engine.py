"""The embedded engine by Crossplane's rules, with the real API server and the real function over mutual TLS.

No server fits the machines here: what is composed, and what is left alone, does not depend on hardware.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from provider.api.resources import BAREMETALMACHINE, MACHINEIMAGE, POWERSTATE
from tests.integration.installation import Installation, condition, settled, versions
from tests.integration.manifests import manifest
from tests.integration.rest import Rest
from tests.integration.waiting import eventually

Json = dict[str, Any]

DIGEST = "ab" * 32
KINDS = {
    "claim": "ServerClaim",
    "volume-root": "Volume",
    "volume-data": "Volume",
    "disk-root": "VirtualDisk",
    "disk-data": "VirtualDisk",
    "nic-eth0": "VirtualNIC",
    "seed": "VirtualDisk",
    "power": "PowerState",
}
COMPOSED = "apiextensions.crossplane.io/composed/"


@pytest.fixture
def image(rest: Rest, namespace: str) -> Iterator[Json]:
    """An image of the test's own, not there yet."""
    image = manifest(MACHINEIMAGE, f"image-of-{namespace}", None, {"sha256": DIGEST, "sizeBytes": 1024})
    yield image
    rest.ask("DELETE", MACHINEIMAGE.path(None, image["metadata"]["name"]))


@pytest.fixture
def wanted(namespace: str, image: Json) -> Json:
    spec = {
        "serverSelector": {"matchLabels": {"rack": namespace}},
        "disks": [
            {"name": "root", "boot": True, "image": image["metadata"]["name"], "size": "1Gi"},
            {"name": "data", "size": "2Gi"},
        ],
        "networkInterfaces": [{"name": "eth0", "network": "blue", "mac": "02:00:00:00:00:0a"}],
    }
    return manifest(BAREMETALMACHINE, "bm", namespace, spec)


@pytest.fixture
def machine(installation: Installation, image: Json, wanted: Json) -> Json:
    """A machine whose children have all said what they wait for."""
    installation.rest.create(MACHINEIMAGE, image)
    installation.rest.create(BAREMETALMACHINE, wanted)
    installation.await_condition(BAREMETALMACHINE, wanted, "Progressing", "NoFittingServer")
    machine = installation.machine(wanted["metadata"]["namespace"], "bm")
    eventually(lambda: installation.children(machine), at_rest)
    return machine


def test_without_its_image_a_machine_is_pending_and_has_no_children(installation: Installation, wanted: Json) -> None:
    installation.rest.create(BAREMETALMACHINE, wanted)
    said = installation.await_condition(BAREMETALMACHINE, wanted, "Progressing", "ImageNotFound")
    assert said["status"] == "False"
    assert wanted["spec"]["disks"][0]["image"] in said["message"]
    machine = installation.machine(wanted["metadata"]["namespace"], "bm")
    assert machine["status"]["printableStatus"] == "Pending"
    assert condition(machine, "Synced")["status"] == "True"
    assert condition(machine, "Ready")["status"] == "False"
    assert installation.children(machine) == {}


def test_the_image_appears_and_all_children_with_it(installation: Installation, image: Json, wanted: Json) -> None:
    installation.rest.create(BAREMETALMACHINE, wanted)
    installation.await_condition(BAREMETALMACHINE, wanted, "Progressing", "ImageNotFound")
    installation.rest.create(MACHINEIMAGE, image)
    machine = installation.machine(wanted["metadata"]["namespace"], "bm")
    children = eventually(lambda: installation.children(machine), lambda found: len(found) == len(KINDS))
    assert {name: child["kind"] for name, child in children.items()} == KINDS
    root = children["volume-root"]["spec"]["forProvider"]
    assert (root["image"], root["imageDigest"]) == (image["metadata"]["name"], DIGEST)


def test_children_carry_names_labels_and_owner_by_crossplanes_rules(installation: Installation, machine: Json) -> None:
    uid = machine["metadata"]["uid"]
    owner = {
        "apiVersion": "metalplane.io/v1alpha1",
        "kind": "BareMetalMachine",
        "name": "bm",
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    manager = COMPOSED + hashlib.sha256(b"bmBareMetalMachine.metalplane.io").hexdigest()
    for name, child in installation.children(machine).items():
        metadata = child["metadata"]
        assert metadata["name"] == "bm-" + hashlib.sha256((uid + name).encode()).hexdigest()[:12]
        assert metadata["ownerReferences"] == [owner]
        assert metadata["labels"]["crossplane.io/composite"] == "bm"
        assert metadata["labels"]["metalplane.io/machine-uid"] == uid
        applied = [entry["manager"] for entry in metadata["managedFields"] if entry["operation"] == "Apply"]
        assert manager in applied


def test_the_machine_records_its_children_and_composition(installation: Installation, machine: Json) -> None:
    machinery = installation.machine(machine["metadata"]["namespace"], "bm")["spec"]["crossplane"]
    children = installation.children(machine).values()
    listed = [(each["apiVersion"], each["kind"], each["metadata"]["name"]) for each in children]
    recorded = [(ref["apiVersion"], ref["kind"], ref["name"]) for ref in machinery["resourceRefs"]]
    assert recorded == sorted(listed)
    assert machinery["compositionRef"] == {"name": "baremetalmachines.metalplane.io"}
    assert "composite.apiextensions.crossplane.io" in machine["metadata"]["finalizers"]


def test_a_data_disk_is_kept_and_the_boot_disk_is_not(installation: Installation, machine: Json) -> None:
    children = installation.children(machine)
    assert "Delete" not in children["volume-data"]["spec"]["managementPolicies"]
    assert children["volume-root"]["spec"]["managementPolicies"] == ["*"]


def test_a_second_pass_writes_no_child(installation: Installation, machine: Json) -> None:
    paused = {"metadata": {"annotations": {"crossplane.io/paused": "true"}}}
    installation.rest.patch(BAREMETALMACHINE, machine, paused)
    installation.await_condition(BAREMETALMACHINE, machine, "Synced", "ReconcilePaused")
    before = versions(installation.children(machine))
    installation.rest.patch(BAREMETALMACHINE, machine, {"metadata": {"annotations": {"crossplane.io/paused": None}}})
    # Synced comes last of all that a pass writes.
    installation.await_condition(BAREMETALMACHINE, machine, "Synced", "ReconcileSuccess")
    assert versions(installation.children(machine)) == before


def test_a_restarted_provider_writes_nothing_at_all(installation: Installation, machine: Json, wanted: Json) -> None:
    namespace = machine["metadata"]["namespace"]
    before = versions(installation.children(machine) | {"machine": installation.machine(namespace, "bm")})
    installation.stop()
    installation.start()
    # Queued after all that was there when the provider came up.
    later = installation.rest.create(
        BAREMETALMACHINE, {**wanted, "metadata": {"name": "later", "namespace": namespace}}
    )
    installation.await_condition(BAREMETALMACHINE, later, "Progressing", "NoFittingServer")
    eventually(lambda: installation.children(later), at_rest)
    assert versions(installation.children(machine) | {"machine": installation.machine(namespace, "bm")}) == before


def test_a_paused_machine_is_left_alone(installation: Installation, machine: Json) -> None:
    patch = {"metadata": {"annotations": {"crossplane.io/paused": "true"}}, "spec": {"runStrategy": "Halted"}}
    installation.rest.patch(BAREMETALMACHINE, machine, patch)
    installation.await_condition(BAREMETALMACHINE, machine, "Synced", "ReconcilePaused")
    assert installation.children(machine)["power"]["spec"]["forProvider"]["state"] == "On"


def test_the_image_is_deleted_and_the_children_stay(installation: Installation, image: Json, machine: Json) -> None:
    before = {name: child["metadata"]["uid"] for name, child in installation.children(machine).items()}
    installation.rest.delete(MACHINEIMAGE, image)
    # A change of the spec makes the engine compose again, without the image.
    installation.rest.patch(BAREMETALMACHINE, machine, {"spec": {"runStrategy": "Halted"}})
    power = eventually(lambda: installation.children(machine)["power"], desired("Off"))
    assert power["metadata"]["uid"] == before["power"]
    installation.await_condition(BAREMETALMACHINE, machine, "Synced", "ReconcileSuccess")
    children = installation.children(machine)
    assert {name: child["metadata"]["uid"] for name, child in children.items()} == before
    assert children["volume-root"]["spec"]["forProvider"]["imageDigest"] == DIGEST


@pytest.mark.parametrize(("strategy", "state"), [("Halted", "Off"), ("Manual", None), ("Always", "On")])
def test_the_run_strategy_is_the_desired_power(
    installation: Installation, machine: Json, strategy: str, state: str | None
) -> None:
    installation.rest.patch(BAREMETALMACHINE, machine, {"spec": {"runStrategy": strategy}})
    installation.await_condition(BAREMETALMACHINE, machine, "Synced", "ReconcileSuccess")
    eventually(lambda: installation.children(machine)["power"], desired(state))
    assert set(installation.children(machine)) == set(KINDS)


def test_a_disk_that_is_dropped_takes_its_children_with_it(installation: Installation, machine: Json) -> None:
    rest = {name for name in KINDS if not name.endswith("-data")}
    before = versions(
        {name: child for name, child in installation.children(machine).items() if name in rest - {"claim"}}
    )
    installation.rest.patch(BAREMETALMACHINE, machine, {"spec": {"disks": machine["spec"]["disks"][:1]}})

    def dropped(found: dict[str, Json]) -> bool:
        # Kinds are listed one after the other: the claim may be of before the change, and the rest of after it.
        return set(found) == rest and found["claim"]["spec"]["forProvider"]["disks"] == 2

    children = eventually(lambda: installation.children(machine), dropped)
    assert versions({name: child for name, child in children.items() if name != "claim"}) == before


def test_a_child_that_was_changed_by_hand_is_put_back(installation: Installation, machine: Json) -> None:
    power = installation.children(machine)["power"]
    installation.rest.patch(POWERSTATE, power, {"spec": {"forProvider": {"state": "Off"}}})
    twice = power["metadata"]["generation"] + 2  # once by hand, once by the engine
    changed = eventually(
        lambda: installation.children(machine)["power"], lambda seen: seen["metadata"]["generation"] >= twice
    )
    assert changed["spec"]["forProvider"]["state"] == "On"


def test_what_is_asked_of_the_power_once_is_left_alone_by_the_engine(
    installation: Installation, machine: Json, wanted: Json
) -> None:
    power = installation.children(machine)["power"]
    request = {"id": "r1", "action": "GracefulRestart", "requestedAt": "2026-01-01T10:00:00Z"}
    body = {"apiVersion": power["apiVersion"], "kind": "PowerState", "spec": {"forProvider": {"request": request}}}
    body["metadata"] = {key: power["metadata"][key] for key in ("name", "namespace")}
    installation.rest.apply(POWERSTATE, body, field_manager="metalplane-api")
    installation.rest.patch(BAREMETALMACHINE, wanted, {"spec": {"runStrategy": "Halted"}})
    passed = eventually(
        lambda: installation.children(machine)["power"], lambda seen: seen["spec"]["forProvider"]["state"] == "Off"
    )
    assert passed["spec"]["forProvider"]["request"].items() >= request.items()


def test_a_child_that_was_deleted_by_hand_is_made_anew(installation: Installation, machine: Json) -> None:
    power = installation.children(machine)["power"]
    installation.rest.delete(POWERSTATE, power)

    def anew(found: dict[str, Json]) -> bool:
        return "power" in found and found["power"]["metadata"]["uid"] != power["metadata"]["uid"]

    children = eventually(lambda: installation.children(machine), anew)
    assert children["power"]["metadata"]["name"] == power["metadata"]["name"]


def test_a_namesake_of_a_child_that_is_not_ours_is_never_collected(installation: Installation, machine: Json) -> None:
    ours = installation.children(machine)["power"]
    metadata = {key: ours["metadata"][key] for key in ("namespace", "labels", "annotations")}
    annotations = metadata["annotations"] | {"crossplane.io/composition-resource-name": "stray"}
    stray = {**ours, "metadata": metadata | {"name": "stray", "annotations": annotations}}
    installation.rest.create(POWERSTATE, stray)
    installation.rest.patch(BAREMETALMACHINE, machine, {"spec": {"runStrategy": "Halted"}})
    eventually(lambda: installation.children(machine)["power"], desired("Off"))
    left = installation.rest.get(POWERSTATE, "stray", metadata["namespace"])
    assert "deletionTimestamp" not in left["metadata"]


def test_a_deleted_machine_goes_with_all_its_children(installation: Installation, machine: Json) -> None:
    namespace = machine["metadata"]["namespace"]
    installation.rest.delete(BAREMETALMACHINE, machine)
    eventually(lambda: installation.rest.all_of(BAREMETALMACHINE, namespace), lambda left: left == [])
    assert installation.children(machine) == {}


def at_rest(children: dict[str, Json]) -> bool:
    """Whether each child says what it will go on saying as long as no server fits and no storage is there."""
    if set(children) != set(KINDS) or not settled(children):
        return False
    claim = children["claim"]["metadata"]["name"]
    said = {name: condition(child)["message"] for name, child in children.items()}
    unbound = [said[name] for name, kind in KINDS.items() if kind in ("VirtualDisk", "VirtualNIC", "PowerState")]
    blank = [said[name] for name, kind in KINDS.items() if kind == "Volume"]
    return set(unbound) == {f"ServerClaim {claim} has no server yet"} and all(
        "is not bound yet" in one for one in blank
    )


def desired(state: str | None) -> Any:
    """Whether a PowerState asks for that power."""
    return lambda power: power["spec"]["forProvider"].get("state") == state
