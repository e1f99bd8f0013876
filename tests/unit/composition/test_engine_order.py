"""The engine's writes, in the order that leaks nothing: finalizer, garbage, references, children, status."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from google.protobuf import json_format

from provider.api.names import ANNOTATION_PAUSED, FINALIZER_COMPOSITE
from provider.api.resources import BAREMETALMACHINE, CUSTOMRESOURCEDEFINITION, POWERSTATE, VOLUME
from provider.composition.children import CHILD_KINDS
from provider.composition.controller import CompositionController
from provider.composition.errors import EngineRefused, FunctionFailed
from provider.composition.functions import Fetch, FunctionRunner
from provider.composition.ownership import refuse_foreign_kind
from provider.composition.pipeline import Step, packaged
from provider.composition.requirements import WATCHED_KINDS
from provider.runtime.controller import Json, Key, RequeueAfter
from provider.runtime.errors import Forbidden, Invalid
from tests.unit.composition.machines import composed, machine, manifest
from tests.unit.runtime.model_cluster import ModelCluster

KEY = Key("tenant-a", "bm-01")
GOING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


class Functions(FunctionRunner):
    """Answers as it is told to."""

    def __init__(self) -> None:
        super().__init__({})
        self.children: dict[str, Json] = {"volume": manifest(size="1Gi"), "power": manifest("PowerState")}
        self.failure: Exception | None = None
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    async def run(self, step: Step, request: fnv1.RunFunctionRequest, fetch: Fetch) -> fnv1.RunFunctionResponse:
        if self.failure is not None:
            raise self.failure
        if self.meanwhile is not None:
            await self.meanwhile()
        response = fnv1.RunFunctionResponse()
        for name, body in self.children.items():
            json_format.ParseDict(body, response.desired.resources[name].resource)
        json_format.ParseDict({"status": {"printableStatus": "Pending"}}, response.desired.composite.resource)
        return response


@pytest.fixture
def cluster() -> ModelCluster:
    return ModelCluster(BAREMETALMACHINE, *CHILD_KINDS, *WATCHED_KINDS)


@pytest.fixture
def functions() -> Functions:
    return Functions()


@pytest.fixture
def engine(cluster: ModelCluster, functions: Functions) -> CompositionController:
    return CompositionController(cluster.runtime(), packaged(), functions)


def written(cluster: ModelCluster) -> list[tuple[str, str]]:
    return [(verb, kind) for verb, kind, *_ in cluster.writes]


def synced(cluster: ModelCluster) -> tuple[str, str]:
    seen = cluster.now(BAREMETALMACHINE, "bm-01", "tenant-a")
    assert seen is not None
    found = next(each for each in seen["status"]["conditions"] if each["type"] == "Synced")
    return found["status"], found["message"]


async def test_writes_come_in_the_order_that_leaks_nothing(
    cluster: ModelCluster, engine: CompositionController
) -> None:
    cluster.have(BAREMETALMACHINE, machine())
    cluster.have(VOLUME, composed("dropped"))
    await engine.reconcile(KEY)
    assert written(cluster) == [
        ("patch", "BareMetalMachine"),
        ("delete", "Volume"),
        ("apply", "BareMetalMachine"),
        ("apply", "PowerState"),
        ("apply", "Volume"),
        ("apply status", "BareMetalMachine"),
    ]
    assert cluster.writes[0][3]["metadata"]["finalizers"] == [FINALIZER_COMPOSITE]
    recorded = {each["name"] for each in cluster.writes[2][3]["spec"]["crossplane"]["resourceRefs"]}
    assert recorded == {cluster.writes[3][2], cluster.writes[4][2]}


async def test_composing_again_writes_nothing(cluster: ModelCluster, engine: CompositionController) -> None:
    cluster.have(BAREMETALMACHINE, machine())
    await engine.reconcile(KEY)
    cluster.writes.clear()
    await engine.reconcile(KEY)
    assert cluster.writes == []


async def test_a_machine_that_changes_while_it_is_composed_is_composed_anew_before_it_is_spoken_of(
    cluster: ModelCluster, engine: CompositionController, functions: Functions
) -> None:
    cluster.have(BAREMETALMACHINE, machine())
    halted = {"spec": {"runStrategy": "Halted"}}
    functions.meanwhile = lambda: cluster.patch(BAREMETALMACHINE, "bm-01", "tenant-a", halted)
    await engine.reconcile(KEY)
    assert written(cluster)[-1] == ("apply", "BareMetalMachine")
    functions.meanwhile = None
    await engine.reconcile(KEY)
    assert written(cluster)[-1] == ("apply status", "BareMetalMachine")


async def test_what_another_machine_controls_is_not_collected(
    cluster: ModelCluster, engine: CompositionController
) -> None:
    cluster.have(BAREMETALMACHINE, machine())
    cluster.have(VOLUME, composed("dropped", owner="another-machine"))
    await engine.reconcile(KEY)
    assert ("delete", "Volume") not in written(cluster)


async def test_a_failing_function_leaves_children_and_status_as_they_are(
    cluster: ModelCluster, engine: CompositionController, functions: Functions
) -> None:
    cluster.have(BAREMETALMACHINE, machine())
    await engine.reconcile(KEY)
    before = cluster.every(VOLUME) + cluster.every(POWERSTATE)
    functions.failure = FunctionFailed("run function", subject="f", cause="this cannot be read")
    with pytest.raises(FunctionFailed):
        await engine.reconcile(KEY)
    assert cluster.every(VOLUME) + cluster.every(POWERSTATE) == before
    seen = cluster.now(BAREMETALMACHINE, "bm-01", "tenant-a")
    assert seen is not None
    assert seen["status"]["printableStatus"] == "Pending"
    assert synced(cluster)[0] == "False"
    assert "this cannot be read" in synced(cluster)[1]


@pytest.mark.parametrize("refusal", [Invalid, Forbidden])
async def test_a_child_that_the_api_server_refuses_does_not_keep_the_others_and_is_tried_again(
    cluster: ModelCluster,
    engine: CompositionController,
    monkeypatch: pytest.MonkeyPatch,
    refusal: type[Invalid | Forbidden],
) -> None:
    monkeypatch.setattr(cluster, "apply", _refusing_powerstates(cluster.apply, refusal))
    cluster.have(BAREMETALMACHINE, machine())
    assert isinstance(await engine.reconcile(KEY), RequeueAfter)
    assert (len(cluster.every(VOLUME)), len(cluster.every(POWERSTATE))) == (1, 0)
    status, message = synced(cluster)
    assert (status, "state: unsupported" in message) == ("False", True)


def _refusing_powerstates(apply: Callable[..., Any], refusal: type[Invalid | Forbidden]) -> Callable[..., Any]:
    async def refuse(rt: Any, *arguments: Any, **known: Any) -> Any:
        if rt is POWERSTATE:
            raise refusal("apply PowerState", subject="x", cause="state: unsupported")
        return await apply(rt, *arguments, **known)

    return refuse


async def test_a_paused_machine_is_not_composed(cluster: ModelCluster, engine: CompositionController) -> None:
    cluster.have(BAREMETALMACHINE, machine(annotations={ANNOTATION_PAUSED: "true"}))
    await engine.reconcile(KEY)
    assert written(cluster) == [("apply status", "BareMetalMachine")]
    assert synced(cluster)[0] == "False"


async def test_a_deleted_machine_makes_nothing_and_goes_after_its_children(
    cluster: ModelCluster, engine: CompositionController
) -> None:
    cluster.have(BAREMETALMACHINE, machine(finalizers=[FINALIZER_COMPOSITE], **GOING))
    cluster.have(VOLUME, composed("volume", finalizers=["f"]))
    await engine.reconcile(KEY)
    assert written(cluster) == [("delete", "Volume"), ("apply status", "BareMetalMachine")]
    (volume,) = cluster.every(VOLUME)
    await cluster.patch(VOLUME, volume["metadata"]["name"], "tenant-a", {"metadata": {"finalizers": []}})
    await engine.reconcile(KEY)
    assert cluster.every(BAREMETALMACHINE) == []


async def test_the_finalizer_is_not_lifted_on_hearsay(cluster: ModelCluster, engine: CompositionController) -> None:
    cluster.have(BAREMETALMACHINE, machine(finalizers=[FINALIZER_COMPOSITE], **GOING))
    labels = {"crossplane.io/composite": "bm-01"}
    cluster.have(VOLUME, composed("volume", finalizers=["f"], labels=labels), unseen=True)
    await engine.reconcile(KEY)
    assert len(cluster.every(BAREMETALMACHINE)) == 1
    await engine.reconcile(KEY)
    assert ("delete", "Volume") in written(cluster)


@pytest.mark.parametrize("owned", [False, True])
async def test_the_engine_refuses_a_kind_that_a_crossplane_made(cluster: ModelCluster, owned: bool) -> None:
    owner = {"kind": "CompositeResourceDefinition", "name": "theirs", "uid": "u"}
    metadata = {"name": "baremetalmachines.metalplane.io", "ownerReferences": [owner] if owned else []}
    cluster.have(CUSTOMRESOURCEDEFINITION, {"metadata": metadata})
    if not owned:
        await refuse_foreign_kind(cluster)
        return
    with pytest.raises(EngineRefused, match="--engine=off"):
        await refuse_foreign_kind(cluster)
