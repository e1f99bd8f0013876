"""Between the protocol's messages and values (``apiextensions.fn.proto.v1``)."""

from typing import Any, TypeVar

from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from google.protobuf import duration_pb2, json_format

from provider.api import API_VERSION
from provider.api.conditions import PROGRESSING
from provider.api.instancetype import InstanceType
from provider.api.machine import BareMetalMachine
from provider.api.machineimage import MachineImage
from provider.api.numbers import whole
from provider.api.schema import ApiModel
from provider.function.compose import Answer
from provider.function.ephemeral import with_ephemeral
from provider.function.observed import Observed, parse_child

Json = dict[str, Any]
M = TypeVar("M", bound=ApiModel)

_TTL_S = 60
_UNSETTLED_TTL_S = 5
"""Crossplane watches children, but neither what is asked for nor, past its limit of events, the children."""
_STATUS = {
    "True": fnv1.STATUS_CONDITION_TRUE,
    "False": fnv1.STATUS_CONDITION_FALSE,
    "Unknown": fnv1.STATUS_CONDITION_UNKNOWN,
}


def read(request: fnv1.RunFunctionRequest) -> Observed:
    """What the request tells. Raises ``ValueError`` for a machine that does not read."""
    children = {
        name: child
        for name, resource in request.observed.resources.items()
        if (child := parse_child(_plain(resource.resource))) is not None
    }
    seen = Observed(
        machine=BareMetalMachine.model_validate(_plain(request.observed.composite.resource)),
        children=children,
        images=_found(request, MachineImage),
        instance_types=_found(request, InstanceType),
    )
    return with_ephemeral(seen)


def write(request: fnv1.RunFunctionRequest, answer: Answer) -> fnv1.RunFunctionResponse:
    """The response. What earlier functions of the pipeline desired, and what they tell later ones, is kept."""
    response = fnv1.RunFunctionResponse(desired=request.desired)
    if request.HasField("context"):
        response.context.CopyFrom(request.context)
    response.meta.tag = request.meta.tag
    settled = not answer.missing and all(answer.ready.values())
    response.meta.ttl.CopyFrom(duration_pb2.Duration(seconds=_TTL_S if settled else _UNSETTLED_TTL_S))
    for name, manifest in answer.desired.items():
        resource = response.desired.resources[name]
        json_format.ParseDict(manifest, resource.resource)
        resource.ready = fnv1.READY_TRUE if answer.ready[name] else fnv1.READY_FALSE
    # Conditions travel by themselves: in the status they would stand beside those of the engine.
    composite = {
        "status": answer.status.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"conditions"})
    }
    json_format.ParseDict(composite, response.desired.composite.resource)
    if answer.missing:
        # What cannot be composed yet is no unready child: engines go by children and would call the machine ready.
        response.desired.composite.ready = fnv1.READY_FALSE
    for asked in answer.asks:
        selector = response.requirements.resources[_requirement(asked.kind, asked.name)]
        selector.api_version, selector.kind, selector.match_name = API_VERSION, asked.kind, asked.name
    told = answer.progressing
    response.conditions.add(
        type=PROGRESSING,
        status=_STATUS[told.status],
        reason=told.reason,
        message=told.message,
        target=fnv1.TARGET_COMPOSITE,
    )
    if answer.news is not None:
        severity = fnv1.SEVERITY_WARNING if answer.news.bad else fnv1.SEVERITY_NORMAL
        response.results.add(
            severity=severity, reason=answer.news.reason, message=answer.news.message, target=fnv1.TARGET_COMPOSITE
        )
    return response


def unreadable(request: fnv1.RunFunctionRequest, message: str) -> fnv1.RunFunctionResponse:
    """The answer to a request that cannot be read: fatal, so that the engine touches nothing."""
    response = fnv1.RunFunctionResponse(desired=request.desired)
    response.meta.tag = request.meta.tag
    response.results.add(severity=fnv1.SEVERITY_FATAL, message=message)
    return response


def _found(request: fnv1.RunFunctionRequest, model: type[M]) -> dict[str, M]:
    found: dict[str, M] = {}
    for resources in request.required_resources.values():
        for item in resources.items:
            obj = _plain(item.resource)
            if obj.get("kind") == model.__name__:
                found[obj["metadata"]["name"]] = model.model_validate(obj)
    return found


def _requirement(kind: str, name: str) -> str:
    return f"{kind.lower()}/{name}"


def _plain(struct: Any) -> Json:
    plain: Json = whole(json_format.MessageToDict(struct))
    return plain
