"""The function through its protocol: what travels, what is asked for, and the one thing that is fatal."""

from collections.abc import Iterable, Mapping

import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from google.protobuf import json_format

from provider.function.server import FunctionRunner
from tests.unit.function.scenes import DATA, ROOT, Json, grown, image, instance_type, machine, unready


async def run(
    raw: Json, children: Mapping[str, Json] | None = None, found: Iterable[Json] = (), desired: fnv1.State | None = None
) -> fnv1.RunFunctionResponse:
    request = fnv1.RunFunctionRequest(desired=desired)
    request.meta.tag = "the-tag"
    json_format.ParseDict(raw, request.observed.composite.resource)
    for name, child in (children or {}).items():
        json_format.ParseDict(child, request.observed.resources[name].resource)
    for number, obj in enumerate(found):
        json_format.ParseDict(obj, request.required_resources[str(number)].items.add().resource)
    return await FunctionRunner().RunFunction(request, None)


def plain(struct: object) -> Json:
    return json_format.MessageToDict(struct)  # type: ignore[arg-type]


def fatal(response: fnv1.RunFunctionResponse) -> list[str]:
    return [result.message for result in response.results if result.severity == fnv1.SEVERITY_FATAL]


async def test_the_first_run_asks_for_image_and_instance_type_by_name() -> None:
    response = await run(machine())
    asked = {(each.kind, each.match_name) for each in response.requirements.resources.values()}
    assert asked == {("MachineImage", "tiny"), ("InstanceType", "small")}
    assert not response.desired.resources
    assert not fatal(response)


async def test_asking_goes_on_after_the_answer_so_that_an_engine_sees_it_settle() -> None:
    first = await run(machine())
    second = await run(machine(), found=[image(), instance_type()])
    assert second.requirements == first.requirements
    assert len(second.desired.resources) == 6


async def test_once_everything_is_pinned_nothing_is_asked_for() -> None:
    response = await run(machine(), grown(machine()))
    assert not response.requirements.resources


async def test_numbers_that_travel_as_doubles_come_back_whole() -> None:
    response = await run(machine(), grown(machine()))
    assert not fatal(response)
    slot = plain(response.desired.resources["disk-root"].resource)["spec"]["forProvider"]["slot"]
    assert slot == 1


async def test_readiness_is_said_of_every_child() -> None:
    response = await run(machine(), grown(machine()))
    assert {each.ready for each in response.desired.resources.values()} == {fnv1.READY_TRUE}
    fresh = await run(machine(), found=[image(), instance_type()])
    assert {each.ready for each in fresh.desired.resources.values()} == {fnv1.READY_FALSE}


async def test_a_machine_that_waits_for_something_is_looked_at_again_sooner_than_one_that_has_all() -> None:
    complete, lacking = await run(machine(), grown(machine())), await run(machine())
    making = await run(machine(), found=[image(), instance_type()])
    assert lacking.meta.ttl.seconds == making.meta.ttl.seconds < complete.meta.ttl.seconds


async def test_what_an_earlier_function_tells_later_ones_is_passed_on() -> None:
    request = fnv1.RunFunctionRequest()
    json_format.ParseDict(machine(), request.observed.composite.resource)
    json_format.ParseDict({"for": "others"}, request.context)
    assert plain((await FunctionRunner().RunFunction(request, None)).context) == {"for": "others"}
    assert not (await run(machine())).HasField("context")


async def test_conditions_of_the_engine_are_left_to_it() -> None:
    response = await run(machine(), grown(machine()))
    assert [condition.type for condition in response.conditions] == ["Progressing"]
    assert "conditions" not in plain(response.desired.composite.resource)["status"]
    assert response.desired.composite.ready == fnv1.READY_UNSPECIFIED


async def test_what_earlier_functions_desired_is_kept() -> None:
    earlier = fnv1.State()
    json_format.ParseDict({"apiVersion": "v1", "kind": "ConfigMap"}, earlier.resources["theirs"].resource)
    response = await run(machine(), found=[image(), instance_type()], desired=earlier)
    assert plain(response.desired.resources["theirs"].resource)["kind"] == "ConfigMap"


async def test_a_child_of_a_kind_that_is_not_ours_is_passed_over() -> None:
    stranger = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
    assert not fatal(await run(machine(), {"x": stranger}))


@pytest.mark.parametrize("found", [(), (image(),), (instance_type(),)], ids=["nothing", "no type", "no image"])
async def test_a_missing_image_or_instance_type_is_not_fatal(found: tuple[Json, ...]) -> None:
    response = await run(machine(), found=found)
    assert not fatal(response)
    assert plain(response.desired.composite.resource)["status"]["printableStatus"] == "Pending"


@pytest.mark.parametrize("found", [(), (image(),), (instance_type(),)], ids=["nothing", "no type", "no image"])
async def test_a_machine_without_children_is_not_ready_whatever_the_engine_makes_of_none(
    found: tuple[Json, ...],
) -> None:
    response = await run(machine(), found=found)
    assert not response.desired.resources
    assert response.desired.composite.ready == fnv1.READY_FALSE


async def test_a_machine_whose_new_disk_has_to_wait_for_its_image_is_not_ready() -> None:
    grown_up = grown(machine())
    grown_up["claim"]["spec"]["forProvider"]["disks"] = 3  # so that it is not yet to be changed
    response = await run(machine(disks=(ROOT, DATA | {"image": "tomorrow"})), grown_up)
    assert {each.ready for each in response.desired.resources.values()} == {fnv1.READY_TRUE}
    assert response.desired.composite.ready == fnv1.READY_FALSE


async def test_only_a_request_that_cannot_be_read_is_fatal_and_it_keeps_what_was_desired() -> None:
    earlier = fnv1.State()
    json_format.ParseDict({"apiVersion": "v1", "kind": "ConfigMap"}, earlier.resources["theirs"].resource)
    broken = machine()
    broken["spec"]["disks"] = "none"
    response = await run(broken, desired=earlier)
    (message,) = fatal(response)
    assert "disks" in message
    assert response.meta.tag == "the-tag"
    assert set(response.desired.resources) == {"theirs"}


async def test_a_child_that_cannot_be_read_is_fatal_rather_than_made_anew() -> None:
    children = grown(machine())
    children["volume-root"]["spec"]["forProvider"]["size"] = {"not": "a quantity"}
    response = await run(machine(), children)
    assert fatal(response)
    assert not response.desired.resources


def news(response: fnv1.RunFunctionResponse) -> list[tuple[int, str, str]]:
    return [(result.severity, result.reason, result.message) for result in response.results]


async def test_a_change_of_the_machines_word_is_told_once() -> None:
    running = machine()
    first = await run(running, grown(running))
    assert news(first) == [(fnv1.SEVERITY_NORMAL, "Running", "the machine answers at 10.20.0.11/24")]
    running["status"] = plain(first.desired.composite.resource)["status"]
    assert news(await run(running, grown(running))) == []


async def test_bad_news_are_warnings_and_say_why() -> None:
    held = machine()
    children = grown(held)
    unready(children["claim"], "NoFittingServer", "none of 1 server fits: 1 held by other machines")
    ((severity, reason, message),) = news(await run(held, children))
    assert (severity, reason) == (fnv1.SEVERITY_WARNING, "Unschedulable")
    assert message.endswith("none of 1 server fits: 1 held by other machines")
