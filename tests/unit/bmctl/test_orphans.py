"""``bmctl orphans``: what is listed, and that nothing is asked for that nobody confirmed."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.bmctl import screens
from tests.unit.bmctl.api import Api, changed, run
from tests.unit.bmctl.pseudoterminal import Pseudoterminal

Json = dict[str, Any]

GROUP = "/apis/metalplane.io/v1alpha1"
REPORTS = f"{GROUP}/orphanreports"
DPU, SYSTEM = "metalplane-dpu-dpu0", "metalplane-system"
SINCE = "2026-11-23T10:00:00Z"
PORT: Json = {"where": "ovs", "kind": "Port", "name": "vm7", "since": SINCE}
FUNCTION: Json = {"where": "emulation", "kind": "Function", "name": "slot-3/vm8", "since": SINCE}
VOLUME: Json = {"where": "storage", "kind": "Volume", "name": "lvol.csi.metalplane.io/h", "since": SINCE}
HELD = {"message": "the server's operating system uses it: power the server off first"}


def report(namespace: str, *orphans: Json, remove: tuple[Json, ...] = (), more: int = 0) -> Json:
    return {
        "apiVersion": "metalplane.io/v1alpha1",
        "kind": "OrphanReport",
        "metadata": {"name": "orphans", "namespace": namespace, "uid": f"uid-{namespace}", "resourceVersion": "7"},
        "spec": {"remove": list(remove)},
        "status": {"orphans": list(orphans), "more": more},
    }


def path(namespace: str) -> str:
    return f"{GROUP}/namespaces/{namespace}/orphanreports/orphans"


@pytest.fixture
def reported(api: Api) -> Api:
    """Two orphans on a DPU, one in the storage; a second DPU has not reported."""
    reports = [
        report(DPU, FUNCTION | HELD | {"about": "NIC 02:00:00:00:00:08 in slot 3"}, PORT | {"about": "VLAN 100"}),
        report(SYSTEM, VOLUME | {"about": "1024 MiB"}, more=3),
    ]
    api.shows(REPORTS, *reports)
    for each in reports:
        api.answers["GET", path(each["metadata"]["namespace"])] = (200, each)
        api.answers["PATCH", path(each["metadata"]["namespace"])] = (200, each)
    api.shows(
        f"{GROUP}/servers", *({"metadata": {"name": dpu}, "spec": {"dpu": {"name": dpu}}} for dpu in ("dpu0", "dpu1"))
    )
    return api


def patches(api: Api) -> dict[str, Any]:
    return {target.partition("?")[0]: body for method, target, body in api.requests if method == "PATCH"}


def tell(story: str, api: Api, kubeconfig: Path, *arguments: str) -> None:
    done = run(kubeconfig, *arguments)
    screens.check(story, "bmctl " + " ".join(arguments), done, api.url)


def test_what_nobody_claims_is_listed_and_who_has_said_nothing(reported: Api, kubeconfig: Path) -> None:
    tell("orphans of two places", reported, kubeconfig, "orphans", "-o", "wide")


def test_a_cloud_in_order(api: Api, kubeconfig: Path) -> None:
    api.shows(REPORTS, report(SYSTEM))
    api.shows(f"{GROUP}/servers")
    tell("no orphans", api, kubeconfig, "orphans")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("orphans", "dpu9"), b"it has no OrphanReport"),
        (("orphans", "dpu0", "vm9"), b"none is called vm9"),
        (("orphans", "--delete"), b"there is no terminal to ask on"),
        (("orphans", "--delete", "-o", "yaml"), b"--delete shows a table"),
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_is_asked_for(
    reported: Api, kubeconfig: Path, arguments: tuple[str, ...], complaint: bytes
) -> None:
    done = run(kubeconfig, *arguments)
    assert done.returncode in (2, 3)
    assert complaint in done.stderr
    assert patches(reported) == {}


@pytest.mark.parametrize(("answer", "removed"), [(b"y\n", True), (b"\n", False), (b"n\n", False)])
def test_it_asks_before_it_deletes(reported: Api, kubeconfig: Path, answer: bytes, removed: bool) -> None:
    with Pseudoterminal.of_bmctl(kubeconfig, "orphans", "storage", "--delete", "--no-wait") as terminal:
        drawn = terminal.until(b"[y/N] ")
        assert b"the data of these volumes is lost for good" in drawn
        terminal.type(answer)
        assert terminal.end() == 0
    wanted = {path(SYSTEM): {"metadata": {"resourceVersion": "7"}, "spec": {"remove": [VOLUME]}}}
    assert patches(reported) == (wanted if removed else {})


def test_one_by_its_name_is_asked_for_beside_what_was_asked_for_before(reported: Api, kubeconfig: Path) -> None:
    gone = PORT | {"name": "vm6"}
    reported.answers["GET", path(DPU)] = (200, report(DPU, FUNCTION | HELD, PORT, remove=(FUNCTION, gone)))
    done = run(kubeconfig, "orphans", "dpu0", "vm7", "--delete", "--yes", "--no-wait")
    assert done.returncode == 0
    assert patches(reported)[path(DPU)]["spec"] == {"remove": [FUNCTION, PORT]}


def test_a_removal_is_followed_until_all_are_gone(reported: Api, kubeconfig: Path) -> None:
    reported.changes[REPORTS] = [changed(report(DPU, FUNCTION | HELD), report(DPU))]
    tell("orphans are removed", reported, kubeconfig, "orphans", "dpu0", "--delete", "--yes")


def test_what_is_in_use_stays_asked_for(reported: Api, kubeconfig: Path) -> None:
    reported.changes[REPORTS] = [changed(report(DPU, FUNCTION | HELD))]
    tell("an orphan in use", reported, kubeconfig, "orphans", "dpu0", "--delete", "--yes", "--timeout", "2s")
