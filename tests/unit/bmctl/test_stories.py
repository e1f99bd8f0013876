"""What users see of the verbs, as golden screens: in a pipe, against a stand-in of the API server."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.bmctl import screens
from tests.unit.bmctl.api import MACHINES, SUBRESOURCES, Api, changed, child, machine, refusal, run, waiting_for

Json = dict[str, Any]
MANAGED = "/apis/metalplane.io/v1alpha1/namespaces/tenant-a"


def answered(message: str, request_id: str | None = None) -> tuple[int, Json]:
    """What bm-api says when it took a verb."""
    return 200, {"kind": "ActionResult", "message": message} | ({"requestId": request_id} if request_id else {})


def power(phase: str, message: str = "", request_id: str = "r-1") -> Json:
    """The machine's PowerState, with a request in some phase."""
    return child("PowerState", "bm-01-power", seen={"request": {"id": request_id, "phase": phase, "message": message}})


def tell(story: str, api: Api, kubeconfig: Path, *arguments: str) -> None:
    done = run(kubeconfig, *arguments)
    screens.check(story, "bmctl " + " ".join(arguments), done, api.url)


def test_a_restart_is_followed_by_its_phases(api: Api, kubeconfig: Path) -> None:
    api.answers["POST", f"{SUBRESOURCES}/bm-01/restart"] = answered("the restart was asked for", "r-1")
    api.shows(MACHINES, machine())
    api.shows(f"{MANAGED}/powerstates", power("Succeeded", request_id="an earlier one"))
    phases = [power("PoweringOff", "the operating system shuts down"), power("PoweringOn"), power("Succeeded")]
    api.changes[f"{MANAGED}/powerstates"] = [changed(*phases)]
    tell("a restart is followed by its phases", api, kubeconfig, "restart", "bm-01")
    assert api.requests[0] == (
        "POST",
        f"{SUBRESOURCES}/bm-01/restart",
        {"apiVersion": "subresources.metalplane.io/v1alpha1", "kind": "RestartOptions"},
    )


def test_a_restart_that_fails_says_why(api: Api, kubeconfig: Path) -> None:
    api.answers["POST", f"{SUBRESOURCES}/bm-01/restart"] = answered("the restart was asked for", "r-1")
    api.shows(MACHINES, machine())
    api.shows(f"{MANAGED}/powerstates", power("Failed", "the operating system did not shut down within 60 s"))
    tell("a restart that fails says why", api, kubeconfig, "restart", "bm-01", "--grace-period", "60")


def test_a_restart_that_finished_before_it_was_looked_at_is_done(api: Api, kubeconfig: Path) -> None:
    api.answers["POST", f"{SUBRESOURCES}/bm-01/restart"] = answered("the restart was asked for", "r-1")
    api.shows(MACHINES, machine())
    finished = {"metalplane.io/finished-power-request": "r-1"}
    api.shows(f"{MANAGED}/powerstates", child("PowerState", "bm-01-power", annotations=finished))
    assert run(kubeconfig, "restart", "bm-01").returncode == 0


def test_a_restart_whose_place_another_took_is_told(api: Api, kubeconfig: Path) -> None:
    api.answers["POST", f"{SUBRESOURCES}/bm-01/restart"] = answered("the restart was asked for", "r-1")
    api.shows(MACHINES, machine())
    newer = power("Pending", request_id="r-2")
    newer["spec"] = {"forProvider": {"request": {"id": "r-2"}}}
    api.shows(f"{MANAGED}/powerstates", newer)
    done = run(kubeconfig, "restart", "bm-01")
    assert done.returncode == 1
    assert b"a newer request of power took the place of this one" in done.stderr


