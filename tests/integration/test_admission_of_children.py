"""What the API server refuses of managed resources and of the operator's objects, and what it says instead."""

from collections.abc import Iterator
from typing import Any

import pytest

from provider.api.resources import (
    INSTANCETYPE,
    MACHINEIMAGE,
    NETWORK,
    POWERSTATE,
    SERVER,
    VIRTUALDISK,
    VIRTUALNIC,
    VOLUME,
    ResourceType,
)
from sandbox.apiserver import ApiServer
from tests.integration.manifests import GONE, edited, manifest
from tests.integration.rest import Rest

Json = dict[str, Any]
Changes = dict[str, Any]

NAMESPACE = "test-admission-of-children"
OF = "spec.forProvider"
SEED = {"hostname": "bm"}
DIGEST = "ab" * 32
SIBLING = {"serverClaimSelector": {"matchControllerRef": True}}
GOOD: dict[str, tuple[ResourceType, Json]] = {
    "Volume": (VOLUME, {"forProvider": {"size": "2Gi", "image": "tiny", "imageDigest": DIGEST}}),
    "VirtualDisk": (VIRTUALDISK, {"forProvider": {**SIBLING, "volumeRef": {"name": "root"}, "slot": 1}}),
    "VirtualNIC": (VIRTUALNIC, {"forProvider": {**SIBLING, "network": "blue", "index": 0}}),
    "PowerState": (POWERSTATE, {"forProvider": {**SIBLING, "state": "On"}}),
    "Server": (
        SERVER,
        {
            "bmc": {"address": "bmc.example.org", "secretRef": {"name": "bmc"}},
            "dpu": {"name": "dpu-of-admission"},
            "nicSlots": [{"slot": 8, "representor": "vm0"}],
            "capacity": {"cpus": 8, "memory": "64Gi"},
        },
    ),
    "Network": (NETWORK, {"vlan": 100, "subnet": "10.20.0.0/24", "gateway": "10.20.0.1"}),
    "MachineImage": (MACHINEIMAGE, {"sha256": DIGEST, "sizeBytes": 1024}),
    "InstanceType": (INSTANCETYPE, {"cpus": 1, "memory": "1Gi"}),
}

