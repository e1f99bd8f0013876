"""Argo CD's real engine and ours on the same machines: neither undoes what the other did.

Machines here have no storage behind them and a server only where a test brings one; what is composed for them, and what
Argo CD makes of it, does not depend on that.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provider.api.resources import BAREMETALMACHINE, MACHINEIMAGE, NETWORK, SERVER
from sandbox.apiserver import ApiServer
from tests.integration.argocd import settings
from tests.integration.argocd.application import Application
from tests.integration.argocd.engine import NAMESPACE, Engine
from tests.integration.argocd.repository import Repository
from tests.integration.installation import Installation, settled
from tests.integration.manifests import edited, manifest
from tests.integration.rack import Rack
from tests.integration.rest import Rest
from tests.integration.stand_in import Agent, provide_storage
from tests.integration.waiting import eventually

Json = dict[str, Any]

FOR_EVER_S = 3600
LOOKS = 3


@pytest.fixture(scope="module")
def engine(apiserver: ApiServer, rest: Rest, programs: Path) -> Iterator[Engine]:
    engine = Engine(apiserver, rest, programs)
    engine.install()
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def application(engine: Engine, rest: Rest, namespace: str, tmp_path: Path) -> Iterator[Application]:
    """A tenant's, with nothing in git yet."""
    application = Application(rest, Repository(tmp_path / "machines"), namespace, namespace, inventory=False)
    yield application
    application.delete()


@pytest.fixture
def image(rest: Rest, namespace: str) -> Iterator[str]:
    image = manifest(MACHINEIMAGE, f"image-of-{namespace}", None, {"sha256": "ab" * 32, "sizeBytes": 1024})
    rest.create(MACHINEIMAGE, edited(image, {"spec.allowedNamespaces": [namespace]}))
    yield image["metadata"]["name"]
    rest.ask("DELETE", MACHINEIMAGE.path(None, image["metadata"]["name"]))


@pytest.fixture
def wanted(namespace: str, image: str) -> Json:
    """A machine as its tenant writes it into git: no namespace, no defaults. No server fits it."""
    spec = {
        "serverSelector": {"matchLabels": {"rack": namespace}},
        "disks": [{"name": "root", "boot": True, "image": image, "size": "1Gi"}, {"name": "data", "size": "2Gi"}],
        "networkInterfaces": [{"name": "eth0", "network": f"network-of-{namespace}", "mac": "02:00:00:00:00:0A"}],
    }
    return manifest(BAREMETALMACHINE, "bm", None, spec)


@pytest.fixture
def rack(apiserver: ApiServer, rest: Rest, namespace: str) -> Iterator[Rack]:
    """A server that fits, and the network that the machine wants to join."""
    rack = Rack(apiserver, rest, namespace, [namespace])
    network = {"vlan": 310, "subnet": "10.41.0.0/24", "allowedNamespaces": [namespace]}
    rest.create(NETWORK, manifest(NETWORK, f"network-of-{namespace}", None, network))
    yield rack
    rest.ask("DELETE", NETWORK.path(None, f"network-of-{namespace}"))
    rack.take_away()


@pytest.fixture
def inventory(engine: Engine, rack: Rack, rest: Rest, namespace: str, tmp_path: Path) -> Iterator[Application]:
    """An operator's, with nothing in git yet. It goes before the rack does, else it would bring it back."""
    application = Application(rest, Repository(tmp_path / "servers"), f"rack-of-{namespace}", namespace, inventory=True)
    yield application
    application.delete()


@pytest.fixture
def composed(installation: Installation, application: Application, namespace: str, wanted: Json) -> Json:
    """The machine once it is synced, and its children have said what they wait for."""
    application.push(bm=wanted)
    application.await_health(bm="Degraded")
    return installation.machine(namespace, "bm")


def assert_at_rest(application: Application, installation: Installation, namespace: str) -> None:
    """However often Argo CD looks, it sees no difference and writes nothing, and no spec is written by anybody."""
    machine = installation.machine(namespace, "bm")
    eventually(lambda: installation.children(machine), settled)
    application.await_synced()

    def generations() -> dict[str, int]:
        objects = installation.children(machine) | {"machine": installation.machine(namespace, "bm")}
        return {name: obj["metadata"]["generation"] for name, obj in objects.items()}

    before, synced_at = generations(), application.last_sync()
    for _ in range(LOOKS):
        assert application.refresh()["status"]["sync"]["status"] == "Synced"
    assert application.last_sync() == synced_at
    assert generations() == before


def test_what_ours_adds_leaves_the_operators_settings_alone(engine: Engine, apiserver: ApiServer) -> None:
    config = apiserver.kubectl.get("configmap/argocd-cm", f"--namespace={NAMESPACE}")
    assert config["data"] == settings.configuration()["data"] | {"timeout.reconciliation": "120s"}


def test_a_machine_in_git_is_composed_and_its_children_bear_no_mark_of_argo_cd(
    installation: Installation, composed: Json, namespace: str
) -> None:
    tracking = composed["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"]
    assert tracking == f"{namespace}:metalplane.io/BareMetalMachine:{namespace}/bm"
    children = installation.children(composed)
    assert len(children) == 8
    for child in children.values():
        metadata = child["metadata"]
        marks = metadata["annotations"] | metadata["labels"]
        assert [name for name in marks if "argocd" in name or name == "app.kubernetes.io/instance"] == []


