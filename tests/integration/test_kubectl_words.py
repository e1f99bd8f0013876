"""What a user of kubectl reads: explanations, short names, categories, columns, and how to wait."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from provider.api import API_VERSION
from provider.api.registry import KINDS, ApiKind
from provider.api.resources import BAREMETALMACHINE
from sandbox.apiserver import ApiServer
from sandbox.errors import CommandFailed
from sandbox.kubectl import Kubectl
from tests.integration.manifests import MACHINE_SPEC, manifest
from tests.integration.rest import Rest

Json = dict[str, Any]

MANAGED = ["READY", "SYNCED"]
COLUMNS = {
    "BareMetalMachine": ["STATUS", "SERVER", "IP", "SYNCED", "READY", "COMPOSITION", "AGE"],
    "ServerClaim": [*MANAGED, "SERVER", "EXTERNAL-NAME", "AGE"],
    "Volume": [*MANAGED, "SIZE", "IMAGE", "PHASE", "EXTERNAL-NAME", "AGE"],
    "VirtualDisk": [*MANAGED, "SERVER", "SLOT", "EXTERNAL-NAME", "AGE"],
    "VirtualNIC": [*MANAGED, "SERVER", "NETWORK", "ADDRESS", "ANSWERS", "EXTERNAL-NAME", "AGE"],
    "PowerState": [*MANAGED, "SERVER", "DESIRED", "POWER", "EXTERNAL-NAME", "AGE"],
    "Server": ["DPU", "CPUS", "MEMORY", "NAMESPACE", "CLAIM", "AGE"],
    "InstanceType": ["CPUS", "MEMORY", "AGE"],
    "Network": ["VLAN", "SUBNET", "AGE"],
    "MachineImage": ["BYTES", "AGE"],
    "ClusterProviderConfig": ["STORAGECLASS", "AGE"],
    "EmulatedDisk": ["READY", "MACHINE", "SLOT", "BDEV", "AGE"],
    "EmulatedNIC": ["READY", "MACHINE", "REPRESENTOR", "ANSWERS", "AGE"],
    "OrphanReport": ["ORPHANS", "AGE"],
}
MACHINE, PROJECTION = ["claim", "composite", "metalplane"], ["metalplane"]
CHILD = ["crossplane", "managed", "metalplane"]
CATEGORIES = {
    "BareMetalMachine": MACHINE,
    **dict.fromkeys(("ServerClaim", "Volume", "VirtualDisk", "VirtualNIC", "PowerState"), CHILD),
    **dict.fromkeys(("Server", "InstanceType", "Network", "MachineImage", "ClusterProviderConfig"), PROJECTION),
    **dict.fromkeys(("EmulatedDisk", "EmulatedNIC", "OrphanReport"), PROJECTION),
}
SHORT_NAMES = {"BareMetalMachine": ["bmm"], "VirtualDisk": ["vdisk"], "VirtualNIC": ["vnic"]}

ADMINISTRATORS = ("system:masters",)

CROSSPLANES = (".spec.crossplane.", ".status.conditions[].")
"""Fields of the machine that Crossplane's rules lay over ours, without a description."""


@pytest.fixture(scope="module")
def kubectl(apiserver: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """A user's: it has not asked this API server before, so nothing of it is cached."""
    path = apiserver.control_plane.identity(
        tmp_path_factory.mktemp("user") / "kubeconfig", "user", groups=ADMINISTRATORS
    )
    return Kubectl(apiserver.kubectl.program, path)


@pytest.fixture(scope="module")
def served(rest: Rest) -> Json:
    """The schemas of our kinds as the API server publishes them; kubectl explains from nothing else."""
    schemas: Json = rest.ask("GET", f"/openapi/v3/apis/{API_VERSION}").body["components"]["schemas"]
    return schemas


def fields(node: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    for name, child in node.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from fields(child, f"{path}.{name}")
    if "items" in node:
        yield from fields(node["items"], f"{path}[]")


def words(text: str) -> str:
    """Text without the line breaks that kubectl puts into it."""
    return " ".join(text.split())


def explained(kubectl: Kubectl, what: str) -> str:
    return words(kubectl.run("explain", what))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.resource.kind)
def test_every_field_of_a_served_kind_is_described(served: Json, kind: ApiKind) -> None:
    schema = served[f"io.metalplane.v1alpha1.{kind.resource.kind}"]
    described = dict(fields(schema))
    assert ".spec" in described
    assert schema["description"]
    machine = kind.resource == BAREMETALMACHINE
    missing = [
        path
        for path, field in described.items()
        if not field.get("description") and not (machine and path.startswith(CROSSPLANES))
    ]
    assert missing == []


@pytest.mark.parametrize("part", ["disks", "networkInterfaces", "cloudInit"])
def test_explain_describes_a_part_of_the_machine_and_every_field_of_it(
    kubectl: Kubectl, served: Json, part: str
) -> None:
    schema = served["io.metalplane.v1alpha1.BareMetalMachine"]["properties"]["spec"]["properties"][part]
    text = explained(kubectl, f"bmm.spec.{part}")
    assert words(schema["description"]) in text
    inner = schema.get("items", schema)["properties"]
    assert len(inner) >= 2
    for name, field in inner.items():
        assert f" {name} <" in text
        assert words(field["description"]) in text


def test_explain_tells_what_runstrategy_may_be(kubectl: Kubectl) -> None:
    text = explained(kubectl, "bmm.spec.runStrategy")
    assert "ENUM: Always Manual Halted" in text
    assert "Halted: powered off, disks and NICs kept" in text


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.resource.kind)
def test_columns(rest: Rest, kind: ApiKind) -> None:
    assert rest.columns(kind.resource) == ["Name", *COLUMNS[kind.resource.kind]]


