"""The front proxy as the API server publishes it."""

import asyncio
import json
from typing import Any, cast

import pytest

from provider.api.resources import ResourceType
from provider.apiserver import requestheader
from provider.apiserver.requestheader import FrontProxy, FrontProxyConfig, parse
from provider.runtime.client import KubeClient
from provider.runtime.errors import ConfigurationError, NotFound
from tests.waiting import PATIENCE_S

PUBLISHED = {
    "client-ca-file": "CLUSTER",
    "requestheader-client-ca-file": "FRONT PROXY",
    "requestheader-allowed-names": json.dumps(["front-proxy-client"]),
    "requestheader-username-headers": json.dumps(["X-Remote-User"]),
    "requestheader-group-headers": json.dumps(["X-Remote-Group"]),
    "requestheader-extra-headers-prefix": json.dumps(["X-Remote-Extra-"]),
}


def test_what_is_published_is_what_is_believed() -> None:
    proxy = parse(PUBLISHED)
    assert proxy.client_ca == "FRONT PROXY"
    assert proxy.username_headers == ("X-Remote-User",)
    assert proxy.allows("front-proxy-client")
    assert not proxy.allows("somebody")
    assert not proxy.allows("")


def test_no_names_means_any_name_of_that_authority() -> None:
    assert parse({**PUBLISHED, "requestheader-allowed-names": "[]"}).allows("somebody")


@pytest.mark.parametrize(
    "broken",
    [
        {"client-ca-file": "CLUSTER"},
        {**PUBLISHED, "requestheader-client-ca-file": " "},
        {**PUBLISHED, "requestheader-username-headers": "[]"},
        {**PUBLISHED, "requestheader-allowed-names": "front-proxy-client"},
    ],
)
def test_a_cluster_without_a_front_proxy_is_told_what_is_missing(broken: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="requestheader-client-ca-file"):
        parse(broken)


class Published:
    """An API server's config map, which a test changes."""

    def __init__(self) -> None:
        self.data: dict[str, str] | None = PUBLISHED
        self._version = 1
        self._changes = asyncio.Event()

    def change(self, data: dict[str, str] | None) -> None:
        """Publish something else, or nothing."""
        self.data = data
        self._version += 1
        self._changes.set()

    async def get(self, rt: ResourceType, name: str, namespace: str) -> Any:
        if self.data is None:
            raise NotFound("read", subject=f"{namespace}/{name}", cause="gone", next_step="it is read again")
        return {"metadata": {"resourceVersion": str(self._version)}, "data": self.data}

    async def until_changed(self, rt: ResourceType, name: str, namespace: str, *, since: str, within_s: float) -> None:
        await self._changes.wait()
        self._changes.clear()


class Followed:
    """What a follower makes of it: the authorities that were handed on, but for one that nobody can read."""

    def __init__(self, published: Published) -> None:
        self.config = FrontProxyConfig(cast(KubeClient, published))
        self.authorities: asyncio.Queue[str] = asyncio.Queue()

    def changed(self, known: FrontProxy) -> None:
        self.authorities.put_nowait(known.client_ca)
        if known.client_ca == "NONSENSE":
            raise ConfigurationError("read", subject="it", cause="no PEM", next_step="mend it")

    async def next(self) -> str:
        return await asyncio.wait_for(self.authorities.get(), PATIENCE_S)


async def test_a_change_is_followed_and_what_cannot_be_used_leaves_what_was_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(requestheader, "_PAUSE_S", 0.0)
    monkeypatch.setattr(requestheader, "_PAUSE_AFTER_FAILURE_S", 0.0)
    published = Published()
    followed = Followed(published)
    following = asyncio.ensure_future(followed.config.follow(followed.changed))
    assert await followed.next() == "FRONT PROXY"
    for unusable in ({**PUBLISHED, "requestheader-client-ca-file": "NONSENSE"}, None, {"client-ca-file": "CLUSTER"}):
        published.change(unusable)
        if unusable and "requestheader-client-ca-file" in unusable:
            assert [await followed.next() for _ in range(2)] == ["NONSENSE"] * 2, "it is tried again"
        assert followed.config.front_proxy == parse(PUBLISHED)
    while not followed.authorities.empty():
        followed.authorities.get_nowait()
    published.change({**PUBLISHED, "requestheader-client-ca-file": "NEXT"})
    assert await followed.next() == "NEXT"
    published.change({**PUBLISHED, "requestheader-client-ca-file": "AND NEXT"})
    assert await followed.next() == "AND NEXT"
    assert followed.config.front_proxy is not None
    assert followed.config.front_proxy.client_ca == "AND NEXT"
    following.cancel()