CLAIM = "give serverClaimRef (a name) or serverClaimSelector (how to find it)"
ONE_SOURCE = "give either a volume (volumeRef or volumeSelector) or a seed, not both and not neither"
TWICE = [{"slot": 7, "representor": "vm0"}, {"slot": 8, "representor": "vm0"}]
REFUSED: list[tuple[str, Changes, str]] = [
    ("Volume", {f"{OF}.size": "0"}, "must be more than 0, such as 20Gi"),
    ("Volume", {f"{OF}.size": "much"}, "must be a quantity: write a number with a suffix, such as 20Gi"),
    ("Volume", {f"{OF}.size": "8192Pi"}, "must be less than 8Ei, such as 20Gi"),
    ("Volume", {f"{OF}.image": GONE}, "imageDigest pins an image: name the image in image"),
    ("VirtualDisk", {f"{OF}.volumeRef": GONE}, ONE_SOURCE),
    ("VirtualDisk", {f"{OF}.volumeRef.name": "../x"}, "must be the name of an object"),
    ("VirtualDisk", {f"{OF}.volumeRef": GONE, f"{OF}.seed": {"hostname": "a\nb"}}, "must be a host name"),
    ("VirtualDisk", {f"{OF}.seed": {"hostname": "bm"}}, ONE_SOURCE),
    ("VirtualDisk", {f"{OF}.serverClaimSelector": GONE}, CLAIM),
    ("VirtualDisk", {f"{OF}.slot": 0}, "should be greater than or equal to 1"),
    ("VirtualDisk", {f"{OF}.bus": "nvme"}, 'supported values: "virtio-blk"'),
    ("VirtualDisk", {f"{OF}.volumeRef": GONE, f"{OF}.seed": SEED, f"{OF}.readOnly": False}, "a seed can only be read"),
    ("VirtualDisk", {f"{OF}.volumeRef": GONE, f"{OF}.seed": {**SEED, "sshAuthorizedKeys": ["no"]}}, "line of a .pub"),
    ("VirtualNIC", {f"{OF}.serverClaimSelector": GONE}, CLAIM),
    ("VirtualNIC", {f"{OF}.macAddress": "01:00:00:00:00:00"}, "must be the MAC address of one station, such as 02:"),
    ("VirtualNIC", {f"{OF}.address": "10.20.0.11"}, "must be an IPv4 address with its prefix length, such as"),
    ("PowerState", {f"{OF}.serverClaimSelector": GONE}, CLAIM),
    ("PowerState", {f"{OF}.state": "Sleeping"}, 'supported values: "On", "Off"'),
    ("PowerState", {"spec.managementPolicies": ["Everything"]}, 'supported values: "Observe", "Create"'),
    ("Server", {"spec.slots": 4}, "a NIC slot lies beyond slots: raise slots or lower the NIC slot's number"),
    ("Server", {"spec.nicSlots": TWICE}, "two NIC slots have the same representor: name the network device"),
    ("Server", {"spec.nicSlots.0.representor": "../vm 0"}, "must be the name of a network device, such as vm0"),
    ("Server", {"spec.dpu.name": "d" * 49}, "spec.dpu.name: Too long: may not be more than 48"),
    ("Server", {"spec.bmc.address": "a b"}, "must be an address or a DNS name, such as 10.0.0.5"),
    ("Server", {"spec.bmc.secretRef.name": "../x"}, "must be the name of an object"),
    ("Server", {"spec.capacity.memory": "0"}, "must be more than 0"),
    ("Server", {"spec.bmc.protocol": "telnet"}, 'supported values: "ipmi"'),
    ("Network", {"spec.subnet": "10.20.0.1/24"}, "must be an IPv4 subnet without host bits, such as 10.20.0.0/24"),
    ("Network", {"spec.subnet": "2001:db8::/64"}, "must be an IPv4 subnet without host bits, such as 10.20.0.0/24"),
    ("Network", {"spec.gateway": "10.20.0"}, "must be an IP address, such as 10.20.0.1"),
    ("Network", {"spec.gateway": "10.21.0.1"}, "gateway is not in subnet: write an address of the subnet"),
    ("Network", {"spec.gateway": "fd00::1"}, "gateway is not in subnet: write an address of the subnet"),
    ("Network", {"spec.gateway": "10.20.0.0"}, "gateway is the network's own address: write an address of the subnet"),
    ("Network", {"spec.gateway": "10.20.0.255"}, "gateway is the broadcast address: write an address of the subnet"),
    ("Network", {"spec.subnet": "10.0.0.0/8", "spec.gateway": "10.255.255.255"}, "gateway is the broadcast address"),
    ("Network", {"spec.vlan": 4095}, "should be less than or equal to 4094"),
    ("MachineImage", {"spec.sizeBytes": 0}, "should be greater than or equal to 1"),
    ("MachineImage", {"spec.sha256": DIGEST.upper()}, "spec.sha256"),
    ("InstanceType", {"spec.cpus": 0}, "should be greater than or equal to 1"),
]
IMMUTABLE: list[tuple[str, Changes, str]] = [
    ("Volume", {f"{OF}.size": "1Gi"}, "a volume cannot shrink: write the present size or a larger one"),
    ("Volume", {f"{OF}.image": "other"}, "image is immutable: make a new volume instead"),
    ("Volume", {f"{OF}.image": GONE}, "image is immutable: make a new volume instead"),
    (
        "Volume",
        {f"{OF}.imageDigest": "cd" * 32},
        "imageDigest is immutable once it is set: it pins what the volume was",
    ),
    ("Volume", {f"{OF}.imageDigest": GONE}, "imageDigest is immutable once it is set: it pins what the volume was"),
    ("Volume", {f"{OF}.storageClassName": "other"}, "storageClassName is immutable: make a new volume instead"),
    ("VirtualDisk", {f"{OF}.slot": 2}, "slot is immutable: unplug the disk and plug it elsewhere"),
    ("VirtualNIC", {f"{OF}.network": "red"}, "network is immutable: make a new NIC instead"),
    ("VirtualNIC", {f"{OF}.index": 1}, "index is immutable: unplug the NIC and plug it elsewhere"),
]