def test_children_are_shown_below_their_machine_with_their_health(
    engine: Engine, installation: Installation, composed: Json, application: Application
) -> None:
    def shown() -> dict[str, str]:
        nodes = engine.tree(application.name)
        return {node["name"]: node.get("health", {}).get("status", "") for node in nodes}

    children = {child["metadata"]["name"]: "Progressing" for child in installation.children(composed).values()}
    eventually(shown, lambda seen: seen == children | {"bm": "Degraded"})


def test_status_and_children_make_no_difference(
    installation: Installation, application: Application, composed: Json, namespace: str
) -> None:
    assert composed["spec"]["runStrategy"] == "Always", "a default that git does not know"
    assert composed["spec"]["crossplane"]["resourceRefs"], "a field that git does not know"
    assert_at_rest(application, installation, namespace)


def test_a_change_in_git_reaches_the_children(
    installation: Installation, application: Application, composed: Json, wanted: Json, namespace: str
) -> None:
    application.push(bm=edited(wanted, {"spec.runStrategy": "Halted", "spec.disks.1.size": "3Gi"}))
    assert installation.machine(namespace, "bm")["metadata"]["uid"] == composed["metadata"]["uid"]

    def changed(children: dict[str, Json]) -> bool:
        wishes = {name: child["spec"]["forProvider"] for name, child in children.items()}
        return bool(wishes["power"]["state"] == "Off" and wishes["volume-data"]["size"] == "3Gi")

    eventually(lambda: installation.children(composed), changed)
    application.await_health(bm="Degraded")
    assert_at_rest(application, installation, namespace)


def test_drift_is_put_back(
    installation: Installation, application: Application, composed: Json, namespace: str, rest: Rest
) -> None:
    rest.patch(BAREMETALMACHINE, composed, {"spec": {"disks": composed["spec"]["disks"][:1]}})
    mended = eventually(
        lambda: installation.machine(namespace, "bm"),
        lambda seen: (
            seen["metadata"]["generation"] > composed["metadata"]["generation"] + 1 and len(seen["spec"]["disks"]) == 2
        ),
    )
    assert mended["metadata"]["uid"] == composed["metadata"]["uid"]
    eventually(lambda: installation.children(mended), lambda children: len(children) == 8)
    application.await_health(bm="Degraded")
    assert_at_rest(application, installation, namespace)


def test_a_machine_whose_file_goes_goes_too(
    installation: Installation, application: Application, composed: Json, wanted: Json, namespace: str, rest: Rest
) -> None:
    application.push(bm=None, other=edited(wanted, {"metadata.name": "other"}))
    eventually(
        lambda: [each["metadata"]["name"] for each in rest.all_of(BAREMETALMACHINE, namespace)], ["other"].__eq__
    )
    assert installation.children(composed) == {}
    application.await_health(other="Degraded")


def test_a_machine_that_was_exported_into_git_is_not_fought_over(
    installation: Installation, application: Application, composed: Json, wanted: Json, namespace: str
) -> None:
    """Its file holds what the engine wrote once: children that are no more."""
    gone = [{"apiVersion": "metalplane.io/v1alpha1", "kind": "Volume", "name": "bm-of-yesterday"}]
    exported = edited(wanted, {"spec.crossplane.resourceRefs": gone, "spec.runStrategy": "Halted"})
    application.push(bm=exported)
    machine = installation.machine(namespace, "bm")
    assert machine["spec"]["runStrategy"] == "Halted"
    assert machine["spec"]["crossplane"]["resourceRefs"] == composed["spec"]["crossplane"]["resourceRefs"]
    application.await_health(bm="Degraded")
    assert_at_rest(application, installation, namespace)


def test_a_server_that_was_exported_into_git_keeps_its_holder(
    installation: Installation,
    application: Application,
    inventory: Application,
    rack: Rack,
    wanted: Json,
    namespace: str,
    rest: Rest,
) -> None:
    application.push(bm=wanted)
    holder = eventually(rack.holder, bool)
    server = rest.get(SERVER, rack.server)
    labels = server["metadata"]["labels"] | {"row": "7"}
    of_yesterday = {"namespace": namespace, "name": "bm-of-yesterday", "uid": "gone"}
    exported = manifest(SERVER, rack.server, None, server["spec"] | {"claimRef": of_yesterday}, labels=labels)
    inventory.push(server=exported)
    inventory.await_health(**{rack.server: "Healthy"})
    assert rest.get(SERVER, rack.server)["metadata"]["labels"] == labels
    assert rack.holder() == holder
    assert inventory.refresh()["status"]["sync"]["status"] == "Synced"
    assert_at_rest(application, installation, namespace)


def test_a_machine_runs_and_is_healthy_and_is_halted_by_git_and_suspended(
    rack: Rack, installation: Installation, application: Application, wanted: Json, namespace: str, rest: Rest
) -> None:
    agent = Agent(rack)
    agent.beat(FOR_EVER_S)

    def health_after_work() -> dict[str, str]:
        provide_storage(rest, namespace)
        agent.step()
        return application.health()

    application.push(bm=wanted)
    eventually(health_after_work, {"bm": "Healthy"}.__eq__, within_s=60.0)
    assert installation.machine(namespace, "bm")["status"]["printableStatus"] == "Running"
    assert_at_rest(application, installation, namespace)
    application.push(bm=edited(wanted, {"spec.runStrategy": "Halted"}))
    eventually(health_after_work, {"bm": "Suspended"}.__eq__, within_s=60.0)
    assert rack.chassis.power == "off"
    assert_at_rest(application, installation, namespace)
