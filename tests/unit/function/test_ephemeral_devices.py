"""Devices that a machine has for one run: composed in that run, and never after it."""

import json

import pytest

from provider.api.machine import MAX_DISKS
from provider.api.names import ANNOTATION_EPHEMERAL_DEVICES, ANNOTATION_RUN, LABEL_RUN
from provider.function.compose import answer
from tests.unit.function.scenes import DATA, ETH0, ROOT, Json, grown, machine, observe

SCRATCH: Json = {"name": "scratch", "size": "5Gi"}
BOTH: Json = {"disks": [SCRATCH], "networkInterfaces": [ETH0 | {"name": "eth1"}]}
OWN = {"claim", "volume-root", "disk-root", "seed", "nic-eth0", "power"}
PASSING = {"volume-scratch", "disk-scratch", "nic-eth1"}


def annotated(text: str, **spec: list[Json]) -> Json:
    raw = machine(**spec)  # type: ignore[arg-type]
    raw["metadata"]["annotations"] = {ANNOTATION_EPHEMERAL_DEVICES: text}
    return raw


def asked(run: str = "r1", **lists: list[Json]) -> Json:
    return annotated(json.dumps({"run": run} | (lists or BOTH)))


def in_run(children: dict[str, Json], run: str | None) -> dict[str, Json]:
    """The children with that run marked on the PowerState."""
    power = children["power"]
    marks = {} if run is None else {ANNOTATION_RUN: run}
    return children | {"power": power | {"metadata": power["metadata"] | {"annotations": marks}}}


def equipped() -> dict[str, Json]:
    """All children of a machine that has been given its devices in the run r1."""
    whole = grown(machine(disks=[ROOT, SCRATCH | {"keep": False}], nics=[ETH0, ETH0 | {"name": "eth1"}]))
    for name in PASSING:
        whole[name]["metadata"]["labels"][LABEL_RUN] = "r1"
    return in_run(whole, "r1")


def test_in_their_run_they_are_composed_as_if_the_spec_had_them() -> None:
    told = answer(observe(asked(), in_run(grown(machine()), "r1")))
    assert set(told.desired) == OWN | PASSING
    assert {
        name for name, child in told.desired.items() if child["metadata"]["labels"].get(LABEL_RUN) == "r1"
    } == PASSING
    claim = told.desired["claim"]["spec"]["forProvider"]
    assert (claim["disks"], claim["nics"]) == (3, 2)


def test_a_machine_that_has_them_is_as_it_should_be() -> None:
    told = answer(observe(asked(), equipped()))
    assert all(told.ready.values())
    assert told.progressing.reason == "Provisioned"


@pytest.mark.parametrize(("keep", "kept"), [(None, False), (False, False), (True, True)])
def test_their_volumes_are_kept_only_where_that_is_said(keep: bool | None, kept: bool) -> None:
    disk = SCRATCH if keep is None else SCRATCH | {"keep": keep}
    composed = answer(observe(asked(disks=[disk]), in_run(grown(machine()), "r1"))).desired
    assert ("managementPolicies" in composed["volume-scratch"]["spec"]) == kept


@pytest.mark.parametrize("run", [None, "r2"])
def test_after_their_run_they_are_dropped_for_ever(run: str | None) -> None:
    assert set(answer(observe(asked(), in_run(equipped(), run))).desired) == OWN


def test_no_status_has_a_say_in_it() -> None:
    bereft = {name: {key: part for key, part in child.items() if key != "status"} for name, child in equipped().items()}
    assert set(answer(observe(asked(), bereft)).desired) == OWN | PASSING
    assert set(answer(observe(asked(), in_run(bereft, None))).desired) == OWN


def test_a_machine_without_a_power_state_has_no_run() -> None:
    children = equipped()
    del children["power"]
    assert set(answer(observe(asked(), children)).desired) == OWN


def test_what_the_spec_names_is_the_specs() -> None:
    raw = annotated(json.dumps({"run": "r1", "disks": [DATA | {"size": "1Gi"}]}), disks=[ROOT, DATA])
    composed = answer(observe(raw, in_run(grown(machine(disks=[ROOT, DATA])), "r1"))).desired
    assert composed["volume-data"]["spec"]["forProvider"]["size"] == DATA["size"]
    assert "managementPolicies" in composed["volume-data"]["spec"]
    assert LABEL_RUN not in composed["disk-data"]["metadata"]["labels"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("scratch, please", "Invalid JSON"),
        ("[" * 100_000, "Invalid JSON"),
        ("[]", "should be an object"),
        ('{"disks":[]}', "run: Field required"),
        ('{"run":"r1","disk":[]}', "disk: Extra inputs"),
        ('{"run":"r1","disks":[{"name":"a"}]}', "disks.0.size: Field required"),
        ('{"run":"r1","disks":[{"name":"A b","size":"1Gi"}]}', "no DNS label"),
        ('{"run":"r1","disks":[{"name":"a","size":"big"}]}', "not a quantity"),
        ('{"run":"r1","disks":[{"name":"a","size":"0"}]}', "more than 0"),
        (
            '{"run":"r1","disks":[{"name":"a","size":"1Gi","image":"tiny","boot":true}]}',
            "boots from a disk of its spec",
        ),
        ('{"run":"r1","networkInterfaces":[{"name":"a","network":"b"},{"name":"a","network":"b"}]}', "two devices"),
        (
            json.dumps({"run": "r1", "disks": [{"name": f"d{n}", "size": "1Gi"} for n in range(MAX_DISKS)]}),
            "at most 16",
        ),
    ],
)
def test_an_annotation_that_makes_no_sense_is_told_and_costs_nothing(text: str, said: str) -> None:
    whole = answer(observe(asked(), equipped()))
    told = answer(observe(annotated(text), equipped()))
    assert told.desired == whole.desired
    assert (told.progressing.status, told.progressing.reason) == ("False", "EphemeralDevicesUnreadable")
    assert said in told.progressing.message
    assert told.status.printable_status == "Running"
    bare = answer(observe(annotated(text)))
    assert set(bare.desired) == OWN


def test_an_annotation_that_makes_no_sense_resurrects_nothing() -> None:
    assert set(answer(observe(annotated("{"), in_run(equipped(), None))).desired) == OWN
