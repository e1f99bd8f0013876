"""One DPU's certificate opens its own namespace to read, its devices' status, its Lease and Events; nothing else."""

import http.client
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from provider.api.names import INSTALLATION_NAMESPACE, ORPHAN_REPORT, dpu_namespace, dpu_user
from provider.api.resources import (
    BAREMETALMACHINE,
    EMULATEDDISK,
    EMULATEDNIC,
    EVENT,
    LEASE,
    ORPHANREPORT,
    PERSISTENTVOLUME,
    SECRET,
    SERVER,
    SERVERCLAIM,
    VIRTUALDISK,
    VOLUMEATTACHMENT,
    ResourceType,
)
from provider.runtime.events import EventRecorder
from sandbox import inventory
from sandbox.apiserver import ApiServer
from tests.integration.installation import IMAGE
from tests.integration.manifests import edited, manifest
from tests.integration.rest import APPLY_PATCH, MERGE_PATCH, Answer, Rest

Json = dict[str, Any]

FIRST, SECOND = (dpu_namespace(dpu) for dpu in ("dpu0", "dpu1"))
MACHINE = {"namespace": "tenant", "name": "bm", "uid": "00000000-0000-0000-0000-000000000000"}
DISK = {"machineRef": MACHINE, "claimUID": "claim", "slot": 3, "source": {"seed": {"secretRef": {"name": "seed"}}}}
NIC = {
    "machineRef": MACHINE,
    "claimUID": "claim",
    "nicSlot": 7,
    "representor": "vm0",
    "mac": "02:00:00:00:00:0a",
    "network": {"name": "blue", "vlan": 100},
}


def secret(namespace: str) -> Json:
    metadata = {"name": "seed", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"user-data": "of a tenant"}}


def lease(namespace: str) -> Json:
    metadata = {"name": "agent", "namespace": namespace}
    return {"apiVersion": LEASE.api_version, "kind": "Lease", "metadata": metadata, "spec": {"holderIdentity": "agent"}}


OBJECTS: dict[str, tuple[ResourceType, Callable[[str], Json]]] = {
    "EmulatedDisk": (EMULATEDDISK, lambda place: manifest(EMULATEDDISK, "device", place, DISK)),
    "EmulatedNIC": (EMULATEDNIC, lambda place: manifest(EMULATEDNIC, "device", place, NIC)),
    "Secret": (SECRET, secret),
    "Lease": (LEASE, lease),
    "OrphanReport": (ORPHANREPORT, lambda place: manifest(ORPHANREPORT, ORPHAN_REPORT, place, {})),
}
DEVICES = {kind: OBJECTS[kind] for kind in ("EmulatedDisk", "EmulatedNIC")}
FORBIDDEN = http.client.FORBIDDEN


@pytest.fixture(scope="module")
def filled(apiserver: ApiServer, rest: Rest) -> Iterator[Rest]:
    """Two DPUs, with one object of each kind in the namespace of each."""
    apiserver.kubectl.apply(inventory.objects(IMAGE, [(20001, "password"), (20002, "password")]))
    for namespace in (FIRST, SECOND):
        for resource, make in OBJECTS.values():
            rest.create(resource, make(namespace))
    yield rest
    for namespace in (FIRST, SECOND):
        for resource, make in OBJECTS.values():
            rest.delete(resource, make(namespace))


@pytest.fixture(scope="module")
def second(apiserver: ApiServer, filled: Rest) -> Rest:
    """The second DPU's agent."""
    return Rest.of_user(apiserver, dpu_user("dpu1"), groups=(inventory.DPU_GROUP,))


@pytest.mark.parametrize("kind", [*DEVICES, "Secret"])
def test_it_reads_its_own_namespace(second: Rest, kind: str) -> None:
    resource, make = OBJECTS[kind]
    name = make(SECOND)["metadata"]["name"]
    assert second.get(resource, name, SECOND)["metadata"]["name"] == name
    assert len(second.all_of(resource, SECOND)) == 1


