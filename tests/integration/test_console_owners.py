"""Owners of consoles on a real API server: its rules for Leases and Secrets, and its compare-and-swap."""

import uuid
from collections.abc import AsyncIterator

import pytest

from provider.api.resources import LEASE, SECRET, SERVER
from provider.api.server import Server
from provider.api.subresources import PEERS_SECRET
from provider.apiserver.console.ownership import Ownership
from provider.apiserver.console.peersecret import PeerSecret
from provider.apiserver.console.planning import Owner
from provider.apiserver.console.replicas import Replicas
from provider.runtime.client import KubeClient
from provider.runtime.kubeconfig import load
from sandbox.apiserver import ApiServer
from tests.integration.rest import Rest


class Replica:
    """One replica's view, looked at when the test says so."""

    def __init__(self, client: KubeClient, namespace: str, identity: str) -> None:
        self.replicas = Replicas(client, namespace, identity, f"{identity}.example:443")
        self.ownership = Ownership(client, namespace, self.replicas)

    async def round(self) -> None:
        await self.replicas.beat()
        await self.replicas.look()
        await self.ownership.refresh()


@pytest.fixture
async def client(apiserver: ApiServer) -> AsyncIterator[KubeClient]:
    async with KubeClient(load(apiserver.layout.kubeconfig)) as found:
        yield found


@pytest.fixture
async def server(client: KubeClient) -> AsyncIterator[Server]:
    spec = {
        "bmc": {"address": "192.0.2.1", "secretRef": {"name": "any"}},
        "dpu": {"name": "dpu0"},
        "capacity": {"cpus": 1, "memory": "1Gi"},
    }
    metadata = {"name": f"console-{uuid.uuid4().hex[:8]}"}
    made = await client.create(SERVER, {"metadata": metadata, "spec": spec}, field_manager="test")
    yield Server.parse(made)
    await client.delete(SERVER, metadata["name"])


async def test_one_replica_owns_a_console_until_it_leaves(
    client: KubeClient, namespace: str, server: Server, rest: Rest
) -> None:
    name = server.metadata.name
    a, b = Replica(client, namespace, "a"), Replica(client, namespace, "b")
    for each in (a, b, a):
        await each.round()
    assert a.replicas.living == b.replicas.living == {"a", "b"}
    assert await a.ownership.take(server)
    assert not await b.ownership.take(server), "it was made already"
    assert b.ownership.address(name) == "a.example:443"
    before = rest.get(LEASE, f"console-{name}", namespace)
    for each in (a, b):
        await each.round()
    assert rest.get(LEASE, f"console-{name}", namespace) == before
    await a.replicas.leave()
    await b.round()
    assert b.ownership.owner(name) is Owner.NOBODY
    assert await b.ownership.take(server)
    assert not await a.ownership.confirm(name)
    assert [lease["metadata"]["name"] for lease in rest.all_of(LEASE, namespace)] == ["api-b", f"console-{name}"]


async def test_a_takeover_by_two_at_once_has_one_winner(client: KubeClient, namespace: str, server: Server) -> None:
    a, b, c = (Replica(client, namespace, identity) for identity in "abc")
    for each in (a, b, c, a, b):
        await each.round()
    await a.ownership.take(server)
    await a.replicas.leave()
    for each in (b, c):
        await each.round()
    assert [await b.ownership.take(server), await c.ownership.take(server)] == [True, False]
    assert c.ownership.address(server.metadata.name) == "b.example:443"


async def test_the_secret_of_the_replicas_is_made_by_the_first(client: KubeClient, namespace: str, rest: Rest) -> None:
    first, second = (PeerSecret(client, namespace, field_manager="test") for _ in range(2))
    token = await first.token()
    assert await second.is_right(token)
    assert set(rest.get(SECRET, PEERS_SECRET, namespace)["data"]) == {"token"}
