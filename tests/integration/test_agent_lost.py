"""A machine is Running only as long as somebody vouches for it: its BMC for the power, its DPU's agent for the rest."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from provider.api.resources import BAREMETALMACHINE, NETWORK
from sandbox.apiserver import ApiServer
from tests.integration.installation import Installation, condition
from tests.integration.manifests import manifest
from tests.integration.rack import Rack
from tests.integration.stand_in import Agent, provide_storage
from tests.integration.waiting import eventually

Json = dict[str, Any]

FOR_EVER_S = 3600
DEVICES = {"VirtualDisk": 2, "VirtualNIC": 1}


@dataclass(frozen=True, slots=True)
class Running:
    """A machine that runs, on a server of its own, and the agent that says so."""

    installation: Installation
    rack: Rack
    agent: Agent
    namespace: str

    def machine(self) -> Json:
        return self.installation.machine(self.namespace, "bm")

    def devices(self) -> list[Json]:
        children = self.installation.children(self.machine()).values()
        return [child for child in children if child["kind"] in DEVICES]

    def ready(self) -> set[tuple[str, str]]:
        """Status and reason of Ready, over all devices."""
        said = [condition(device) for device in self.devices()]
        return {(entry.get("status", ""), entry.get("reason", "")) for entry in said}

    def word(self) -> str:
        return str(self.machine().get("status", {}).get("printableStatus"))

    def await_word(self, word: str, *, while_doing: Callable[[], None] = lambda: None, within_s: float = 30.0) -> None:
        def look() -> str:
            while_doing()
            return self.word()

        eventually(look, lambda seen: seen == word, within_s=within_s)


def bring_up(apiserver: ApiServer, installation: Installation, name: str) -> Running:
    rack = Rack(apiserver, installation.rest, f"server-{name}", [name])
    running = Running(installation, rack, Agent(rack), name)
    network = {"vlan": 300, "subnet": "10.40.0.0/24", "allowedNamespaces": ["*"]}
    spec = {
        "serverSelector": {"matchLabels": {"rack": rack.server}},
        "disks": [{"name": "root", "boot": True, "image": "tiny", "size": "1Gi"}],
        "networkInterfaces": [{"name": "eth0", "network": "watched"}],
    }
    apiserver.kubectl.apply(
        [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
            manifest(NETWORK, "watched", None, network),
            manifest(BAREMETALMACHINE, "bm", name, spec),
        ]
    )
    running.agent.beat(FOR_EVER_S)

    def work() -> None:
        provide_storage(installation.rest, name)
        running.agent.step()

    running.await_word("Running", while_doing=work)
    return running


@pytest.fixture(scope="module")
def running(apiserver: ApiServer, installation: Installation) -> Iterator[Running]:
    running = bring_up(apiserver, installation, "watched")
    yield running
    running.rack.take_away()


@pytest.fixture(scope="module")
def neighbour(apiserver: ApiServer, installation: Installation) -> Iterator[Running]:
    """Another machine, behind another DPU."""
    running = bring_up(apiserver, installation, "neighbour")
    yield running
    running.rack.take_away()


@pytest.fixture(scope="module")
def lost(running: Running) -> Running:
    """The same machine, its agent unheard of for longer than its Lease allows; the last test hears of it again."""
    running.await_word("Running")
    running.agent.beat(1)
    eventually(running.ready, lambda said: said == {("Unknown", "AgentLost")})
    return running


def test_a_running_machine_is_ready_and_its_power_was_switched_once(running: Running) -> None:
    eventually(lambda: condition(running.machine())["status"], lambda status: status == "True")
    kinds = [device["kind"] for device in running.devices()]
    assert {kind: kinds.count(kind) for kind in kinds} == DEVICES
    assert running.ready() == {("True", "Available")}
    assert running.rack.chassis.commands == ["boot_device_set", "power_on"]
    steps = [entry["step"] for entry in running.machine()["status"]["timeline"]]
    assert steps == ["ServerBound", "VolumesReady", "NICsReady", "DisksReady", "PoweredOn", "Answering"]


def test_a_machine_that_does_not_answer_is_not_running_though_its_power_is_on(running: Running) -> None:
    running.await_word("Running")
    running.agent.answers = False
    running.agent.step()
    running.await_word("Starting", within_s=15)
    machine = running.machine()
    assert machine["status"]["powerState"] == "On"
    assert condition(machine)["status"] == "False"
    assert condition(machine, "Progressing")["reason"] == "WaitingForAnswer"
    running.agent.answers = True
    running.agent.step()
    running.await_word("Running")


def test_an_agent_that_is_lost_leaves_its_devices_unknown(lost: Running) -> None:
    for device in lost.devices():
        said = condition(device)
        assert f"the agent of DPU {lost.rack.dpu} has not been heard of since" in said["message"]
        assert said["observedGeneration"] == device["metadata"]["generation"]
        assert condition(device, "Synced")["status"] == "True"


def test_a_machine_whose_agent_is_lost_is_unknown(lost: Running) -> None:
    lost.await_word("Unknown")
    machine = lost.machine()
    assert condition(machine)["status"] == "False"
    assert condition(machine, "Progressing")["reason"] == "AgentLost"


def test_nothing_is_taken_from_a_machine_whose_agent_is_lost(lost: Running) -> None:
    lost.await_word("Unknown")
    assert lost.rack.chassis.power == "on"
    assert lost.rack.chassis.commands == ["boot_device_set", "power_on"]
    assert [device for device in lost.devices() if "deletionTimestamp" in device["metadata"]] == []
    holder = lost.rack.holder()
    assert holder is not None
    assert holder["namespace"] == lost.namespace


def test_another_dpus_machine_does_not_notice(neighbour: Running, lost: Running) -> None:
    lost.await_word("Unknown")
    assert neighbour.word() == "Running"
    assert neighbour.ready() == {("True", "Available")}


def test_the_machine_runs_again_when_the_agent_is_back(lost: Running) -> None:
    lost.await_word("Unknown")
    lost.agent.beat(FOR_EVER_S)
    lost.await_word("Running")
    assert lost.ready() == {("True", "Available")}
    eventually(lambda: condition(lost.machine())["status"], lambda status: status == "True")
