"""The front proxy as the API server publishes it."""

import json

import pytest

from provider.apiserver.requestheader import parse
from provider.runtime.errors import ConfigurationError

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
