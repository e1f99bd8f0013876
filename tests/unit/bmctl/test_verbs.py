"""All verbs alike: their help, their examples, their page, and what completes them."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bmctl import arguments, reference, verbs
from tests.unit.bmctl.api import MACHINES, Api, machine, refusal, run

ALL = verbs.names()


@pytest.mark.parametrize("name", ALL)
def test_a_verb_can_be_declared_and_its_examples_are_right(name: str) -> None:
    verb = verbs.find(name)
    assert verb is not None
    module = verb.load()
    assert module.EXAMPLES
    examples = [line.replace("\\\n", " ") for line in module.EXAMPLES]
    for line in [line for line in examples if line.startswith("bmctl ") or "| bmctl " in line]:
        words = shlex.split(line.partition("| bmctl ")[2] or line.partition("bmctl ")[2], comments=True)
        words = words[: next((at for at, word in enumerate(words) if word in (">", "|")), len(words))]
        parser = arguments.of_verb(f"bmctl {name}", module)
        given = words[1 : words.index("--")] if parser.takes_command and "--" in words else words[1:]
        assert words[0] == name
        parser.parse_intermixed_args(given)


def test_the_page_of_the_documentation_is_what_the_help_says() -> None:
    assert reference.PAGE.read_text() == reference.page()


def test_help_imports_no_verb_and_nothing_heavy() -> None:
    look = "import sys, bmctl.__main__ as m; m._code('bmctl', ['--help']); print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"yaml", "ssl", "http.client", "pydantic", "dataclasses", "asyncio", "kubernetes", "typer", "bmctl.cluster"}
    assert not heavy & set(loaded)
    assert not [name for name in loaded if name.startswith("bmctl.commands.")]


def test_getting_imports_neither_models_nor_a_client_of_others() -> None:
    look = (
        "import sys, bmctl.__main__ as m; m._code('bmctl', ['get', '--server', 'http://127.0.0.1:1']);"
        "print(*sorted(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pydantic", "kubernetes", "asyncio", "aiohttp", "subprocess", "tempfile", "bmctl.waiting"} & set(loaded)


@pytest.mark.parametrize(
    ("arguments_", "complaint"),
    [
        (["fly"], "there is no verb 'fly'"),
        (["get", "--fly"], "unrecognized arguments: --fly"),
        (["stop"], "the following arguments are required: name"),
        (["stop", "bm-01", "--grace-period", "-1"], "is no number of seconds"),
        (["stop", "bm-01", "--grace-period", "9999"], "is no number of seconds"),
        (["wait", "bm-01", "--for=tea"], "nothing that a machine can be"),
        (["expand", "bm-01", "data", "--size", "0"], "is nothing"),
        (["--request-timeout", "x", "get"], "is no length of time"),
    ],
)
def test_wrong_usage_is_told_without_a_trace(tmp_path: Path, arguments_: list[str], complaint: str) -> None:
    done = run(tmp_path / "none", *arguments_)
    assert done.returncode == 2
    assert complaint in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_as_kubectls_plugin_it_calls_itself_so() -> None:
    start = "import sys; from bmctl.__main__ import main; sys.argv[0] = '/usr/local/bin/kubectl-bm'; main()"
    plugin = [sys.executable, "-c", start]
    overview = subprocess.run([*plugin, "--help"], capture_output=True, check=True).stdout
    assert b"usage: kubectl bm VERB" in overview
    shown = subprocess.run([*plugin, "stop", "-h"], capture_output=True, check=True).stdout
    assert b"usage: kubectl bm stop" in shown
    assert b"  kubectl bm stop bm-01\n" in shown


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["sto"], ["stop"]),
        (["-n", "tenant-a", "unc"], ["uncordon"]),
        (["stop", ""], ["bm-01"]),
        (["-n", "tenant-a", "stop", "b"], ["bm-01"]),
        (["stop", "x"], []),
        (["stop", "bm-01", "--gr"], ["--grace-period"]),
        (["removevolume", "bm-01", ""], ["root"]),
        (["removenic", "bm-01", ""], ["eth0"]),
        (["cordon", ""], ["server0"]),
        (["power", ""], ["server0"]),
        (["power", "server0", "Force"], ["ForceOff", "ForceRestart"]),
        (["power", "server0", "-o", ""], ["json", "yaml"]),
        (["console", ""], ["bm-01", "server/server0"]),
        (["console", "s"], ["server/server0"]),
        (["-n", "'tenant-a'", "stop", "b"], ["bm-01"]),
        (["-n", "'tenant", "stop", "b"], []),
        (["create", "bm-02", "--image", "deb"], ["debian-12"]),
        (["create", "bm-02", "--image=deb"], ["--image=debian-12"]),
        (["addnic", "bm-01", "eth1", "--network", ""], ["blue"]),
        (["--context", ""], ["x"]),
        (["completion", ""], ["bash", "fish", "zsh"]),
        (["get", "--kubeconfig", ""], [":file"]),
        (["get", "-o", "j"], ["json"]),
        (["fly", ""], []),
    ],
)
def test_the_shell_is_told_what_may_come_next(api: Api, kubeconfig: Path, words: list[str], found: list[str]) -> None:
    api.shows(MACHINES, machine())
    for plural, name in [("servers", "server0"), ("machineimages", "debian-12"), ("networks", "blue")]:
        api.shows(f"/apis/metalplane.io/v1alpha1/{plural}", {"metadata": {"name": name}})
    done = run(kubeconfig, "__complete", *words)
    assert done.returncode == 0
    assert done.stdout.decode().split() == found


def test_who_may_see_no_machines_is_told_of_servers(api: Api, kubeconfig: Path) -> None:
    api.answers["GET", MACHINES] = refusal(403, "Forbidden", "no")
    api.shows("/apis/metalplane.io/v1alpha1/servers", {"metadata": {"name": "server0"}})
    assert run(kubeconfig, "__complete", "console", "").stdout == b"server/server0\n"


def test_a_cluster_that_does_not_answer_completes_nothing_and_says_nothing(tmp_path: Path) -> None:
    done = run(tmp_path / "none", "__complete", "stop", "")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_ssh_remembers_a_host_key_for_the_machine_and_not_for_its_address(
    api: Api, kubeconfig: Path, tmp_path: Path
) -> None:
    api.shows(MACHINES, machine())
    program = tmp_path / "ssh"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    words = ["ssh", "bm-01", "-l", "root", "-i", "key", "-o", "Port=2222", "--", "uptime", "-p"]
    done = run(kubeconfig, *words, PATH=f"{tmp_path}:/usr/bin:/bin")
    alias = f"HostKeyAlias={machine()['metadata']['uid']}"
    expected = ["-o", alias, "-l", "root", "-i", "key", "-o", "Port=2222", "--", "10.20.0.11", "uptime", "-p"]
    assert done.stdout.decode().split("\n")[:-1] == expected


def test_a_machine_without_an_address_cannot_be_logged_in_to(api: Api, kubeconfig: Path) -> None:
    api.shows(MACHINES, machine("Starting"))
    done = run(kubeconfig, "ssh", "bm-01")
    assert done.returncode == 7
    assert b"it has none; its STATUS is Starting" in done.stderr
