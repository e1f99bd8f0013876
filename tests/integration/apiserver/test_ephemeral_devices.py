"""Devices until the next stop, of a machine whose spec is git's, through the real API server and its admission."""

import json
from typing import Any

import pytest

from provider.api.names import ANNOTATION_EPHEMERAL_DEVICES, ANNOTATION_RUN
from provider.api.resources import BAREMETALMACHINE, POWERSTATE
from tests.integration.apiserver.installed import InstalledApi

Json = dict[str, Any]

SCRATCH: Json = {"name": "scratch", "size": "1Gi", "ephemeral": True}
ETH2: Json = {"name": "eth2", "network": "blue", "ephemeral": True}


def of_git(api: InstalledApi, namespace: str, **known: Any) -> Json:
    """A machine that runs and whose spec flux applies."""
    machine = api.machine(namespace, **known)
    owned = {"metadata": {"name": machine["metadata"]["name"], "namespace": namespace}, "spec": machine["spec"]}
    applied = {**owned, "apiVersion": machine["apiVersion"], "kind": machine["kind"]}
    api.rest.apply(BAREMETALMACHINE, applied, field_manager="flux")
    return api.now(machine)


def document(api: InstalledApi, machine: Json) -> Json | None:
    text = api.now(machine)["metadata"].get("annotations", {}).get(ANNOTATION_EPHEMERAL_DEVICES)
    return None if text is None else json.loads(text)


def power(api: InstalledApi, machine: Json) -> Json:
    metadata = machine["metadata"]
    found: Json = api.rest.get(POWERSTATE, f"{metadata['name']}-power", metadata["namespace"])
    return found


def run(api: InstalledApi, machine: Json) -> str | None:
    found: str | None = power(api, machine)["metadata"].get("annotations", {}).get(ANNOTATION_RUN)
    return found


def test_devices_come_grow_and_go_and_the_spec_stays_gits(api: InstalledApi, namespace: str) -> None:
    machine = of_git(api, namespace)
    assert api.post(api.rest, machine, "addvolume", {"name": "scratch", "size": "1Gi"}).code == 409
    added = api.post(api.rest, machine, "addvolume", SCRATCH)
    assert (added.code, added.body["kind"]) == (200, "ActionResult"), added.body
    marked = run(api, machine)
    assert document(api, machine) == {"run": marked, "disks": [{"name": "scratch", "size": "1Gi"}]}
    assert api.post(api.rest, machine, "addnic", ETH2).code == 200
    assert api.post(api.rest, machine, "expand", {"name": "scratch", "size": "2Gi"}).code == 200
    assert document(api, machine) == {
        "run": marked,
        "disks": [{"name": "scratch", "size": "2Gi"}],
        "networkInterfaces": [{"name": "eth2", "network": "blue"}],
    }
    assert run(api, machine) == marked
    assert api.post(api.rest, machine, "removenic", {"name": "eth2"}).code == 200
    assert api.post(api.rest, machine, "removevolume", {"name": "scratch"}).code == 200
    assert document(api, machine) is None
    now = api.now(machine)
    assert (now["spec"], now["metadata"]["generation"]) == (machine["spec"], machine["metadata"]["generation"])


@pytest.mark.parametrize(
    ("verb", "options", "code", "said"),
    [
        ("addvolume", SCRATCH | {"size": "big"}, 422, "must be a quantity"),
        ("addvolume", SCRATCH | {"name": "Data 1"}, 422, "DNS label"),
        ("addvolume", SCRATCH | {"storageClass": "Not A Class"}, 422, "must be the name of an object"),
        ("addvolume", SCRATCH | {"name": "data"}, 409, "another of that name"),
        ("addnic", ETH2 | {"address": "10.0.0.1"}, 422, "IPv4 address with its prefix length"),
        ("addnic", ETH2 | {"mac": "01:00:00:00:00:01"}, 422, "MAC address of one station"),
    ],
)
def test_what_the_spec_would_not_take_is_refused_in_the_same_words(
    api: InstalledApi, namespace: str, verb: str, options: Json, code: int, said: str
) -> None:
    machine = of_git(api, namespace)
    answer = api.post(api.rest, machine, verb, options)
    assert (answer.code, said in answer.body["message"]) == (code, True), answer.body
    assert api.now(machine)["metadata"]["resourceVersion"] == machine["metadata"]["resourceVersion"]
    assert run(api, machine) is None


def test_spec_and_annotation_together_have_the_limits_of_a_spec(api: InstalledApi, namespace: str) -> None:
    machine = of_git(api, namespace)
    has = len(machine["spec"].get("networkInterfaces", []))
    for number in range(8 - has):
        assert api.post(api.rest, machine, "addnic", ETH2 | {"name": f"more-{number}"}).code == 200
    refused = api.post(api.rest, machine, "addnic", ETH2)
    assert (refused.code, "at most 8 items" in refused.body["message"]) == (422, True), refused.body


def test_after_a_stop_the_next_device_begins_anew(api: InstalledApi, namespace: str) -> None:
    machine = of_git(api, namespace)
    assert api.post(api.rest, machine, "addvolume", SCRATCH).code == 200
    first = run(api, machine)
    # What the PowerState's controller writes once it has seen the server off.
    over = {"metadata": {"annotations": {ANNOTATION_RUN: None}}}
    api.rest.patch(POWERSTATE, power(api, machine), over)
    gone = api.post(api.rest, machine, "removevolume", {"name": "scratch"})
    assert (gone.code, gone.body["reason"]) == (404, "NotFound")
    assert api.post(api.rest, machine, "addnic", ETH2).code == 200
    second = run(api, machine)
    assert second not in (first, None)
    assert document(api, machine) == {"run": second, "networkInterfaces": [{"name": "eth2", "network": "blue"}]}


def test_a_machine_that_is_off_has_no_run_to_add_to(api: InstalledApi, namespace: str) -> None:
    for state in ("Off", None):
        answer = api.post(api.rest, api.machine(namespace, power=state), "addvolume", SCRATCH)
        assert (answer.code, "start it first" in answer.body["message"]) == (409, True), answer.body


def test_a_dry_run_marks_nothing(api: InstalledApi, namespace: str) -> None:
    machine = of_git(api, namespace)
    taken = api.post(api.rest, machine, "addvolume", SCRATCH, "?dryRun=All")
    assert (taken.code, taken.body["dryRun"]) == (200, True)
    assert api.post(api.rest, machine, "addvolume", SCRATCH | {"size": "big"}, "?dryRun=All").code == 422
    assert (document(api, machine), run(api, machine)) == (None, None)
    assert api.now(machine)["metadata"]["resourceVersion"] == machine["metadata"]["resourceVersion"]
