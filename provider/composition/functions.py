"""Calls functions by gRPC: ``apiextensions.fn.proto.v1.FunctionRunnerService/RunFunction``, with mutual TLS.

Messages are those of PyPI ``crossplane-function-sdk-python``, which ships Crossplane's compiled protocol.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from crossplane.function.proto.v1 import run_function_pb2_grpc as fnv1_grpc
from google.protobuf import json_format

from provider.composition.errors import FunctionFailed, FunctionUnavailable, InvalidComposition
from provider.composition.pipeline import Step
from provider.runtime.mutual_tls import client_credentials

Json = dict[str, Any]
Fetch = Callable[[fnv1.ResourceSelector], Awaitable[list[Json]]]
Call = Callable[[fnv1.RunFunctionRequest], Awaitable[fnv1.RunFunctionResponse]]

_MOST_ROUNDS = 5
"""How often a function may ask for more resources in one run (Crossplane's limit)."""

_DEADLINE_S = 20.0


@dataclass(frozen=True, slots=True)
class FunctionEndpoint:
    """Where a function listens. ``tls_dir`` holds tls.crt, tls.key and ca.crt; None speaks plain text."""

    address: str
    tls_dir: Path | None = None


class FunctionRunner:
    """Calls functions by name. Channels are made at need and kept."""

    def __init__(self, endpoints: Mapping[str, FunctionEndpoint]) -> None:
        self._endpoints = endpoints
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def run(self, step: Step, request: fnv1.RunFunctionRequest, fetch: Fetch) -> fnv1.RunFunctionResponse:
        """The function's answer, once it asks for nothing more. ``fetch`` finds what it asks for."""
        stub = fnv1_grpc.FunctionRunnerServiceStub(self._channel(step.function))  # type: ignore[no-untyped-call]
        return await settled(step, request, lambda request: self._call(stub, step, request), fetch)

    async def close(self) -> None:
        """Close all channels."""
        for channel in self._channels.values():
            await channel.close()

    async def _call(self, stub: Any, step: Step, request: fnv1.RunFunctionRequest) -> fnv1.RunFunctionResponse:
        try:
            answer: fnv1.RunFunctionResponse = await stub.RunFunction(request, timeout=_DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            raise FunctionUnavailable(
                "run function",
                subject=f"{step.function} at {self._endpoints[step.function].address}",
                cause=f"{error.code().name}: {error.details()}",
                next_step="check that the function runs, and its certificates",
            ) from error
        return answer

    def _channel(self, name: str) -> grpc.aio.Channel:
        if name not in self._channels:
            endpoint = self._endpoints.get(name)
            if endpoint is None:
                raise InvalidComposition(
                    "run function",
                    subject=name,
                    cause="no address is known for it",
                    next_step=f"start the provider with --function {name}=HOST:PORT",
                )
            self._channels[name] = _open(endpoint)
        return self._channels[name]


async def settled(step: Step, request: fnv1.RunFunctionRequest, call: Call, fetch: Fetch) -> fnv1.RunFunctionResponse:
    """Call until two answers in a row ask for the same. Raises ``InvalidComposition`` if they never do."""
    asked = fnv1.Requirements()
    for _ in range(_MOST_ROUNDS + 1):
        response = await call(request)
        _raise_if_fatal(step, response)
        if response.requirements == asked:
            return response
        asked = response.requirements
        await _supply(request, asked, fetch)
        request.context.CopyFrom(response.context)
    raise InvalidComposition(
        "run function", subject=step.function, cause=f"it still asks for more after {_MOST_ROUNDS} rounds"
    )


async def _supply(request: fnv1.RunFunctionRequest, asked: fnv1.Requirements, fetch: Fetch) -> None:
    request.ClearField("required_resources")
    for name, selector in asked.resources.items():
        # An entry without items says "looked for and not there", which is not the same as no entry.
        entry = request.required_resources[name]
        entry.SetInParent()
        for obj in await fetch(selector):
            json_format.ParseDict(without_bookkeeping(obj), entry.items.add().resource)


def without_bookkeeping(obj: Json) -> Json:
    """An object without ``managedFields``: most of its bytes, and nothing that a function may build on."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": metadata}


def _open(endpoint: FunctionEndpoint) -> grpc.aio.Channel:
    if endpoint.tls_dir is None:
        return grpc.aio.insecure_channel(endpoint.address)
    return grpc.aio.secure_channel(endpoint.address, client_credentials(endpoint.tls_dir))


def _raise_if_fatal(step: Step, response: fnv1.RunFunctionResponse) -> None:
    for result in response.results:
        if result.severity == fnv1.SEVERITY_FATAL:
            raise FunctionFailed("run function", subject=step.function, cause=result.message)