def test_a_stop_waits_until_the_power_was_seen_off(api: Api, kubeconfig: Path) -> None:
    api.answers["POST", f"{SUBRESOURCES}/bm-01/stop"] = answered("runStrategy is Halted now")
    api.shows(MACHINES, machine())
    stopping = waiting_for(machine("Stopping"), "PowerState power: the operating system is asked to shut down")
    api.changes[MACHINES] = [changed(stopping, machine("Stopped"))]
    tell("a stop waits until the power was seen off", api, kubeconfig, "stop", "bm-01", "--grace-period", "300")
    assert api.requests[0][2]["gracePeriodSeconds"] == 300


def test_a_watch_that_ends_is_begun_anew(api: Api, kubeconfig: Path) -> None:
    api.shows(MACHINES, machine("Starting"))
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}
    api.changes[MACHINES] = [[gone], changed(machine())]
    assert run(kubeconfig, "wait", "bm-01", "--for=Running").returncode == 0


def test_what_does_not_come_in_time_goes_on_without_us(api: Api, kubeconfig: Path) -> None:
    api.shows(MACHINES, waiting_for(machine("Starting"), "the machine is on and has not answered yet"))
    tell("what does not come in time goes on", api, kubeconfig, "wait", "bm-01", "--for=Running", "--timeout", "1s")


def test_a_machine_that_is_deleted_meanwhile_is_no_success(api: Api, kubeconfig: Path) -> None:
    api.shows(MACHINES, machine("Starting"))
    api.changes[MACHINES] = [[{"type": "DELETED", "object": machine("Starting")}]]
    tell("a machine that is deleted meanwhile", api, kubeconfig, "wait", "bm-01")


def test_waiting_for_its_end_ends_when_it_is_gone(api: Api, kubeconfig: Path) -> None:
    api.shows(MACHINES, machine("Deleting"))
    api.changes[MACHINES] = [[{"type": "DELETED", "object": machine("Deleting")}]]
    assert run(kubeconfig, "wait", "bm-01", "--for=delete").returncode == 0


def test_a_condition_of_an_earlier_generation_does_not_count(api: Api, kubeconfig: Path) -> None:
    old = machine()
    old["metadata"]["generation"] = 2
    old["status"]["conditions"] = [{"type": "Ready", "status": "True", "observedGeneration": 1}]
    new = machine()
    new["metadata"]["generation"] = 2
    new["status"]["conditions"] = [{"type": "Ready", "status": "True", "observedGeneration": 2}]
    api.shows(MACHINES, old)
    assert run(kubeconfig, "wait", "bm-01", "--timeout", "1s").returncode == 6
    api.changes[MACHINES] = [changed(new)]
    assert run(kubeconfig, "wait", "bm-01").returncode == 0


def test_a_disk_is_added_and_seen_plugged_in(api: Api, kubeconfig: Path) -> None:
    api.answers["POST", f"{SUBRESOURCES}/bm-01/addvolume"] = answered("disk data was added")
    api.shows(MACHINES, machine())
    api.shows(f"{MANAGED}/virtualdisks")
    disk: Json = {"labels": {"metalplane.io/disk": "data"}}
    api.changes[f"{MANAGED}/virtualdisks"] = [
        changed(child("VirtualDisk", "bm-01-data", ready="False", **disk), child("VirtualDisk", "bm-01-data", **disk))
    ]
    tell("a disk is added and seen plugged in", api, kubeconfig, "addvolume", "bm-01", "data", "--size", "2Gi")
    options = {"kind": "AddVolumeOptions", "name": "data", "size": "2Gi"}
    assert api.requests[0][2] == {"apiVersion": "subresources.metalplane.io/v1alpha1", **options}


