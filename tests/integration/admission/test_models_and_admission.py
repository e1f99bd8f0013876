"""The API server admits what the models accept, and nothing else, and both read the same out of it.

Good objects of each kind are spoilt in up to three places, and both are asked. The cases are the same in each run; with
METALPLANE_ADMISSION_EXAMPLES=N there are N for each kind, other ones each time (``--hypothesis-seed`` repeats them).
"""

import os
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provider.api.registry import KINDS, ApiKind
from tests.integration.admission.rules import CHANGES, RULES
from tests.integration.admission.spoiling import spoilt
from tests.integration.admission.verdicts import faults, meaning, rules_of, schema_of
from tests.integration.manifests import MACHINE_SPEC, manifest
from tests.integration.rest import Rest

Json = dict[str, Any]

FEW = 60
MANY = os.environ.get("METALPLANE_ADMISSION_EXAMPLES")
PLACE = "default"
DIGEST = "ab" * 32
MAC = "02:00:00:00:00:0a"
SIBLING = {"serverClaimSelector": {"matchControllerRef": True}}
CLAIMED = {"machineRef": {"namespace": "t", "name": "bm-01", "uid": "u"}, "claimUID": "c"}
CSI = {"driver": "d", "volumeHandle": "v", "publishContext": {"protocol": "bdev"}, "stageSecretRef": {"name": "s"}}
TRACE = {"traceId": "ab" * 16, "parentSpanId": "ab" * 8}
MANAGED = {"managementPolicies": ["Observe", "Create"], "providerConfigRef": {"name": "default"}}

GOOD: dict[str, list[Json]] = {
    "BareMetalMachine": [
        MACHINE_SPEC,
        {"serverSelector": {"matchLabels": {"rack": "r1"}}, "disks": MACHINE_SPEC["disks"], "runStrategy": "Halted"},
    ],
    "ServerClaim": [{**MANAGED, "forProvider": {"instanceType": "small", "cpus": 4, "memory": "8Gi"}}],
    "Volume": [
        {**MANAGED, "forProvider": {"size": "2Gi", "image": "tiny", "imageDigest": DIGEST, "storageClassName": "lvol"}},
        {"forProvider": {"size": "1.5Gi"}},
    ],
    "VirtualDisk": [
        {"forProvider": {**SIBLING, "volumeRef": {"name": "root"}, "slot": 1, "bootIndex": 1, "readOnly": False}},
        {"forProvider": {**SIBLING, "seed": {"hostname": "bm", "sshAuthorizedKeys": ["ssh-rsa AAAA"]}, "slot": 2}},
    ],
    "VirtualNIC": [
        {"forProvider": {**SIBLING, "network": "blue", "index": 0, "address": "10.20.0.11/24"}},
        {
            "forProvider": {
                "serverClaimRef": {"name": "s"},
                "network": "blue",
                "index": 1,
                "macAddress": "02:00:00:00:00:01",
            }
        },
    ],
    "PowerState": [{**MANAGED, "forProvider": {**SIBLING, "state": "On", "gracefulShutdownTimeoutSeconds": 30}}],
    "Server": [
        {
            "bmc": {"address": "bmc.example.org", "secretRef": {"name": "bmc"}, "port": 6230},
            "dpu": {"name": "dpu1"},
            "slots": 10,
            "nicSlots": [{"slot": 8, "representor": "vm0"}, {"slot": 9, "representor": "vm1"}],
            "capacity": {"cpus": 8, "memory": "64Gi"},
            "allowedNamespaces": ["tenant-a"],
            "claimRef": {"namespace": "t", "name": "c", "uid": "u"},
        }
    ],
    "InstanceType": [{"cpus": 1, "memory": "1Gi"}],
    "Network": [{"vlan": 100, "subnet": "10.20.0.0/24", "gateway": "10.20.0.1", "nameServers": ["9.9.9.9", "fd00::1"]}],
    "MachineImage": [{"sha256": DIGEST, "sizeBytes": 1024, "allowedNamespaces": ["*"]}],
    "ClusterProviderConfig": [{"storageClassName": "lvol"}],
    "EmulatedDisk": [
        {**CLAIMED, "slot": 1, "bootIndex": 1, "source": {"csi": CSI}, "trace": TRACE},
        {**CLAIMED, "slot": 2, "readOnly": True, "source": {"seed": {"secretRef": {"name": "seed"}}}},
    ],
    "EmulatedNIC": [
        {
            **CLAIMED,
            "nicSlot": 8,
            "representor": "vm0",
            "mac": MAC,
            "network": {"name": "blue", "vlan": 100},
            "addresses": ["10.20.0.11/24"],
            "trace": TRACE,
        }
    ],
    "OrphanReport": [
        {},
        {"remove": [{"where": "spdk", "kind": "Bdev", "name": "mp-1", "since": "2026-01-01T00:00:00Z"}]},
    ],
}

