"""What a kubeconfig file may say: the client and the watch streams go by the same, or the file is refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from provider.runtime.errors import ConfigurationError
from provider.runtime.kubeconfig import Impersonation, Overrides, contexts, find, in_cluster, load


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


def test_a_process_that_watches_is_not_taken_for_somebody_else(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="impersonation"):
        load(written(tmp_path, {"token": "t", "as": "jane"}))


def test_a_user_may_be_taken_for_somebody_else_and_say_another_name_of_the_server(tmp_path: Path) -> None:
    user = {"token": "t", "as": "jane", "as-groups": ["dev"], "as-uid": "7", "as-user-extra": {"a/b": ["c"]}}
    path = written(tmp_path, user, {"tls-server-name": "kubernetes.default"})
    access = find(str(path), {})
    assert access.server_name == "kubernetes.default"
    assert dict(access.impersonation.headers()) == {
        "Impersonate-User": "jane",
        "Impersonate-Group": "dev",
        "Impersonate-Uid": "7",
        "Impersonate-Extra-a%2Fb": "c",
    }
    asked = Overrides(impersonation=Impersonation("joe"))
    assert list(find(str(path), {}, asked).impersonation.headers()) == [("Impersonate-User", "joe")]


def test_of_several_files_the_first_word_counts_and_paths_are_relative_to_their_own(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(f"token of {name}\n")
    first = {"users": [{"name": "u", "user": {"tokenFile": "token"}}], "current-context": "x"}
    (tmp_path / "one" / "config").write_text(yaml.safe_dump(first))
    second = written(tmp_path / "two", {"token": "second"})
    named = f"{tmp_path}/missing:{tmp_path}/one/config:{second}"
    access = find(None, {"KUBECONFIG": named})
    assert (access.server, access.credentials().token) == ("https://api.example:6443", "token of one")
    assert contexts(None, {"KUBECONFIG": named}) == ["x"]


def test_without_a_word_it_is_the_file_at_home(tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()
    written(tmp_path / ".kube").rename(tmp_path / ".kube" / "config")
    assert find(None, {"HOME": str(tmp_path)}).credentials().token == "t"
    with pytest.raises(ConfigurationError, match=r"there is no .*/elsewhere/.kube/config"):
        find(None, {"HOME": str(tmp_path / "elsewhere")})


def test_a_command_line_says_more_than_the_file(tmp_path: Path) -> None:
    document = yaml.safe_load(written(tmp_path).read_text())
    document["contexts"].append({"name": "y", "context": {"cluster": "d", "user": "u", "namespace": "blue"}})
    document["clusters"].append({"name": "d", "cluster": {"server": "https://d.example"}})
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    there = find(str(path), {}, Overrides(context="y"))
    assert (there.server, there.namespace) == ("https://d.example", "blue")
    assert find(str(path), {}, Overrides(cluster="d")).server == "https://d.example"
    asked = Overrides(server="https://e.example/", token="other", namespace="red", insecure=True)
    access = find(str(path), {}, asked)
    assert (access.server, access.namespace, access.verify) == ("https://e.example", "red", False)
    assert access.credentials().token == "other"
    assert find(None, {"HOME": "/nowhere"}, Overrides(server="https://f.example")).server == "https://f.example"


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        (Overrides(context="z"), "there is no context named 'z'; there are: x"),
        (Overrides(cluster="z"), "there is no cluster named 'z'"),
        (Overrides(user="z"), "there is no user named 'z'"),
        (Overrides(server="api.example"), "'api.example' is no URL of an API server"),
    ],
)
def test_what_is_not_in_the_file_is_named(tmp_path: Path, asked: Overrides, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        find(str(written(tmp_path)), {}, asked)


def test_a_way_through_a_proxy_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="proxy-url is not supported"):
        find(str(written(tmp_path, cluster={"proxy-url": "http://proxy:3128"})), {})


def test_a_pod_is_its_service_account(tmp_path: Path) -> None:
    for name, content in (("token", "t0ken\n"), ("ca.crt", "PEM"), ("namespace", "blue")):
        (tmp_path / name).write_text(content)
    access = in_cluster({"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}, tmp_path)
    assert (access.server, access.namespace, access.credentials().token) == ("https://[fd00::1]:443", "blue", "t0ken")