@pytest.mark.parametrize("kind", OBJECTS)
def test_the_first_dpus_namespace_is_closed_to_it(second: Rest, kind: str) -> None:
    resource, make = OBJECTS[kind]
    obj = make(FIRST)
    path, collection = resource.path(FIRST, obj["metadata"]["name"]), resource.path(FIRST)
    codes = {
        "get": second.ask("GET", path).code,
        "list": second.ask("GET", collection).code,
        "watch": second.ask("GET", f"{collection}?watch=1").code,
        "create": second.ask("POST", collection, edited(obj, {"metadata.name": "another"})).code,
        "patch": second.ask("PATCH", path, {"metadata": {"labels": {"a": "b"}}}, content=MERGE_PATCH).code,
        "delete": second.ask("DELETE", path).code,
        "list everywhere": second.ask("GET", resource.path()).code,
    }
    assert codes == dict.fromkeys(codes, FORBIDDEN)


@pytest.mark.parametrize("kind", DEVICES)
def test_the_first_dpus_status_is_closed_to_it(second: Rest, kind: str) -> None:
    resource, _ = DEVICES[kind]
    path = resource.path(FIRST, "device", "status")
    assert second.ask("PATCH", path, {"status": {"observedGeneration": 1}}, content=MERGE_PATCH).code == FORBIDDEN


@pytest.mark.parametrize("kind", DEVICES)
def test_it_reports_on_its_own_devices(second: Rest, kind: str) -> None:
    resource, make = DEVICES[kind]
    reported = second.patch(resource, make(SECOND), {"status": {"observedGeneration": 1}}, subresource="status")
    assert reported["status"]["observedGeneration"] == 1


@pytest.mark.parametrize("kind", DEVICES)
def test_it_writes_no_spec(second: Rest, filled: Rest, kind: str) -> None:
    resource, make = DEVICES[kind]
    path = resource.path(SECOND, "device")
    other = {"spec": {"claimUID": "another"}}
    assert second.ask("PATCH", path, other, content=MERGE_PATCH).code == FORBIDDEN
    assert second.ask("DELETE", path).code == FORBIDDEN
    assert second.ask("POST", resource.path(SECOND), edited(make(SECOND), {"metadata.name": "more"})).code == FORBIDDEN
    # Through the status it may write, and what it says of the spec there is not taken.
    second.patch(resource, make(SECOND), other, subresource="status")
    assert filled.get(resource, "device", SECOND)["spec"]["claimUID"] == "claim"


def test_it_lifts_no_finalizer_and_writes_no_secret(second: Rest, filled: Rest) -> None:
    held = {"metadata": {"finalizers": ["metalplane.io/emulation"]}}
    filled.patch(EMULATEDDISK, manifest(EMULATEDDISK, "device", SECOND, DISK), held)
    path = EMULATEDDISK.path(SECOND, "device")
    lifted = {"metadata": {"finalizers": None}}
    assert second.ask("PATCH", path, lifted, content=MERGE_PATCH).code == FORBIDDEN
    second.ask("PATCH", f"{path}/status", lifted, content=MERGE_PATCH)
    assert filled.get(EMULATEDDISK, "device", SECOND)["metadata"]["finalizers"] == ["metalplane.io/emulation"]
    filled.patch(EMULATEDDISK, manifest(EMULATEDDISK, "device", SECOND, DISK), lifted)
    secret_path = SECRET.path(SECOND, "seed")
    assert second.ask("PATCH", secret_path, {"data": None}, content=MERGE_PATCH).code == FORBIDDEN


def test_it_keeps_its_lease_as_a_heartbeat_does_and_no_other(second: Rest) -> None:
    def renewed(name: str) -> Answer:
        path = f"{LEASE.path(SECOND, name)}?fieldManager=agent&force=true"
        body = edited(lease(SECOND), {"metadata.name": name, "spec.leaseDurationSeconds": 15})
        return second.ask("PATCH", path, body, content=APPLY_PATCH)

    assert renewed("agent").code == http.client.OK
    assert renewed("another").code == FORBIDDEN
    assert second.ask("GET", LEASE.path(SECOND, "agent")).code == FORBIDDEN
    assert second.ask("DELETE", LEASE.path(SECOND, "agent")).code == FORBIDDEN


