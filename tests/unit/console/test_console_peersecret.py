"""The secret of the replicas: made by the first, read by the others, and compared whatever is shown."""

import pytest

from provider.api.resources import SECRET
from provider.api.subresources import PEERS_SECRET
from provider.apiserver.console.peersecret import PeerSecret
from provider.runtime.controller import Json
from provider.runtime.errors import AlreadyExists, NotFound
from tests.unit.runtime.model_cluster import ModelCluster


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def secret(cluster: ModelCluster, clock: Clock | None = None) -> PeerSecret:
    return PeerSecret(cluster, "system", field_manager="test", clock=clock or Clock())


async def test_the_first_makes_it_and_the_others_read_it() -> None:
    cluster = ModelCluster()
    first, second = secret(cluster), secret(cluster)
    token = await first.token()
    assert len(token) >= 43
    assert await second.token() == token
    assert [write[0] for write in cluster.writes] == ["create"]
    assert await second.is_right(token)
    for guess in ("", token[:-1], f"{token}x", "ä\udcff"):
        assert not await second.is_right(guess)


async def test_of_two_who_make_it_at_once_one_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, works = ModelCluster(), ModelCluster.create
    late = secret(cluster)

    async def beaten(_: ModelCluster, rt: object, obj: Json, *, field_manager: str) -> Json:
        monkeypatch.undo()
        await works(cluster, SECRET, {**obj, "data": {"token": "b3RoZXJz"}}, field_manager="another")
        raise AlreadyExists("create Secret", subject=PEERS_SECRET, status=409)

    monkeypatch.setattr(ModelCluster, "create", beaten)
    assert await late.token() == "others"


async def test_one_that_is_changed_by_hand_counts_after_a_minute() -> None:
    cluster, clock = ModelCluster(), Clock()
    peer = secret(cluster, clock)
    before = await peer.token()
    cluster.have(SECRET, {"metadata": {"name": PEERS_SECRET, "namespace": "system"}, "data": {"token": "bmV3"}})
    assert await peer.token() == before
    clock.now_s += 60.0
    assert await peer.token() == "new"


async def test_a_secret_without_the_key_is_told_and_never_an_empty_password() -> None:
    cluster = ModelCluster()
    cluster.have(SECRET, {"metadata": {"name": PEERS_SECRET, "namespace": "system"}, "data": {}})
    with pytest.raises(NotFound, match="key token of Secret system/metalplane-api-peers"):
        await secret(cluster).is_right("")
