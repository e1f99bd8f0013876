"""What each verb writes, and how it refuses."""

from typing import Any

import pytest

from provider.api.resources import BAREMETALMACHINE, POWERSTATE, VIRTUALDISK
from provider.api.subresources import MACHINE, POWER, POWERED_SERVER
from provider.apiserver.errors import StateForbids
from provider.apiserver.objects import Objects
from provider.apiserver.options import RestartOptions
from provider.apiserver.power import Powered, restart
from provider.apiserver.verdicts import Decision
from provider.runtime.client import KubeClient
from provider.runtime.kubeconfig import load
from provider.runtime.tracing import Tracer, root_span_id
from tests.integration.apiserver.installed import InstalledApi
from tests.integration.apiserver.lightrack import LightRack
from tests.integration.waiting import eventually

Json = dict[str, Any]


def test_stop_and_start_say_what_the_machine_is_to_be(api: InstalledApi, namespace: str) -> None:
    machine = api.machine(namespace)
    stopped = api.post(api.rest, machine, "stop")
    assert (stopped.code, stopped.body["kind"], stopped.body["dryRun"]) == (200, "ActionResult", False)
    assert api.now(machine)["spec"]["runStrategy"] == "Halted"
    assert api.request(machine) is None
    assert api.post(api.rest, machine, "start").code == 200
    assert api.now(machine)["spec"]["runStrategy"] == "Always"


def test_a_restart_is_recorded_with_an_id(api: InstalledApi, namespace: str) -> None:
    machine = api.machine(namespace)
    answer = api.post(api.rest, machine, "restart", {"gracePeriodSeconds": 20})
    request = api.request(machine)
    assert request is not None
    assert request["id"] == answer.body["requestId"]
    assert (request["action"], request["gracePeriodSeconds"]) == ("GracefulRestart", 20)
    assert api.now(machine)["spec"] == machine["spec"]
    events = eventually(
        lambda: api.apiserver.kubectl.run(
            "events", f"--namespace={namespace}", f"--for=BareMetalMachine/{machine['metadata']['name']}"
        ),
        lambda text: "RestartRequested" in text,
    )
    assert request["id"] in events
    assert "admin asked for restart" in events


@pytest.mark.parametrize("made_again", [True, False])
async def test_a_request_is_of_the_power_that_was_seen_and_of_no_namesake(
    api: InstalledApi, namespace: str, made_again: bool
) -> None:
    machine = api.machine(namespace)
    name = machine["metadata"]["name"]
    seen: list[Powered] = []

    async def decide(objects: Objects, found: Json) -> Decision:
        seen.append(await objects.powered(found))
        if len(seen) == 1:
            gone = api.rest.get(POWERSTATE, f"{name}-power", namespace)
            api.rest.delete(POWERSTATE, gone)
            if made_again:
                child = api.child(POWERSTATE, machine, "power", {"serverClaimRef": {"name": "claim"}})
                api.rest.patch(POWERSTATE, child, {"status": gone["status"]}, subresource="status")
        return restart(seen[-1], RestartOptions())

    async with KubeClient(load(api.apiserver.layout.kubeconfig)) as client:
        if made_again:
            await Objects(client, Tracer("test")).decide(namespace, name, decide, verb="restart", dry_run=False)
            assert (api.request(machine) or {})["id"] == seen[1].request_id
        else:
            with pytest.raises(StateForbids, match="power is not known"):
                await Objects(client, Tracer("test")).decide(namespace, name, decide, verb="restart", dry_run=False)
            assert not api.rest.all_of(POWERSTATE, namespace)
    assert len(seen) == 2


def test_a_manual_machine_is_started_and_stopped_by_requests(api: InstalledApi, namespace: str) -> None:
    machine = api.machine(namespace, power="Off", runStrategy="Manual")
    assert api.post(api.rest, machine, "start").code == 200
    request = api.request(machine)
    assert request is not None
    assert request["action"] == "On"
    assert api.now(machine)["spec"]["runStrategy"] == "Manual"


