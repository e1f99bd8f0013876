"""Who asks for a verb and is not answered asks again only where nothing was written down."""

from typing import cast

import pytest

from sandbox.errors import CommandFailed
from sandbox.kubectl import Kubectl
from tests.e2e.tenant import Machine, Tenant
from tests.faults import verbs
from tests.faults.verbs import Verb, asking


class Cluster:
    """An API server that writes down what it is asked, or not, and says so, or not. ``asked``: the paths, in order."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []
        self.written = 0

    def run(self, *arguments: str, stdin: str) -> str:
        self.asked.append(" ".join([*arguments[1:], stdin]))
        answer = self._answers.pop(0)
        self.written += "written" in answer
        if "silent" in answer:
            raise CommandFailed(["kubectl"], 1, "EOF")
        return "{}"

    def ask_for_a_restart(self) -> None:
        tenant = Tenant.__new__(Tenant)
        tenant.namespace = "tenant-a"
        tenant.kubectl = cast(Kubectl, self)
        restart = Verb("restart", {"force": True}, lambda: self.written > 0)
        with asking(Machine(tenant, "bm-01"), [restart]):
            pass


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verbs, "_MAY_STILL_COME_S", 0.0)


@pytest.mark.parametrize(
    ("answers", "asked"),
    [(["written"], 1), (["written, silent"], 1), (["silent", "written"], 2), (["silent", "written, silent"], 2)],
    ids=["answered", "written, and not answered", "not written", "not written, then not answered"],
)
def test_it_is_written_down_once(answers: list[str], asked: int) -> None:
    cluster = Cluster(*answers)
    cluster.ask_for_a_restart()
    path = "/apis/subresources.metalplane.io/v1alpha1/namespaces/tenant-a/baremetalmachines/bm-01/restart"
    assert cluster.asked == [f'--raw={path} --filename=- {{"force": true}}'] * asked
    assert cluster.written == 1


def test_what_is_refused_again_and_again_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verbs, "_ANSWERED_WITHIN_S", 0.0)
    with pytest.raises(AssertionError, match="EOF"):
        Cluster("silent").ask_for_a_restart()