@pytest.mark.parametrize(
    ("verb", "arguments", "told"),
    [
        ("addvolume", ("scratch", "--size", "2Gi"), {"kind": "AddVolumeOptions", "name": "scratch", "size": "2Gi"}),
        ("addnic", ("eth1", "--network", "blue"), {"kind": "AddNicOptions", "name": "eth1", "network": "blue"}),
    ],
)
def test_a_device_can_be_asked_for_until_the_next_stop(
    api: Api, kubeconfig: Path, verb: str, arguments: tuple[str, ...], told: Json
) -> None:
    api.answers["POST", f"{SUBRESOURCES}/bm-01/{verb}"] = answered("it is added until the machine is next off")
    api.shows(MACHINES, machine())
    assert run(kubeconfig, verb, "bm-01", *arguments, "--ephemeral", "--no-wait").returncode == 0
    asked = next(body for method, _, body in api.requests if method == "POST")
    assert asked == {"apiVersion": "subresources.metalplane.io/v1alpha1", **told, "ephemeral": True}


def test_a_disk_that_is_pulled_out_by_force_is_warned_about(api: Api, kubeconfig: Path) -> None:
    api.answers["POST", f"{SUBRESOURCES}/bm-01/removevolume"] = answered("disk data was removed")
    tell("a disk pulled out by force", api, kubeconfig, "removevolume", "bm-01", "data", "--force", "--no-wait")
    assert api.requests[0][2]["force"] is True


def test_an_interface_is_gone_when_no_child_is_left_of_it(api: Api, kubeconfig: Path) -> None:
    api.answers["POST", f"{SUBRESOURCES}/bm-01/removenic"] = answered("interface eth1 was removed")
    api.shows(MACHINES, machine())
    nic = child(
        "VirtualNIC", "bm-01-eth1", labels={"metalplane.io/nic": "eth1"}, deletionTimestamp="2026-11-23T10:01:00Z"
    )
    api.shows(f"{MANAGED}/virtualnics", nic)
    api.changes[f"{MANAGED}/virtualnics"] = [[{"type": "DELETED", "object": nic}]]
    tell("an interface is gone", api, kubeconfig, "removenic", "bm-01", "eth1")


def test_a_disk_has_grown_when_the_machine_is_shown_the_new_size(api: Api, kubeconfig: Path) -> None:
    api.answers["POST", f"{SUBRESOURCES}/bm-01/expand"] = answered("disk root is to have 2Gi")
    api.shows(MACHINES, machine())
    disk: Json = {"labels": {"metalplane.io/disk": "root"}}
    api.shows(f"{MANAGED}/volumes", child("Volume", "bm-01-v", seen={"sizeBytes": 2 << 30}, **disk))
    api.shows(f"{MANAGED}/virtualdisks", child("VirtualDisk", "bm-01-d", seen={"sizeBytes": 1 << 30}, **disk))
    grown = child("VirtualDisk", "bm-01-d", seen={"sizeBytes": 2 << 30}, **disk)
    api.changes[f"{MANAGED}/virtualdisks"] = [changed(grown)]
    tell("a disk has grown", api, kubeconfig, "expand", "bm-01", "root", "--size", "2Gi")


def test_a_dry_run_changes_nothing_and_waits_for_nothing(api: Api, kubeconfig: Path) -> None:
    api.answers["POST", f"{SUBRESOURCES}/bm-01/stop"] = answered("runStrategy would be Halted")
    tell("a dry run of a stop", api, kubeconfig, "stop", "bm-01", "--dry-run")
    assert [path for _, path, _ in api.requests] == [f"{SUBRESOURCES}/bm-01/stop?dryRun=All"]