def test_devices_come_grow_and_go(api: InstalledApi, namespace: str) -> None:
    machine = api.machine(namespace)
    assert api.post(api.rest, machine, "addvolume", {"name": "scratch", "size": "1Gi", "keep": False}).code == 200
    assert api.post(api.rest, machine, "expand", {"name": "scratch", "size": "2Gi"}).code == 200
    assert api.post(api.rest, machine, "addnic", {"name": "eth2", "network": "blue"}).code == 200
    spec = api.now(machine)["spec"]
    assert spec["disks"][-1] == {"name": "scratch", "size": "2Gi", "keep": False}
    assert spec["networkInterfaces"][-1] == {"name": "eth2", "network": "blue"}
    assert api.post(api.rest, machine, "removevolume", {"name": "scratch"}).code == 200
    assert api.post(api.rest, machine, "removenic", {"name": "eth2"}).code == 200
    assert api.now(machine)["spec"] == machine["spec"]


def test_a_disk_that_is_taken_by_force_is_marked_before_it_goes(api: InstalledApi, namespace: str) -> None:
    machine = api.machine(namespace)
    assert api.post(api.rest, machine, "removevolume", {"name": "data", "force": True}).code == 200
    disk = api.rest.get(VIRTUALDISK, f"{machine['metadata']['name']}-disk-data", namespace)
    assert disk["spec"]["forProvider"]["forceUnplug"] is True


def test_a_disk_that_the_operating_system_holds_on_to_is_taken_by_force_afterwards(
    api: InstalledApi, namespace: str
) -> None:
    machine = api.machine(namespace)
    assert api.post(api.rest, machine, "removevolume", {"name": "data"}).code == 200
    again = api.post(api.rest, machine, "removevolume", {"name": "data"})
    assert (again.code, "is being taken away already" in str(again.body)) == (200, True)
    assert api.post(api.rest, machine, "removevolume", {"name": "data", "force": True}).code == 200
    disk = api.rest.get(VIRTUALDISK, f"{machine['metadata']['name']}-disk-data", namespace)
    assert disk["spec"]["forProvider"]["forceUnplug"] is True