def example(kind: str) -> tuple[ResourceType, Json]:
    resource, spec = GOOD[kind]
    return resource, manifest(resource, "of-admission", NAMESPACE if resource.namespaced else None, spec)


def ids(case: tuple[str, Changes, str]) -> str:
    kind, changes, _ = case
    return f"{kind}-" + ",".join(f"{path.rpartition('.')[2]}={_short(value)}" for path, value in changes.items())


def _short(value: Any) -> str:
    return "gone" if value is GONE else str(value)[:20]


@pytest.fixture(scope="module", autouse=True)
def place(apiserver: ApiServer) -> Iterator[None]:
    """The namespace of these tests."""
    apiserver.kubectl.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}])
    yield
    apiserver.kubectl.run("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.mark.parametrize("kind", GOOD)
def test_a_good_object_is_admitted(rest: Rest, kind: str) -> None:
    assert rest.dry_run_create(*example(kind)).refusal == ""


@pytest.mark.parametrize(
    ("subnet", "gateway"),
    [
        ("10.20.0.0/24", "10.20.0.254"),
        ("10.0.0.0/8", "10.20.0.0"),
        ("10.0.0.0/8", "10.20.0.255"),
        ("0.0.0.0/0", "9.9.9.9"),
    ],
)
def test_a_gateway_is_any_host_of_its_subnet(rest: Rest, subnet: str, gateway: str) -> None:
    resource, obj = example("Network")
    changed = edited(obj, {"spec.subnet": subnet, "spec.gateway": gateway})
    assert rest.dry_run_create(resource, changed).refusal == ""


def test_a_seed_is_admitted_as_the_function_writes_it(rest: Rest) -> None:
    resource, obj = example("VirtualDisk")
    for read_only in (True, GONE):
        good = edited(obj, {f"{OF}.volumeRef": GONE, f"{OF}.seed": SEED, f"{OF}.readOnly": True})
        assert rest.dry_run_create(resource, edited(good, {f"{OF}.readOnly": read_only})).refusal == ""


@pytest.mark.parametrize("case", REFUSED, ids=ids)
def test_a_bad_object_is_refused(rest: Rest, case: tuple[str, Changes, str]) -> None:
    kind, changes, message = case
    resource, obj = example(kind)
    assert message in rest.dry_run_create(resource, edited(obj, changes)).refusal


@pytest.mark.parametrize("case", IMMUTABLE, ids=ids)
def test_a_change_is_refused(rest: Rest, case: tuple[str, Changes, str]) -> None:
    kind, changes, message = case
    resource, obj = example(kind)
    present = rest.create(resource, obj)
    try:
        assert message in rest.dry_run_replace(resource, edited(present, changes)).refusal
    finally:
        rest.delete(resource, present)


def test_a_volume_grows_and_is_pinned_later(rest: Rest) -> None:
    resource, obj = example("Volume")
    present = rest.create(resource, edited(obj, {f"{OF}.imageDigest": GONE}))
    try:
        later = edited(present, {f"{OF}.imageDigest": DIGEST, f"{OF}.size": "3Gi"})
        assert rest.dry_run_replace(resource, later).refusal == ""
    finally:
        rest.delete(resource, present)


@pytest.mark.parametrize("kind", ["Volume", "VirtualDisk", "VirtualNIC", "PowerState"])
def test_a_managed_resource_is_born_unseen_and_managed_in_full(rest: Rest, kind: str) -> None:
    resource, obj = example(kind)
    present = rest.create(resource, obj)
    try:
        assert present["status"] == {"observedGeneration": -1, "atProvider": {}}
        assert present["spec"]["managementPolicies"] == ["*"]
        assert present["spec"]["providerConfigRef"] == {"kind": "ClusterProviderConfig", "name": "default"}
    finally:
        rest.delete(resource, present)
