"""One run of the pipeline: from what is observed to what is desired. Asks functions; changes nothing."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from google.protobuf import json_format

from provider.api.conditions import Condition
from provider.api.numbers import whole
from provider.composition.children import Desired
from provider.composition.functions import Fetch, without_bookkeeping
from provider.composition.pipeline import Pipeline, Step
from provider.composition.status import condition

Json = dict[str, Any]
Run = Callable[[Step, fnv1.RunFunctionRequest, Fetch], Awaitable[fnv1.RunFunctionResponse]]

_ANSWERS = {
    fnv1.STATUS_CONDITION_TRUE: "True",
    fnv1.STATUS_CONDITION_FALSE: "False",
    fnv1.STATUS_CONDITION_UNKNOWN: "Unknown",
}
_CAPABILITIES = (
    fnv1.CAPABILITY_CAPABILITIES,
    fnv1.CAPABILITY_REQUIRED_RESOURCES,
    fnv1.CAPABILITY_CONDITIONS,
)


REASON = "ComposeResources"
"""Reason of Events about composition whose function named none, as Crossplane has it (composite/reconciler.go)."""

_EVENT_TYPES: dict[int, Literal["Normal", "Warning"]] = {
    fnv1.SEVERITY_WARNING: "Warning",
    fnv1.SEVERITY_NORMAL: "Normal",
}


@dataclass(frozen=True, slots=True)
class News:
    """Something that a function says has happened to the machine: an Event."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Composed:
    """What the pipeline wants: children, the machine's status, conditions; ``ready`` if it spoke of the machine."""

    desired: tuple[Desired, ...]
    status: Json
    conditions: tuple[Condition, ...]
    ready: bool | None
    news: tuple[News, ...]


def _news(result: fnv1.Result) -> News:
    return News(_EVENT_TYPES[result.severity], result.reason or REASON, result.message)


async def compose(
    pipeline: Pipeline, machine: Json, seen: Mapping[str, Json], run: Run, fetch: Fetch, now: datetime
) -> Composed:
    """Run all steps, each on what the one before desired. Raises ``CompositionError``."""
    state = fnv1.State()
    context: Any = None
    conditions: dict[str, Condition] = {}
    news: list[News] = []
    for step in pipeline.steps:
        request = _request(step, machine, seen, state, context)
        response = await run(step, request, fetch)
        state = response.desired
        context = response.context
        for entry in response.conditions:
            answer: Any = _ANSWERS.get(entry.status, "Unknown")
            conditions[entry.type] = condition(machine, entry.type, answer, entry.reason, now, entry.message)
        news += [_news(result) for result in response.results if result.severity in _EVENT_TYPES]
    return Composed(
        desired=tuple(
            Desired(name, plain(each.resource), each.ready == fnv1.READY_TRUE)
            for name, each in sorted(state.resources.items())
        ),
        status=plain(state.composite.resource).get("status", {}),
        conditions=tuple(conditions.values()),
        ready=_explicit(state.composite.ready),
        news=tuple(news),
    )


def plain(struct: Any) -> Any:
    """A Struct as plain JSON. All its numbers are doubles; whole ones are integers again here."""
    return whole(json_format.MessageToDict(struct))


def _request(
    step: Step, machine: Json, seen: Mapping[str, Json], state: fnv1.State, context: Any
) -> fnv1.RunFunctionRequest:
    request = fnv1.RunFunctionRequest(desired=state)
    request.meta.capabilities.extend(_CAPABILITIES)
    json_format.ParseDict(without_bookkeeping(machine), request.observed.composite.resource)
    for name, obj in seen.items():
        json_format.ParseDict(without_bookkeeping(obj), request.observed.resources[name].resource)
    if step.input:
        json_format.ParseDict(dict(step.input), request.input)
    if context is not None:
        request.context.CopyFrom(context)
    request.meta.tag = hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest()
    return request


def _explicit(ready: Any) -> bool | None:
    return {fnv1.READY_TRUE: True, fnv1.READY_FALSE: False}.get(ready)