@pytest.mark.parametrize(
    ("verb", "options", "code", "reason", "said"),
    [
        ("removevolume", {"name": "root"}, 409, "Conflict", "boots from it"),
        ("removevolume", {"name": "nothing"}, 404, "NotFound", "there are root, data"),
        ("expand", {"name": "data", "size": "1Gi"}, 422, "Invalid", "a disk cannot shrink"),
        ("expand", {"name": "data", "size": "big"}, 422, "Invalid", "must be a quantity"),
        ("addvolume", {"name": "Data 1", "size": "1Gi"}, 422, "Invalid", "DNS label"),
        ("addvolume", {"name": "data", "size": "9Gi"}, 409, "Conflict", "another of that name"),
        ("addvolume", {"size": "9Gi"}, 422, "Invalid", "name"),
        ("addvolume", {"name": "x", "size": "1Gi", "colour": "red"}, 422, "Invalid", "colour"),
        ("addnic", {"name": "eth0", "network": "green"}, 409, "Conflict", "another of that name"),
        ("restart", {"gracePeriodSeconds": -1}, 422, "Invalid", "gracePeriodSeconds"),
        ("restart", {"kind": "StopOptions"}, 400, "BadRequest", "RestartOptions is read"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_in_words(
    api: InstalledApi, namespace: str, verb: str, options: Json, code: int, reason: str, said: str
) -> None:
    machine = api.machine(namespace)
    answer = api.post(api.rest, machine, verb, options)
    assert (answer.code, answer.body["kind"], answer.body["reason"]) == (code, "Status", reason), answer.body
    assert answer.body["code"] == code
    assert said in answer.body["message"]
    assert api.now(machine)["spec"] == machine["spec"]


def test_what_is_no_machine_is_not_found(api: InstalledApi, namespace: str) -> None:
    answer = api.rest.ask("POST", MACHINE.path(namespace, "nobody", "start"), {})
    assert (answer.code, answer.body["reason"]) == (404, "NotFound")
    assert f"BareMetalMachine {namespace}/nobody not found" in answer.body["message"]


def test_a_machine_that_is_off_or_not_made_yet_is_not_restarted(api: InstalledApi, namespace: str) -> None:
    for power in ("Off", None):
        answer = api.post(api.rest, api.machine(namespace, power=power), "restart")
        assert (answer.code, answer.body["reason"]) == (409, "Conflict")


def test_a_dry_run_meets_the_real_admission_and_leaves_nothing(api: InstalledApi, namespace: str) -> None:
    machine = api.machine(namespace)
    taken = api.post(api.rest, machine, "expand", {"name": "data", "size": "3Gi", "dryRun": ["All"]})
    assert (taken.code, taken.body["dryRun"]) == (200, True)
    refused = api.post(api.rest, machine, "expand", {"name": "data", "size": "1Gi"}, "?dryRun=All")
    assert refused.code == 422
    assert api.post(api.rest, machine, "restart", {}, "?dryRun=All").code == 200
    assert api.post(api.rest, machine, "restart", {}, "?dryRun=Some").code == 422
    assert api.now(machine)["metadata"]["resourceVersion"] == machine["metadata"]["resourceVersion"]
    assert api.request(machine) is None


def test_a_list_that_is_applied_from_elsewhere_is_edited_there(api: InstalledApi, namespace: str) -> None:
    machine = api.machine(namespace)
    owned = {"metadata": {"name": machine["metadata"]["name"], "namespace": namespace}, "spec": machine["spec"]}
    api.rest.apply(
        BAREMETALMACHINE, {**owned, "apiVersion": machine["apiVersion"], "kind": machine["kind"]}, field_manager="flux"
    )
    answer = api.post(api.rest, machine, "addvolume", {"name": "scratch", "size": "1Gi"})
    assert (answer.code, answer.body["reason"]) == (409, "Conflict")
    assert "field manager flux looks after spec.disks" in answer.body["message"]
    assert answer.body["details"]["causes"][0]["reason"] == "FieldManagerConflict"


def test_the_trace_of_a_machine_without_spans_is_its_timeline(api: InstalledApi, namespace: str) -> None:
    machine = api.machine(namespace)
    metadata = machine["metadata"]
    timeline = [
        {"step": "ServerBound", "at": "2036-01-01T00:00:01Z"},
        {"step": "Answering", "at": "2036-01-01T00:00:09Z"},
    ]
    api.rest.patch(BAREMETALMACHINE, machine, {"status": {"timeline": timeline}}, subresource="status")
    answer = api.rest.ask("GET", MACHINE.path(namespace, metadata["name"], "trace"))
    assert answer.body["traceId"] == metadata["uid"].replace("-", "")
    assert answer.body["source"] == "timeline"
    assert [span["name"] for span in answer.body["spans"]] == ["ServerBound", "Answering"]


def test_the_power_of_a_server_is_its_bmcs_to_say_and_its_machines_to_switch(
    api: InstalledApi, rack: LightRack, namespace: str
) -> None:
    machine = rack.machine(namespace)
    server = rack.server_of(machine)
    power = POWERED_SERVER.path(None, server, POWER)
    name = f"{namespace}/{machine['metadata']['name']}"
    report = api.rest.ask("GET", power).body
    assert (report["kind"], report["state"], report["machine"]) == ("PowerReport", "On", name)
    assert "request" not in report

    asked = api.rest.ask("POST", power, {"action": "ForceOff"})
    assert (asked.code, asked.body["metadata"]) == (200, {"name": server})
    request = api.request(machine)
    assert request is not None
    assert (request["id"], request["action"]) == (asked.body["requestId"], "ForceOff")
    # Nobody has taken it up: no controller runs.
    assert api.rest.ask("GET", power).body["request"] == {"id": request["id"], "phase": "Pending"}

    api.rest.delete(BAREMETALMACHINE, machine)
    eventually(lambda: "machine" in api.rest.ask("GET", power).body, lambda held: not held)
    refused = api.rest.ask("POST", power, {"action": "ForceOff"})
    assert (refused.code, refused.body["details"]["kind"]) == (409, "servers")
    assert "held by no machine" in refused.refusal


def test_what_a_verb_writes_stands_in_the_machines_trace(api: InstalledApi, namespace: str) -> None:
    machine = api.machine(namespace)
    metadata = machine["metadata"]
    api.post(api.rest, machine, "reset", query="?dryRun=All")
    api.post(api.rest, machine, "restart")
    trace = api.rest.ask("GET", MACHINE.path(namespace, metadata["name"], "trace")).body
    assert trace["source"] == "spans"
    served, written = trace["spans"]
    assert (served["name"], served["parentSpanId"]) == ("serve restart", root_span_id(metadata["uid"]))
    assert written["name"] == f"kube apply PowerState/{namespace}/{metadata['name']}-power"
    assert written["parentSpanId"] == served["spanId"]
