"""What the verbs print, and what failures look like from a shell."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bmctl.__main__ import _code
from bmctl.commands import version
from bmctl.commands.get import header, row
from bmctl.output import age, objects, table

MACHINE = {
    "apiVersion": "metalplane.io/v1alpha1",
    "kind": "BareMetalMachine",
    "metadata": {"name": "bm-01", "namespace": "tenant-a", "creationTimestamp": "2026-11-23T10:00:00Z"},
    "spec": {},
    "status": {
        "printableStatus": "Running",
        "serverName": "server0",
        "addresses": ["10.20.0.11/24"],
        "powerState": "On",
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "Synced", "status": "True"}],
    },
}


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "bmctl", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TERM": "dumb", **environment},
        timeout=60,
    )


def kubeconfig_of_nobody(directory: Path) -> Path:
    """It reads well, and no API server is where it says."""
    cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    document = {"clusters": [cluster], "contexts": [context], "users": [{"name": "u", "user": {}}]}
    path = directory / "kubeconfig"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "x", **document}))
    return path


def test_the_table_reads_like_kubectls() -> None:
    assert header(False, True) == ["NAMESPACE", "NAME", "STATUS", "SERVER", "IP", "SYNCED", "READY", "AGE"]
    assert row(MACHINE, False, True)[:7] == ["tenant-a", "bm-01", "Running", "server0", "10.20.0.11", "True", "True"]


def test_one_machine_as_json_is_the_object_itself() -> None:
    assert json.loads(objects([MACHINE], "json", single=True)) == MACHINE


def test_names_can_be_fed_back_to_kubectl() -> None:
    assert objects([MACHINE], "name", single=False) == "baremetalmachine.metalplane.io/bm-01"


def test_a_machine_without_status_is_pending() -> None:
    bare = {"metadata": MACHINE["metadata"], "spec": {}}
    assert "Pending" in row(bare, False, False)


@pytest.mark.parametrize(("seconds", "shown"), [(45, "45s"), (119, "119s"), (120, "2m"), (7200, "2h"), (172_800, "2d")])
def test_ages_are_shortened_as_kubectl_does(seconds: int, shown: str) -> None:
    since = datetime(2026, 11, 23, tzinfo=UTC)
    assert age(since, datetime.fromtimestamp(since.timestamp() + seconds, UTC)) == shown


def test_columns_line_up() -> None:
    assert table(["A", "LONG"], [["wide", "x"]]).splitlines() == ["A      LONG", "wide   x"]


def test_a_missing_kubeconfig_is_one_clear_line(tmp_path: Path) -> None:
    done = run("get", "--kubeconfig", str(tmp_path / "none"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: Reading the kubeconfig {tmp_path}/none: No such file or directory\n")
    assert "--kubeconfig" in done.stderr


@pytest.mark.parametrize(
    "content",
    [b"a: [", b"hello", b"[1]", b"\x80\x81", b"", b"clusters: {}"],
    ids=["no YAML", "a word", "a list", "no text", "empty", "no list of clusters"],
)
def test_a_file_that_is_no_kubeconfig_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "kubeconfig"
    file.write_bytes(content)
    done = run("get", "--kubeconfig", str(file))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: Reading the kubeconfig {file}: ")
    assert "Traceback" not in done.stderr


def test_output_that_cannot_be_written_is_one_clear_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "bmctl", "version", "--client"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "error: Reading or writing the output: No space left on device"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["get", "../secrets/x"], "'../secrets/x' cannot be the name of an object"),
        (["get", ""], "'' cannot be the name of an object"),
        (["get", "-n", "a/b"], "'a/b' cannot be the name of an object"),
        (["get", "bm-01", "-A"], "a machine cannot be got by name across all namespaces"),
    ],
)
def test_what_is_no_name_is_wrong_usage_and_asks_nobody(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    done = run(*arguments, "--kubeconfig", str(kubeconfig_of_nobody(tmp_path)))
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: Reading the arguments: {complaint}")


def test_an_output_format_that_a_verb_does_not_have_is_refused() -> None:
    assert run("version", "--client", "-o", "name").returncode == 2


def test_an_unreachable_server_has_its_own_exit_code(tmp_path: Path) -> None:
    done = run("get", "--kubeconfig", str(kubeconfig_of_nobody(tmp_path)))
    assert done.returncode == 5
    assert "Traceback" not in done.stderr
    assert "http://127.0.0.1:1 did not answer" in done.stderr


def test_the_help_of_a_verb_has_its_examples_and_does_not_ask_the_cluster() -> None:
    done = run("get", "--help", "--kubeconfig", "/nowhere")
    assert done.returncode == 0
    assert "examples:\n  bmctl get\n" in done.stdout


@pytest.mark.parametrize(
    ("cluster", "user", "complaint"),
    [
        ({"server": "https://127.0.0.1:1", "certificate-authority-data": "bm90IGEgY2VydA=="}, {}, "certificates"),
        ({"server": "https://127.0.0.1:port"}, {}, "Port could not be cast"),
        ({"server": "https://127.0.0.1:1", "certificate-authority-data": "###"}, {}, "the kubeconfig"),
        (
            {"server": "https://127.0.0.1:1"},
            {"client-certificate-data": "bm90IGEgY2VydA==", "client-key-data": "bm90IGEga2V5"},
            "certificates",
        ),
        (
            {"server": "https://127.0.0.1:1"},
            {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/false"}},
            "the exec plugin /bin/false",
        ),
    ],
    ids=["authority", "port", "base64", "client certificate", "exec plugin"],
)
@pytest.mark.parametrize("verb", [["get"], ["console", "bm-01"]])
def test_credentials_that_are_none_are_told_before_anybody_is_asked(
    tmp_path: Path, cluster: dict[str, str], user: dict[str, Any], complaint: str, verb: list[str]
) -> None:
    document = json.loads(kubeconfig_of_nobody(tmp_path).read_text())
    document["clusters"][0]["cluster"], document["users"][0]["user"] = cluster, user
    (tmp_path / "kubeconfig").write_text(json.dumps(document))
    done = run(*verb, "--kubeconfig", str(tmp_path / "kubeconfig"))
    assert done.returncode == 1
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert "should not be" not in done.stderr


def test_what_nobody_thought_of_is_one_line_with_its_place(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(version, "render", None)
    assert _code("bmctl", ["version", "--client"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: Running bmctl: TypeError: 'NoneType' object is not callable (commands/version.py:")
    assert "Traceback" not in told
