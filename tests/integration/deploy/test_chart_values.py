"""What an operator writes: described, and refused with a sentence where it cannot be meant."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.integration.deploy.helm import CHART, IMAGES, Helm, example, named

Json = dict[str, Any]

SCHEMA: Json = json.loads((CHART / "values.schema.json").read_text())
AUTHORITY = "-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n"
LVOL = {"enabled": True, "traddr": "192.0.2.10"}


def leaves(schema: Json, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Json]]:
    if "properties" not in schema:
        yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from leaves(child, (*path, name))


def test_every_value_is_described_alike_in_schema_and_readme_and_has_a_default() -> None:
    readme = (CHART / "README.md").read_text()
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    for path, schema in leaves(SCHEMA):
        value: Any = defaults
        for name in path:
            value = value[name]
        assert f"| `{'.'.join(path)}` | `{json.dumps(value)}` | {schema['description']} |" in readme


def test_no_object_of_the_schema_takes_what_it_does_not_know() -> None:
    def check(schema: Json) -> None:
        if "properties" in schema:
            assert schema["additionalProperties"] is False
        for child in schema.get("properties", {}).values():
            check(child)

    check(SCHEMA)


@pytest.mark.parametrize("values", ["full", "crossplane"])
def test_the_examples_pass_lint(helm: Helm, values: str) -> None:
    path = CHART / "ci" / f"{values}-values.yaml"
    assert "0 chart(s) failed" in helm.done("lint", "--strict", str(CHART), f"--values={path}")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"agnet": {"bridge": "br1"}}, "additional properties 'agnet' not allowed"),
        ({"engine": "both"}, "at '/engine': value must be one of 'embedded', 'off'"),
        ({"dpus": [{"name": "DPU.0"}]}, "at '/dpus/0/name': 'DPU.0' does not match pattern"),
        ({"dpus": [{"name": "d" * 49}]}, "at '/dpus/0/name': maxLength: got 49, want 48"),
        ({"dpus": [{"name": "dpu0"}, {"name": "dpu0"}]}, "at '/dpus': items at 0 and 1 are equal"),
        ({"provider": {"replicas": 0}}, "at '/provider/replicas': minimum: got 0, want 1"),
        ({"agent": {"spdkSocket": "spdk.sock"}}, "at '/agent/spdkSocket': 'spdk.sock' does not match pattern"),
        ({"image": {"agent": {"repository": ""}}}, "image.agent.repository is empty: no image of metalplane is"),
        ({"lvol": {"enabled": True}}, "lvol.traddr is empty: name the address at which DPUs reach"),
        ({"tls": {"function": {"serverSecret": "mine"}}}, "tls.function names one of serverSecret and clientSecret"),
        ({"tls": {"api": {"serverSecret": "mine"}}}, "tls.api names one of serverSecret and caBundle: name both"),
        ({"tls": {"api": {"caBundle": "mine"}}}, "at '/tls/api/caBundle': 'mine' does not match pattern"),
        ({"api": {"networks": {"bmc": ["bmc.example"]}}}, "at '/api/networks/bmc/0': 'bmc.example' does not match"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be_meant_is_refused_with_a_sentence(helm: Helm, values: Json, said: str) -> None:
    images = {**IMAGES["image"], **values.get("image", {})}
    assert said in helm.refusal({**values, "image": images})


def test_secrets_of_the_operators_are_used_and_none_is_made(helm: Helm) -> None:
    given = {seam: {f"{side}Secret": f"{seam}-{side}" for side in ("server", "client")} for seam in ("function", "csi")}
    bundle = AUTHORITY + AUTHORITY
    api = {"serverSecret": "api-server", "caBundle": bundle}
    objects = helm.template({**IMAGES, "tls": {**given, "api": api}, "lvol": LVOL})
    assert [obj for obj in objects if obj["kind"] == "Secret"] == []
    mounted = {
        volume["secret"]["secretName"]
        for obj in objects
        if obj["kind"] == "Deployment"
        for volume in obj["spec"]["template"]["spec"]["volumes"]
        if "secret" in volume
    }
    assert mounted == {"function-server", "function-client", "csi-server", "csi-client", "api-server"}
    service = named(objects, "APIService", "v1alpha1.subresources.metalplane.io")
    assert base64.b64decode(service["spec"]["caBundle"]).decode() == bundle


def test_crossplane_brings_the_machines_kind_and_runs_the_function(helm: Helm) -> None:
    objects = helm.template(example("crossplane"))
    definitions = {obj["spec"]["names"]["kind"] for obj in objects if obj["kind"] == "CustomResourceDefinition"}
    assert "BareMetalMachine" not in definitions
    assert {"ServerClaim", "Volume", "Server"} <= definitions
    deployments = {obj["metadata"]["name"] for obj in objects if obj["kind"] == "Deployment"}
    assert deployments == {"metalplane-provider", "metalplane-api"}
    secrets = [obj["metadata"]["name"] for obj in objects if obj["kind"] == "Secret"]
    assert secrets == ["metalplane-api-server-tls"]
    embedded = helm.template({**example("crossplane"), "engine": "embedded"})
    assert definitions | {"BareMetalMachine"} == {
        obj["spec"]["names"]["kind"] for obj in embedded if obj["kind"] == "CustomResourceDefinition"
    }


def test_a_lone_replica_can_be_drained(helm: Helm) -> None:
    alone = {part: {"replicas": 1} for part in ("provider", "function", "api")}
    assert [obj for obj in helm.template({**IMAGES, **alone}) if obj["kind"] == "PodDisruptionBudget"] == []
    objects = helm.template(IMAGES)
    for part in alone:
        assert named(objects, "PodDisruptionBudget", f"metalplane-{part}")["spec"]["maxUnavailable"] == 1
