"""What a kubeconfig file may say: the client and the watch streams go by the same, or the file is refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from provider.runtime.errors import ConfigurationError
from provider.runtime.kubeconfig import load


def written(directory: Path, user: dict[str, Any] | None = None, cluster: dict[str, Any] | None = None) -> Path:
    path = directory / "kubeconfig"
    document = {
        "clusters": [{"name": "c", "cluster": {"server": "https://api.example:6443/"} | (cluster or {})}],
        "users": [{"name": "u", "user": user or {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(document))
    return path


def test_a_server_and_a_token_are_taken_as_they_stand(tmp_path: Path) -> None:
    access = load(written(tmp_path))
    assert (access.server, access.verify, access.credentials().token) == ("https://api.example:6443", True, "t")


def test_a_server_name_that_the_watch_streams_would_not_check_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, cluster={"tls-server-name": "kubernetes.default"})
    with pytest.raises(ConfigurationError, match="tls-server-name is not supported") as refused:
        load(path)
    assert "a name that its certificate has" in str(refused.value)


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_server_name_asks_for_nothing(tmp_path: Path, empty: str | None) -> None:
    assert load(written(tmp_path, cluster={"tls-server-name": empty})).server == "https://api.example:6443"


@pytest.mark.parametrize("user", [{"username": "u", "password": "p"}, {"auth-provider": {"name": "oidc"}}])
def test_a_user_of_an_unsupported_kind_is_refused(tmp_path: Path, user: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="use a certificate, token or exec"):
        load(written(tmp_path, user))
