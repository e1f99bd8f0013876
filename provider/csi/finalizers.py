"""Our finalizer on what a driver has something of, by compare-and-swap: other finalizers are never touched."""

from collections.abc import Mapping

from provider.api.names import FINALIZER_CSI
from provider.api.resources import ResourceType
from provider.runtime.client import KubeClient
from provider.runtime.controller import Json


async def add(
    client: KubeClient, rt: ResourceType, obj: Json, manager: str, *, annotations: Mapping[str, str] | None = None
) -> Json:
    """Put it on, and what must be known as long as it is there beside it, in one write."""
    others = [each for each in obj["metadata"].get("finalizers", []) if each != FINALIZER_CSI]
    return await _set(client, rt, obj, [*others, FINALIZER_CSI], manager, annotations)


async def lift(client: KubeClient, rt: ResourceType, obj: Json, manager: str) -> None:
    """Take it off."""
    present = obj["metadata"].get("finalizers", [])
    if FINALIZER_CSI in present:
        await _set(client, rt, obj, [each for each in present if each != FINALIZER_CSI], manager)


async def _set(
    client: KubeClient,
    rt: ResourceType,
    obj: Json,
    finalizers: list[str],
    manager: str,
    annotations: Mapping[str, str] | None = None,
) -> Json:
    metadata = obj["metadata"]
    body: Json = {"finalizers": finalizers} | ({"annotations": dict(annotations)} if annotations else {})
    return await client.patch(
        rt,
        metadata["name"],
        metadata.get("namespace"),
        {"metadata": body},
        resource_version=metadata["resourceVersion"],
        field_manager=manager,
    )