several = settings(
    max_examples=int(MANY or FEW),
    derandomize=MANY is None,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.resource.kind)


def wanted(kind: ApiKind, spec: Json) -> Json:
    return manifest(kind.resource, "of-models", PLACE if kind.resource.namespaced else None, spec)


@kinds
def test_every_rule_has_a_meaning(kind: ApiKind) -> None:
    for rule in rules_of(schema_of(kind)):
        meaning(CHANGES if "oldSelf" in rule["rule"] else RULES, rule["message"])


@kinds
def test_a_new_object_is_admitted_if_the_models_accept_it(rest: Rest, kind: ApiKind) -> None:
    schema, said = schema_of(kind), Counter[bool]()
    path = kind.resource.path(PLACE if kind.resource.namespaced else None) + "?dryRun=All"

    @several
    @given(st.sampled_from(GOOD[kind.resource.kind]).flatmap(lambda spec: spoilt(schema, spec)))
    def agree(spec: Json) -> None:
        obj = wanted(kind, spec)
        answer, wrong = rest.ask("POST", path, obj), faults(kind, schema, obj)
        assert bool(answer.refusal) == bool(wrong), f"admission: {answer.refusal or 'admitted'}; models: {wrong}"
        said[not wrong] += 1
        if not wrong:
            assert_read_alike(kind, obj, answer.body)

    agree()
    assert said[True] >= several.max_examples // 10 <= said[False], f"{said}: one side was hardly tried"


@kinds
def test_a_change_is_admitted_if_the_models_accept_it(rest: Rest, kind: ApiKind) -> None:
    said = Counter[bool]()
    for good in GOOD[kind.resource.kind]:
        stored = rest.create(kind.resource, wanted(kind, good))
        try:
            try_changes(rest, kind, stored, said)
        finally:
            rest.delete(kind.resource, stored)
    assert said[True] >= several.max_examples // 10 <= said[False], f"{said}: one side was hardly tried"


def try_changes(rest: Rest, kind: ApiKind, stored: Json, said: Counter[bool]) -> None:
    schema, path = schema_of(kind), kind.resource.path(stored["metadata"].get("namespace"), "of-models")

    @several
    @given(spoilt(schema, stored["spec"]))
    def agree(spec: Json) -> None:
        obj = stored | {"spec": spec}
        answer, wrong = rest.ask("PUT", path + "?dryRun=All", obj), faults(kind, schema, obj, stored)
        assert bool(answer.refusal) == bool(wrong), f"admission: {answer.refusal or 'admitted'}; models: {wrong}"
        said[not wrong] += 1

    agree()


def assert_read_alike(kind: ApiKind, sent: Json, stored: Json) -> None:
    """The model has the same defaults as the API server: what was sent reads as what was stored."""
    cleaned = sent | {"spec": _without_nulls(sent["spec"])}
    assert kind.model.model_validate(cleaned).spec == kind.model.model_validate(stored).spec  # type: ignore[attr-defined]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value