@pytest.mark.parametrize(
    ("story", "refused", "code"),
    [
        ("not logged in", refusal(401, "Unauthorized", "Unauthorized"), 4),
        ("not allowed", refusal(403, "Forbidden", 'User "u" cannot create resource "baremetalmachines/stop"'), 4),
        ("no such machine", refusal(404, "NotFound", 'baremetalmachines.metalplane.io "bm-01" not found'), 3),
        ("no bm-api in this cluster", (404, b"404 page not found\n"), 3),
        ("kept by Argo CD", refusal(409, "Conflict", "Argo CD keeps its spec: change it in git"), 7),
        (
            "wrong options",
            refusal(
                422,
                "Invalid",
                "StopOptions is invalid",
                causes=[{"field": "gracePeriodSeconds", "message": "too long"}],
            ),
            1,
        ),
        ("no replica of bm-api", refusal(503, "ServiceUnavailable", "no endpoints available"), 5),
        ("not in time", refusal(504, "Timeout", "the machine's server does not answer"), 6),
        ("by a proxy", (502, b"<html>\n<h1>Bad Gateway</h1>"), 1),
    ],
)
def test_a_refusal_says_what_was_tried_and_what_to_do(
    api: Api, kubeconfig: Path, story: str, refused: tuple[int, Any], code: int
) -> None:
    api.answers["POST", f"{SUBRESOURCES}/bm-01/stop"] = refused
    done = run(kubeconfig, "stop", "bm-01")
    screens.check(f"refused {story}", "bmctl stop bm-01", done, api.url)
    assert done.returncode == code


def test_requests_are_shown_without_what_they_authenticate_by(api: Api, kubeconfig: Path) -> None:
    api.shows(MACHINES, machine())
    tell("requests are shown", api, kubeconfig, "get", "bm-01", "-o", "name", "-v")
    assert api.headers[0]["Authorization"] == "Bearer s3cret"


def test_whom_one_wants_to_be_taken_for_is_said_in_headers(api: Api, kubeconfig: Path) -> None:
    api.shows(MACHINES, machine())
    impersonated = ["--as", "jane", "--as-group", "dev", "--as-group", "ops", "--as-uid", "7"]
    assert run(kubeconfig, *impersonated, "get").returncode == 0
    assert api.headers[0]["Impersonate-User"] == "jane"
    assert api.headers[0]["Impersonate-Uid"] == "7"
    assert run(kubeconfig, "get", "--as-group", "dev").returncode == 2


