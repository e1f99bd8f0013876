"""A function is asked again until it asks for nothing new, five times at most."""

from collections.abc import Callable

import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from google.protobuf import json_format

from provider.api.resources import INSTANCETYPE, MACHINEIMAGE
from provider.composition.errors import FunctionFailed, InvalidComposition
from provider.composition.functions import settled
from provider.composition.pipeline import Step
from provider.composition.requirements import WATCHED_KINDS, Requirements
from provider.runtime.cache import Cache
from provider.runtime.controller import Key
from tests.unit.composition.machines import Json

STEP = Step("compose", "function-under-test")
ME = Key("tenant-a", "bm-01")


class Function:
    """Answers as ``asks`` says for the number of the call, and keeps the requests."""

    def __init__(self, asks: Callable[[int], str | None]) -> None:
        self._asks = asks
        self.requests: list[fnv1.RunFunctionRequest] = []

    async def __call__(self, request: fnv1.RunFunctionRequest) -> fnv1.RunFunctionResponse:
        kept = fnv1.RunFunctionRequest()
        kept.CopyFrom(request)
        self.requests.append(kept)
        response = fnv1.RunFunctionResponse()
        response.context["call"] = len(self.requests)
        name = self._asks(len(self.requests))
        if name is not None:
            response.requirements.resources["wanted"].CopyFrom(selector(name))
        return response


def selector(name: str, kind: str = "MachineImage") -> fnv1.ResourceSelector:
    return fnv1.ResourceSelector(api_version="metalplane.io/v1alpha1", kind=kind, match_name=name)


async def nothing(_: fnv1.ResourceSelector) -> list[Json]:
    return []


async def an_image(asked: fnv1.ResourceSelector) -> list[Json]:
    return [{"kind": asked.kind, "metadata": {"name": asked.match_name, "managedFields": [{"manager": "somebody"}]}}]


async def test_a_function_that_asks_for_nothing_is_called_once() -> None:
    function = Function(lambda _: None)
    await settled(STEP, fnv1.RunFunctionRequest(), function, nothing)
    assert len(function.requests) == 1


async def test_a_function_is_called_again_with_what_it_asked_for_and_without_bookkeeping() -> None:
    function = Function(lambda _: "tiny")
    await settled(STEP, fnv1.RunFunctionRequest(), function, an_image)
    first, second = function.requests
    assert not first.required_resources
    (item,) = second.required_resources["wanted"].items
    assert json_format.MessageToDict(item.resource)["metadata"] == {"name": "tiny"}


async def test_what_was_looked_for_and_is_not_there_is_an_empty_entry() -> None:
    function = Function(lambda _: "tiny")
    await settled(STEP, fnv1.RunFunctionRequest(), function, nothing)
    assert "wanted" in function.requests[1].required_resources
    assert not function.requests[1].required_resources["wanted"].items


async def test_the_context_of_one_call_is_handed_to_the_next() -> None:
    function = Function(lambda _: "tiny")
    await settled(STEP, fnv1.RunFunctionRequest(), function, nothing)
    assert function.requests[1].context["call"] == 1


async def test_five_changes_of_mind_are_borne() -> None:
    function = Function(lambda call: str(min(call, 5)))
    await settled(STEP, fnv1.RunFunctionRequest(), function, an_image)
    assert len(function.requests) == 6


async def test_a_function_that_never_settles_is_an_error_that_names_it() -> None:
    function = Function(str)
    with pytest.raises(InvalidComposition, match=r"function-under-test.*after 5 rounds"):
        await settled(STEP, fnv1.RunFunctionRequest(), function, an_image)
    assert len(function.requests) == 6


async def test_a_fatal_result_ends_the_run_with_the_functions_words() -> None:
    async def call(_: fnv1.RunFunctionRequest) -> fnv1.RunFunctionResponse:
        response = fnv1.RunFunctionResponse()
        response.results.add(severity=fnv1.SEVERITY_FATAL, message="this cannot be read")
        return response

    with pytest.raises(FunctionFailed, match="this cannot be read"):
        await settled(STEP, fnv1.RunFunctionRequest(), call, nothing)


@pytest.fixture
def requirements() -> Requirements:
    cache = Cache()
    for resource in WATCHED_KINDS:
        cache.track(resource)
    for name, label in (("tiny", "a"), ("large", "b")):
        metadata = {"name": name, "uid": name, "resourceVersion": "1", "labels": {"kind": label}}
        cache.observe(MACHINEIMAGE, {"kind": "MachineImage", "metadata": metadata})
    return Requirements(cache)


async def test_objects_are_found_by_name_and_by_labels(requirements: Requirements) -> None:
    labels = fnv1.ResourceSelector(api_version="metalplane.io/v1alpha1", kind="MachineImage")
    labels.match_labels.labels["kind"] = "b"
    assert [each["metadata"]["name"] for each in await requirements.fetch(ME, selector("tiny"))] == ["tiny"]
    assert [each["metadata"]["name"] for each in await requirements.fetch(ME, labels)] == ["large"]
    assert await requirements.fetch(ME, selector("tomorrow")) == []


async def test_a_machine_hears_of_kinds_that_its_last_run_asked_for_also_if_nothing_was_found(
    requirements: Requirements,
) -> None:
    await requirements.fetch(ME, selector("tomorrow"))
    assert list(requirements.interested(MACHINEIMAGE)) == [ME]
    assert list(requirements.interested(INSTANCETYPE)) == []
    requirements.begin(ME)
    assert list(requirements.interested(MACHINEIMAGE)) == []


async def test_secrets_cannot_be_fetched_by_a_function(requirements: Requirements) -> None:
    with pytest.raises(InvalidComposition, match="Secret of v1"):
        await requirements.fetch(ME, fnv1.ResourceSelector(api_version="v1", kind="Secret", match_name="x"))