def test_short_names_and_categories(rest: Rest) -> None:
    listed = rest.ask("GET", f"/apis/{API_VERSION}").body["resources"]
    kinds = {resource["kind"]: resource for resource in listed if "/" not in resource["name"]}
    assert {kind: sorted(resource["categories"]) for kind, resource in kinds.items()} == CATEGORIES
    assert {kind: names for kind, entry in kinds.items() if (names := entry.get("shortNames"))} == SHORT_NAMES


def test_both_words_for_a_claim_list_machines(kubectl: Kubectl, namespace: str) -> None:
    kubectl.apply([manifest(BAREMETALMACHINE, "bm-01", namespace, MACHINE_SPEC)])
    by_name = kubectl.run("get", "bmm", f"--namespace={namespace}")
    for category in ("claim", "composite"):
        header, row = kubectl.run("get", category, f"--namespace={namespace}").splitlines()
        assert header.split() == ["NAME", *COLUMNS["BareMetalMachine"]]
        assert row.split()[0] == "bm-01"
        assert row.split()[:-1] == by_name.splitlines()[1].split()[:-1]  # all but the age


def test_wait_returns_when_the_machine_is_ready(kubectl: Kubectl, rest: Rest, namespace: str) -> None:
    kubectl.apply([manifest(BAREMETALMACHINE, "bm-01", namespace, MACHINE_SPEC)])
    wait = ("wait", "--for=condition=Ready", "bmm/bm-01", f"--namespace={namespace}")
    with pytest.raises(CommandFailed, match="timed out waiting"):
        kubectl.run(*wait, "--timeout=1s")
    patch_status(kubectl, namespace, ready="True")
    assert kubectl.run(*wait, "--timeout=5s").strip().endswith("bm-01 condition met")


def test_the_row_tells_status_server_and_address(kubectl: Kubectl, namespace: str) -> None:
    kubectl.apply([manifest(BAREMETALMACHINE, "bm-01", namespace, MACHINE_SPEC)])
    patch_status(kubectl, namespace, ready="True")
    row = kubectl.run("get", "bmm/bm-01", "--no-headers", f"--namespace={namespace}").split()
    assert row[:-1] == ["bm-01", "Running", "server7", "10.20.0.11/24", "True"]


def test_status_cannot_be_written_through_the_spec(kubectl: Kubectl, rest: Rest, namespace: str) -> None:
    kubectl.apply([manifest(BAREMETALMACHINE, "bm-01", namespace, MACHINE_SPEC)])
    machine = rest.get(BAREMETALMACHINE, "bm-01", namespace)
    rest.patch(BAREMETALMACHINE, machine, {"status": {"printableStatus": "Running"}})
    assert "status" not in rest.get(BAREMETALMACHINE, "bm-01", namespace)


def patch_status(kubectl: Kubectl, namespace: str, *, ready: str) -> None:
    """Play the engine: say of bm-01 that it runs."""
    condition = {"type": "Ready", "status": ready, "reason": "Available", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    status = {
        "printableStatus": "Running",
        "serverName": "server7",
        "addresses": ["10.20.0.11/24", "10.20.0.12/24"],
        "conditions": [condition],
    }
    patch = json.dumps({"status": status})
    where = ("bmm/bm-01", f"--namespace={namespace}", "--subresource=status", "--type=merge", f"--patch={patch}")
    kubectl.run("patch", *where)
