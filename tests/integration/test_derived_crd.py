"""The machine's CRD is what Crossplane would make of our XRD, and the API server serves it as it stands.

What Crossplane adds is written down here a second time, from its rules (crossplane-runtime 2.3, ``pkg/xcrd``): the
derivation is compared with something that it did not write itself.
"""

from typing import Any

import pytest
import yaml

from provider.api.generation import crds
from provider.api.resources import BAREMETALMACHINE, CUSTOMRESOURCEDEFINITION
from sandbox.apiserver import ApiServer
from sandbox.paths import SOURCE
from tests.integration.rest import Rest

Json = dict[str, Any]

NAME = "baremetalmachines.metalplane.io"
STRING: Json = {"type": "string"}
BY_NAME: Json = {"type": "object", "required": ["name"], "properties": {"name": STRING}}
BY_LABELS: Json = {
    "type": "object",
    "required": ["matchLabels"],
    "properties": {"matchLabels": {"type": "object", "additionalProperties": STRING}},
}
CROSSPLANES_SPEC: Json = {
    "compositionRef": BY_NAME,
    "compositionSelector": BY_LABELS,
    "compositionRevisionRef": BY_NAME,
    "compositionRevisionSelector": BY_LABELS,
    "compositionUpdatePolicy": {"type": "string", "enum": ["Automatic", "Manual"], "default": "Automatic"},
    "resourceRefs": {
        "type": "array",
        "x-kubernetes-list-type": "atomic",
        "items": {
            "type": "object",
            "required": ["apiVersion", "kind"],
            "properties": {"apiVersion": STRING, "kind": STRING, "name": STRING},
        },
    },
}
CROSSPLANES_CONDITION: Json = {
    "type": "object",
    "required": ["lastTransitionTime", "reason", "status", "type"],
    "properties": {
        "lastTransitionTime": {"type": "string", "format": "date-time"},
        "message": STRING,
        "observedGeneration": {"type": "integer", "format": "int64"},
        "reason": STRING,
        "status": STRING,
        "type": STRING,
    },
}
CROSSPLANES_COLUMNS = {
    "SYNCED": ".status.conditions[?(@.type=='Synced')].status",
    "READY": ".status.conditions[?(@.type=='Ready')].status",
    "COMPOSITION": ".spec.crossplane.compositionRef.name",
    "COMPOSITIONREVISION": ".spec.crossplane.compositionRevisionRef.name",
    "AGE": ".metadata.creationTimestamp",
}


@pytest.fixture(scope="module")
def xrd() -> Json:
    loaded: Json = yaml.safe_load((SOURCE / "compositions/definition.yaml").read_text())
    return loaded


@pytest.fixture(scope="module")
def served(rest: Rest) -> Json:
    return rest.get(CUSTOMRESOURCEDEFINITION, NAME)


@pytest.fixture
def version(served: Json) -> Json:
    (version,) = served["spec"]["versions"]
    return dict(version)


def schema_of(version: Json) -> Json:
    schema: Json = version["schema"]["openAPIV3Schema"]
    return schema


def test_the_api_server_finds_no_fault_with_any_crd(rest: Rest) -> None:
    for crd in crds():
        conditions = rest.get(CUSTOMRESOURCEDEFINITION, crd["metadata"]["name"])["status"]["conditions"]
        said = {condition["type"]: condition["status"] for condition in conditions}
        assert said == {"NamesAccepted": "True", "Established": "True"}, crd["metadata"]["name"]


def test_names_and_scope(xrd: Json, served: Json) -> None:
    names = xrd["spec"]["names"]
    assert served["spec"]["group"] == xrd["spec"]["group"]
    assert served["spec"]["scope"] == xrd["spec"]["scope"] == "Namespaced"
    assert served["spec"]["names"] == names | {"categories": [*names["categories"], "composite"]}
    assert "claimNames" not in xrd["spec"]


def test_what_the_tenant_writes_is_the_xrds(xrd: Json, version: Json) -> None:
    ours = xrd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    derived = schema_of(version)
    assert derived["description"] == ours["description"]
    for part, added in (("spec", {"crossplane"}), ("status", {"conditions"})):
        wanted, found = ours["properties"][part], derived["properties"][part]
        for key in ("description", "required", "x-kubernetes-validations"):
            assert found.get(key) == wanted.get(key), f"{part}.{key}"
        present = {name: field for name, field in found["properties"].items() if name not in added}
        assert present == {name: field for name, field in wanted["properties"].items() if name not in added}


def test_what_crossplane_lays_over_it(version: Json) -> None:
    properties = schema_of(version)["properties"]
    crossplane = properties["spec"]["properties"]["crossplane"]
    assert crossplane["properties"] == CROSSPLANES_SPEC
    assert set(crossplane) == {"type", "description", "properties"}
    conditions = properties["status"]["properties"]["conditions"]
    assert conditions["items"] == CROSSPLANES_CONDITION
    assert (conditions["x-kubernetes-list-type"], conditions["x-kubernetes-list-map-keys"]) == ("map", ["type"])


def test_the_top_of_the_schema_is_crossplanes(version: Json) -> None:
    schema = schema_of(version)
    assert schema["required"] == ["spec"]
    assert set(schema["properties"]) == {"apiVersion", "kind", "metadata", "spec", "status"}
    name = {"type": "string", "maxLength": 63}
    assert schema["properties"]["metadata"] == {"type": "object", "properties": {"name": name}}
    for part in ("spec", "status"):
        assert "default" not in schema["properties"][part]


def test_version_and_columns(xrd: Json, version: Json) -> None:
    ours = xrd["spec"]["versions"][0]
    assert (version["name"], version["served"], version["storage"]) == (ours["name"], True, ours["referenceable"])
    assert version["subresources"] == {"status": {}}
    assert "selectableFields" not in version
    columns = version["additionalPrinterColumns"]
    assert columns[: -len(CROSSPLANES_COLUMNS)] == ours["additionalPrinterColumns"]
    theirs = {column["name"]: column["jsonPath"] for column in columns[-len(CROSSPLANES_COLUMNS) :]}
    assert theirs == CROSSPLANES_COLUMNS
    assert [column["name"] for column in columns if column.get("priority")] == ["COMPOSITIONREVISION"]


def test_applying_the_committed_crd_changes_nothing(apiserver: ApiServer, served: Json, rest: Rest) -> None:
    apiserver.kubectl.apply([yaml.safe_load((SOURCE / f"deploy/crds/{NAME}.yaml").read_text())])
    again = rest.get(CUSTOMRESOURCEDEFINITION, NAME)
    assert again["metadata"]["resourceVersion"] == served["metadata"]["resourceVersion"]
    assert again["spec"]["names"]["kind"] == BAREMETALMACHINE.kind