def test_a_watch_prints_a_line_for_each_change_that_can_be_seen(api: Api, kubeconfig: Path) -> None:
    import subprocess
    import sys

    api.shows(MACHINES, machine("Starting"))
    unseen = machine("Starting")
    unseen["metadata"]["labels"] = {"a": "b"}
    api.changes[MACHINES] = [changed(unseen, machine())]
    watching = subprocess.Popen(
        [sys.executable, "-m", "bmctl", "get", "--watch", "--kubeconfig", str(kubeconfig)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    lines = [watching.stdout.readline() for _ in range(3)]
    watching.terminate()
    watching.communicate()
    screens.compare("a watch of machines", "".join(lines))


def test_who_holds_which_server(api: Api, kubeconfig: Path) -> None:
    spec: Json = {"bmc": {"address": "10.9.8.7"}, "dpu": {"name": "dpu0"}, "capacity": {"cpus": 8, "memory": "64Gi"}}
    claim = child("ServerClaim", "bm-01-claim")
    held = {"namespace": "tenant-a", "name": "bm-01-claim", "uid": "uid-bm-01-claim"}
    born = "2026-11-23T10:00:00Z"
    servers = [
        {"metadata": {"name": "server0", "creationTimestamp": born}, "spec": spec | {"claimRef": held}},
        {"metadata": {"name": "server1", "creationTimestamp": born}, "spec": spec | {"unschedulable": True}},
    ]
    api.shows("/apis/metalplane.io/v1alpha1/servers", *servers)
    api.shows("/apis/metalplane.io/v1alpha1/serverclaims", claim)
    api.answers["GET", "/apis/metalplane.io/v1alpha1/powerstates"] = refusal(403, "Forbidden", "no")
    api.shows("/apis/coordination.k8s.io/v1/leases")
    tell("who holds which server", api, kubeconfig, "servers")


@pytest.mark.parametrize(
    ("verb", "path", "told"),
    [
        (("get",), MACHINES, b"No machines found in namespace tenant-a.\n"),
        (("servers",), "/apis/metalplane.io/v1alpha1/servers", b"No servers found.\n"),
        (("image", "list"), "/apis/metalplane.io/v1alpha1/machineimages", b"No images found.\n"),
    ],
)
def test_where_nothing_is_to_list_that_is_said_to_people_alone(
    api: Api, kubeconfig: Path, verb: tuple[str, ...], path: str, told: bytes
) -> None:
    api.shows(path)
    for form in ([], ["-o", "name"]):
        done = run(kubeconfig, *verb, *form)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", told)
    assert json.loads(run(kubeconfig, *verb, "-o", "json").stdout)["items"] == []
    both = run(kubeconfig, *verb, "one", "-l", "a=b")
    assert both.returncode == 2
    assert b"give either a name or labels" in both.stderr


def test_a_reset_is_done_when_the_bmc_took_it(api: Api, kubeconfig: Path) -> None:
    api.answers["POST", f"{SUBRESOURCES}/bm-01/reset"] = answered("its hardware is reset", "r-1")
    api.shows(MACHINES, machine())
    api.shows(f"{MANAGED}/powerstates", power("Pending"))
    api.changes[f"{MANAGED}/powerstates"] = [changed(power("Resetting"), power("Succeeded"))]
    tell("a reset is done when the BMC took it", api, kubeconfig, "reset", "bm-01")


def test_a_machine_is_described_with_the_child_it_waits_for_and_what_happened(api: Api, kubeconfig: Path) -> None:
    api.shows(MACHINES, waiting_for(machine("Starting"), "PowerState power: the BMC was asked to power the server on"))
    waits = child("PowerState", "bm-01-power", ready="False", seen={"state": "Off"})
    waits["status"]["conditions"][0]["message"] = "the BMC was asked to power the server on"
    for plural in ("serverclaims", "volumes", "virtualnics", "virtualdisks"):
        api.shows(f"{MANAGED}/{plural}")
    api.shows(f"{MANAGED}/serverclaims", child("ServerClaim", "bm-01-claim", seen={"serverName": "server0"}))
    api.shows(f"{MANAGED}/powerstates", waits)
    events = [
        {
            "metadata": {"name": f"e{number}", "creationTimestamp": "2026-11-23T10:00:00Z"},
            "eventTime": f"2026-11-23T10:00:0{number}.000000Z",
            "type": "Normal",
            "reason": reason,
            "note": note,
            "regarding": {"kind": "PowerState", "name": "bm-01-power", "uid": uid},
        }
        for number, (reason, note, uid) in enumerate(
            [
                ("UpdatedExternalResource", "asked the BMC of Server server0 for On", "uid-bm-01-power"),
                ("Refused", "of a namesake", "uid-of-another"),
                ("Waiting", "", "uid-bm-01-power"),
            ]
        )
    ]
    api.shows("/apis/events.k8s.io/v1/namespaces/tenant-a/events", *events)
    tell("a machine that starts is described", api, kubeconfig, "describe", "bm-01")


def test_a_trace_of_the_api_is_drawn_and_what_came_later_is_counted_below_it(api: Api, kubeconfig: Path) -> None:
    import subprocess
    import sys

    def span(span_id: str, parent: str, name: str, start_s: int, end_s: int) -> Json:
        times = {"startTimeUnixNano": str(start_s * 10**9), "endTimeUnixNano": str(end_s * 10**9)}
        return {"spanId": span_id, "parentSpanId": parent, "name": name, "service": "metalplane-provider", **times}

    spans = [span("a", "", "provision", 0, 10), span("b", "a", "attach", 2, 4), span("c", "a", "drift", 60, 61)]
    told = {"kind": "Trace", "traceId": "1" * 32, "source": "spans", "spans": spans}
    api.answers["GET", f"{SUBRESOURCES}/bm-01/trace"] = (200, told)
    done = subprocess.run(
        [sys.executable, "-m", "bmctl", "trace", "bm-01", "--kubeconfig", str(kubeconfig)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["SPAN", "provision", "attach", "1"]
    assert lines[-1] == "1 later spans are left out; --all shows them."