def test_it_reports_what_no_object_claims_under_one_name(second: Rest, filled: Rest) -> None:
    def applied(name: str, namespace: str, part: str, body: Json) -> int:
        path = f"{ORPHANREPORT.path(namespace, name, part or None)}?fieldManager=agent-orphans&force=true"
        report = manifest(ORPHANREPORT, name, namespace, {})
        return second.ask("PATCH", path, {**report, **body}, content=APPLY_PATCH).code

    filled.delete(ORPHANREPORT, manifest(ORPHANREPORT, ORPHAN_REPORT, SECOND, {}))
    assert applied(ORPHAN_REPORT, SECOND, "", {}) == http.client.CREATED
    port = {"where": "ovs", "kind": "Port", "name": "vm7", "since": "2026-01-01T00:00:00Z"}
    assert applied(ORPHAN_REPORT, SECOND, "status", {"status": {"orphans": [port]}}) == http.client.OK
    assert filled.get(ORPHANREPORT, ORPHAN_REPORT, SECOND)["status"]["orphans"] == [port]
    assert applied("another", SECOND, "", {}) == FORBIDDEN
    assert applied(ORPHAN_REPORT, FIRST, "", {}) == FORBIDDEN
    assert applied(ORPHAN_REPORT, INSTALLATION_NAMESPACE, "", {}) == FORBIDDEN
    assert second.ask("DELETE", ORPHANREPORT.path(SECOND, ORPHAN_REPORT)).code == FORBIDDEN


def test_its_first_heartbeat_makes_the_lease(second: Rest, filled: Rest) -> None:
    filled.delete(LEASE, lease(SECOND))
    path = f"{LEASE.path(SECOND, 'agent')}?fieldManager=agent&force=true"
    made = second.ask("PATCH", path, lease(SECOND), content=APPLY_PATCH)
    assert made.code == http.client.CREATED


def test_it_posts_events_in_its_own_namespace_and_reads_none(second: Rest) -> None:
    def event(namespace: str) -> Json:
        regarding = manifest(EMULATEDDISK, "device", namespace, DISK)
        regarding["metadata"]["uid"] = "uid"
        recorder = EventRecorder(None, controller="metalplane-agent", instance="dpu1")
        return recorder._event(regarding, "Normal", "DevicePlugged", "the server sees it in slot 3", "Reconcile")

    assert second.ask("POST", EVENT.path(SECOND), event(SECOND)).code == http.client.CREATED
    assert second.ask("POST", EVENT.path(FIRST), event(FIRST)).code == FORBIDDEN
    assert second.ask("GET", EVENT.path(SECOND)).code == FORBIDDEN


@pytest.mark.parametrize(
    "resource",
    [BAREMETALMACHINE, SERVERCLAIM, VIRTUALDISK, SERVER, PERSISTENTVOLUME, VOLUMEATTACHMENT, SECRET],
    ids=lambda resource: resource.kind,
)
def test_it_sees_nothing_of_the_rest_of_the_cluster(second: Rest, resource: ResourceType) -> None:
    assert second.ask("GET", resource.path()).code == FORBIDDEN
    if resource.namespaced:
        for namespace in (inventory.FIRST_TENANT.name, INSTALLATION_NAMESPACE):
            assert second.ask("GET", resource.path(namespace)).code == FORBIDDEN


def test_another_certificate_in_the_group_gives_no_rights(apiserver: ApiServer, filled: Rest) -> None:
    unknown = Rest.of_user(apiserver, dpu_user("dpu9"), groups=(inventory.DPU_GROUP,))
    for namespace in (FIRST, SECOND, dpu_namespace("dpu9")):
        assert unknown.ask("GET", EMULATEDDISK.path(namespace)).code == FORBIDDEN
