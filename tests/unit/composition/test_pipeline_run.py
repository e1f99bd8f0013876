"""One run of the pipeline: steps build on each other; readiness is what functions said; conditions hold still."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from google.protobuf import json_format

from provider.composition import composing, pipeline, status
from provider.composition.children import Desired
from provider.composition.composing import Composed, News
from provider.composition.errors import InvalidComposition
from provider.composition.functions import Fetch
from provider.composition.pipeline import Pipeline, Step
from tests.unit.composition.machines import Json, composed, machine, manifest

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 1, 2, tzinfo=UTC)
Answer = Callable[[fnv1.RunFunctionRequest, fnv1.RunFunctionResponse], None]


async def compose(*answers: Answer, seen: dict[str, Json] | None = None) -> Composed:
    """Run a pipeline whose steps answer so. Each starts, as functions do, from what was desired before it."""
    steps = tuple(Step(f"step-{number}", f"f-{number}", {"number": number}) for number in range(len(answers)))

    async def run(step: Step, request: fnv1.RunFunctionRequest, fetch: Fetch) -> fnv1.RunFunctionResponse:
        response = fnv1.RunFunctionResponse(desired=request.desired, context=request.context)
        answers[steps.index(step)](request, response)
        return response

    async def fetch(_: fnv1.ResourceSelector) -> list[Json]:
        return []

    return await composing.compose(Pipeline("c", steps), machine(), seen or {}, run, fetch, NOW)


def want(name: str, ready: int = fnv1.READY_UNSPECIFIED, body: Json | None = None) -> Answer:
    def answer(_: fnv1.RunFunctionRequest, response: fnv1.RunFunctionResponse) -> None:
        json_format.ParseDict(body or manifest(), response.desired.resources[name].resource)
        response.desired.resources[name].ready = ready  # type: ignore[assignment]

    return answer


async def test_a_step_sees_what_the_ones_before_it_desired_its_input_and_the_context() -> None:
    seen: list[tuple[set[str], object, object]] = []

    def first(_: fnv1.RunFunctionRequest, response: fnv1.RunFunctionResponse) -> None:
        want("a")(_, response)
        response.context["passed"] = 7

    def second(request: fnv1.RunFunctionRequest, response: fnv1.RunFunctionResponse) -> None:
        seen.append((set(request.desired.resources), request.input["number"], request.context["passed"]))

    result = await compose(first, second)
    assert seen == [({"a"}, 1, 7)]
    assert [each.resource_name for each in result.desired] == ["a"]


async def test_a_later_step_may_drop_what_an_earlier_one_desired() -> None:
    def drop(_: fnv1.RunFunctionRequest, response: fnv1.RunFunctionResponse) -> None:
        del response.desired.resources["a"]

    assert (await compose(want("a"), want("b"), drop)).desired[0].resource_name == "b"


async def test_a_child_whose_readiness_nobody_spoke_of_is_not_ready() -> None:
    result = await compose(want("a"), want("b", fnv1.READY_TRUE), want("c", fnv1.READY_FALSE))
    assert {each.resource_name: each.ready for each in result.desired} == {"a": False, "b": True, "c": False}


async def test_whole_numbers_stay_whole_and_fractions_stay_fractions() -> None:
    result = await compose(want("a", body=manifest(slot=3, share=0.5, deep=[{"n": 2}])))
    assert result.desired[0].manifest["spec"]["forProvider"] == {"slot": 3, "share": 0.5, "deep": [{"n": 2}]}
    assert isinstance(result.desired[0].manifest["spec"]["forProvider"]["slot"], int)


async def test_functions_see_children_without_managed_fields() -> None:
    child = composed("a", managedFields=[{"manager": "x"}])
    names: list[set[str]] = []

    def look(request: fnv1.RunFunctionRequest, _: fnv1.RunFunctionResponse) -> None:
        names.append(set(json_format.MessageToDict(request.observed.resources["a"].resource)["metadata"]))

    await compose(look, seen={"a": child})
    assert "managedFields" not in names[0]
    assert "uid" in names[0]


async def test_equal_requests_have_equal_tags_and_others_do_not() -> None:
    tags: list[str] = []

    def look(request: fnv1.RunFunctionRequest, _: fnv1.RunFunctionResponse) -> None:
        tags.append(request.meta.tag)

    for seen in ({}, {}, {"a": composed("a")}):
        await compose(look, seen=seen)
    assert tags[0] == tags[1] != tags[2]


async def test_the_last_word_on_a_condition_counts_and_news_add_up() -> None:
    def speak(message: str) -> Answer:
        def answer(_: fnv1.RunFunctionRequest, response: fnv1.RunFunctionResponse) -> None:
            response.conditions.add(
                type="Progressing", status=fnv1.STATUS_CONDITION_TRUE, reason="Creating", message=message
            )
            response.results.add(severity=fnv1.SEVERITY_WARNING, message=message)
            response.results.add(severity=fnv1.SEVERITY_NORMAL, reason="Running", message="it answers")

        return answer

    result = await compose(speak("one"), speak("two"))
    assert [condition.message for condition in result.conditions] == ["two"]
    running = News("Normal", "Running", "it answers")
    warnings = [News("Warning", "ComposeResources", message) for message in ("one", "two")]
    assert result.news == (warnings[0], running, warnings[1], running)


@pytest.mark.parametrize(
    ("children", "explicit", "expected"),
    [
        ({"a": True, "b": True}, None, "True"),
        ({"a": True, "b": False}, None, "False"),
        ({}, None, "True"),
        ({}, False, "False"),
        ({"a": False}, True, "True"),
        ({"a": True}, False, "False"),
    ],
    ids=[
        "all ready",
        "one is not",
        "nothing composed",
        "nothing yet, says the function",
        "function says yes",
        "function says no",
    ],
)
def test_the_machine_is_ready_when_its_children_are_unless_the_function_speaks_for_it(
    children: dict[str, bool], explicit: bool | None, expected: str
) -> None:
    desired = [Desired(name, manifest(), ready) for name, ready in children.items()]
    condition = status.readiness(machine(), desired, explicit, NOW)
    assert (condition.status, condition.observed_generation) == (expected, 3)


@pytest.mark.parametrize(
    ("names", "told"),
    [("a", "a"), ("ca", "a, c"), ("cba", "a, b, and c"), ("dcba", "a, b, c, and 1 more")],
)
def test_what_is_not_ready_is_named_as_crossplane_names_it(names: str, told: str) -> None:
    desired = [Desired("ready", manifest(), ready=True), *(Desired(name, manifest(), ready=False) for name in names)]
    assert status.readiness(machine(), desired, None, NOW).message == f"Unready resources: {told}"


def test_a_function_that_counts_the_machine_as_not_ready_is_not_second_guessed() -> None:
    desired = [Desired("a", manifest(), ready=False)]
    assert status.readiness(machine(), desired, False, NOW).message == ""


def test_a_transition_time_moves_only_when_the_status_does() -> None:
    known = machine()
    known["status"] = status.compose(known, {}, [status.succeeded(known, NOW)])
    again = status.compose(known, {}, [status.succeeded(known, LATER)])
    failed = status.compose(known, {}, [status.failed(known, "no", LATER)])
    times = [body["conditions"][0]["lastTransitionTime"] for body in (again, failed)]
    assert times == ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]


def test_a_conditions_author_keeps_his_when_another_is_written() -> None:
    known = machine()
    known["status"] = status.compose(known, {}, [status.succeeded(known, NOW)])
    both = status.compose(
        known, {"x": 1, "conditions": "not the function's to write"}, [status.deleting(known, ["b", "a"], NOW)]
    )
    assert {each["type"]: each["status"] for each in both["conditions"]} == {"Synced": "True", "Ready": "False"}
    assert both["x"] == 1
    assert both["conditions"][1]["message"] == "Waiting for a, b to go"


def test_the_packaged_composition_calls_our_function_alone() -> None:
    assert [step.function for step in pipeline.packaged().steps] == ["function-metalplane"]


@pytest.mark.parametrize("spec", [{"mode": "Resources"}, {"mode": "Pipeline"}, {"mode": "Pipeline", "pipeline": []}])
def test_a_composition_without_a_pipeline_is_refused(spec: Json) -> None:
    with pytest.raises(InvalidComposition, match="set mode: Pipeline"):
        pipeline.parse({"metadata": {"name": "c"}, "spec": spec})
