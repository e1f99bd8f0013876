"""The power of a server, as its operator sees and switches it: in a pipe, against a stand-in of bm-api."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.bmctl import screens
from tests.unit.bmctl.api import SERVERS, Api, refusal, run

Json = dict[str, Any]
POWER = f"{SERVERS}/server-07/power"


def report(phase: str = "", message: str = "", *, state: str = "On", request_id: str = "r-1", **more: Any) -> Json:
    """What bm-api says of a server that bm-01 holds."""
    request = {"id": request_id, "phase": phase} | ({"message": message} if message else {})
    told = {"kind": "PowerReport", "metadata": {"name": "server-07"}, "machine": "tenant-a/bm-01", "state": state}
    return told | {"message": "", "request": request if phase else None} | more


def takes(api: Api, *reports: Json) -> None:
    """bm-api takes a request of power, and then says one after the other."""
    taken = {"kind": "ActionResult", "message": "power request r-1 is recorded", "requestId": "r-1"}
    api.answers["POST", POWER] = (200, taken)
    api.first["GET", POWER] = [(200, each) for each in reports[:-1]]
    api.answers["GET", POWER] = (200, reports[-1] if reports else report())


def tell(story: str, api: Api, kubeconfig: Path, *arguments: str) -> int:
    done = run(kubeconfig, "power", *arguments)
    screens.check(story, " ".join(("bmctl power", *arguments)), done, api.url)
    return done.returncode


def test_the_power_of_a_server_is_shown_with_who_holds_it(api: Api, kubeconfig: Path) -> None:
    api.answers["GET", POWER] = (200, report("PoweringOff", "the server has until 10:00:00Z to shut down"))
    tell("the power of a server", api, kubeconfig, "server-07")
    assert run(kubeconfig, "power", "server-07", "-o", "yaml").stdout.startswith(b"kind: PowerReport\n")


def test_a_bmc_that_does_not_answer_is_told_beside_the_power(api: Api, kubeconfig: Path) -> None:
    silent = "Server server-07: the BMC did not answer within 5 s"
    api.answers["GET", POWER] = (200, report(state="Unknown") | {"machine": None, "message": silent})
    tell("a server whose BMC does not answer", api, kubeconfig, "server-07")


def test_a_power_that_is_switched_is_followed_until_that_is_done(api: Api, kubeconfig: Path) -> None:
    takes(api, report("PoweringOff", "the operating system shuts down"), report("Succeeded", state="Off"))
    assert tell("a server is shut down", api, kubeconfig, "server-07", "gracefulshutdown", "--grace-period", "90") == 0
    options = {"kind": "PowerOptions", "action": "GracefulShutdown", "gracePeriodSeconds": 90}
    assert api.requests[0] == ("POST", POWER, {"apiVersion": "subresources.metalplane.io/v1alpha1", **options})


def test_a_request_that_fails_says_why(api: Api, kubeconfig: Path) -> None:
    takes(api, report("Failed", "Server server-07 is to be on: set runStrategy to Halted or Manual"))
    assert tell("a server that is to be on is not cut off", api, kubeconfig, "server-07", "ForceOff") == 1


@pytest.mark.parametrize(
    ("then", "code", "told"),
    [
        (report("Pending", request_id="r-2"), 1, b"a newer request of power took the place of this one"),
        (report(machine=None), 7, b"the machine that held the server is gone"),
    ],
)
def test_a_request_that_will_never_be_done_is_not_waited_for(
    api: Api, kubeconfig: Path, then: Json, code: int, told: bytes
) -> None:
    takes(api, then)
    done = run(kubeconfig, "power", "server-07", "PowerCycle")
    assert done.returncode == code
    assert told in done.stderr


def test_while_bm_api_is_away_its_request_goes_on(api: Api, kubeconfig: Path) -> None:
    takes(api, report("Succeeded"))
    api.first["GET", POWER] = [refusal(503, "ServiceUnavailable", "no endpoints available")]
    done = run(kubeconfig, "power", "server-07", "On")
    assert done.returncode == 0
    assert b"Waiting: no endpoints available" in done.stderr


def test_what_is_not_done_in_time_goes_on_without_us(api: Api, kubeconfig: Path) -> None:
    takes(api, report("PoweringOff", "the operating system shuts down"))
    code = tell("a server that takes its time", api, kubeconfig, "server-07", "GracefulRestart", "--timeout", "1s")
    assert code == 6


def test_a_dry_run_changes_nothing_and_follows_nothing(api: Api, kubeconfig: Path) -> None:
    takes(api)
    done = run(kubeconfig, "power", "server-07", "ForceOff", "--dry-run")
    assert done.stdout == b"server-07: power request r-1 is recorded (dry run: nothing was changed)\n"
    assert [path for _, path, _ in api.requests] == [f"{POWER}?dryRun=All"]


@pytest.mark.parametrize(
    ("story", "refused", "code"),
    [
        ("no such server", refusal(404, "NotFound", "Server server-07 not found", kind="servers"), 3),
        ("a server that nobody holds", refusal(409, "Conflict", "it is held by no machine", kind="servers"), 7),
    ],
)
def test_a_refusal_is_about_the_server(
    api: Api, kubeconfig: Path, story: str, refused: tuple[int, Any], code: int
) -> None:
    api.answers["POST", POWER] = refused
    assert tell(f"refused {story}", api, kubeconfig, "server-07", "ForceOff") == code


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["server-07", "off"], "'off' is none of On, GracefulShutdown, ForceOff"),
        (["server-07", "--dry-run"], "--dry-run needs an action"),
        (["server-07", "--grace-period", "5"], "--grace-period needs an action"),
        (["server-07", "On", "-o", "json"], "-o json is for a power that is shown"),
        (["a/b"], "'a/b' cannot be the name of an object"),
    ],
)
def test_what_makes_no_sense_asks_nobody(api: Api, kubeconfig: Path, arguments: list[str], complaint: str) -> None:
    done = run(kubeconfig, "power", *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr.decode()
    assert api.requests == []
