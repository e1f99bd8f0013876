"""Events reach the API server, posted by the provider's identity with the rights that an installation gives it."""

import asyncio
import contextlib

import pytest

from provider.api.resources import EVENT, NETWORK, VOLUME, ResourceType
from provider.runtime.client import KubeClient
from provider.runtime.events import EventRecorder
from provider.runtime.kubeconfig import ClusterAccess, load
from sandbox import inventory
from sandbox.apiserver import ApiServer
from tests.integration.installation import IMAGE
from tests.integration.rest import Json, Rest
from tests.integration.waiting import eventually


@pytest.fixture
def as_provider(apiserver: ApiServer) -> ClusterAccess:
    apiserver.kubectl.apply(inventory.objects(IMAGE, []))
    path = apiserver.layout.files / "events.kubeconfig"
    return load(apiserver.control_plane.identity(path, inventory.PROVIDER_USER))


@pytest.mark.parametrize(
    ("resource", "name", "namespaced"),
    [(VOLUME, "bm-01-32379ccbbeec", True), (VOLUME, f"{'long.' * 40}name", True), (NETWORK, "tenant-a", False)],
    ids=["a child", "a name that is cut at a dot", "no namespace"],
)
async def test_what_happened_to_an_object_is_posted_beside_it(
    as_provider: ClusterAccess, rest: Rest, namespace: str, resource: ResourceType, name: str, namespaced: bool
) -> None:
    metadata = {"name": name, "uid": f"uid-{namespace}"} | ({"namespace": namespace} if namespaced else {})
    regarding = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
    async with KubeClient(as_provider) as client:
        recorder = EventRecorder(client, controller="metalplane-volume", instance="provider")
        posting = asyncio.create_task(recorder.run())
        recorder.record(regarding, "Normal", "Created", "made for a test")
        try:
            where = namespace if namespaced else "default"
            found = await asyncio.to_thread(eventually, lambda: _about(rest, where, metadata["uid"]), bool)
        finally:
            posting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await posting
    assert [(event["reason"], event["note"], event["regarding"]["name"]) for event in found] == [
        ("Created", "made for a test", name)
    ]


def _about(rest: Rest, namespace: str, uid: str) -> list[Json]:
    return [event for event in rest.all_of(EVENT, namespace) if event["regarding"].get("uid") == uid]
