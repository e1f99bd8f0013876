"""Completion where users have it: bash, zsh and fish at a terminal, with the scripts that ``bmctl completion`` prints.

What is completed is seen in what the shell then calls bmctl with.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.bmctl.api import MACHINES, Api, machine, serving
from tests.unit.bmctl.pseudoterminal import Pseudoterminal

_PROMPT = b"ready> "
_BMCTL = """\
#!/bin/sh
# Says what it is called with; what may come next, and the scripts, are the real one's to say.
case "$1" in
__complete | completion) exec {python} -m bmctl "$@" ;;
esac
printf 'called:'
printf ' <%s>' "$@"
echo .
"""
_CONTEXT = "arn:cloud:cluster/blue"


@dataclass(frozen=True, slots=True)
class Shell:
    """How a shell is started without what its user keeps for it, and how its user installs the completion."""

    argv: tuple[str, ...]
    install: str


SHELLS = {
    "bash": Shell(
        ("bash", "--noprofile", "--norc", "-i"),
        "source <(bmctl completion bash); bind 'set show-all-if-ambiguous on'; PS1='{}'",
    ),
    "zsh": Shell(
        ("zsh", "-f", "-i"),
        "bmctl completion zsh >~/.zfunc/_bmctl; fpath=(~/.zfunc $fpath); autoload -Uz compinit; compinit -u -D;"
        " unsetopt beep; PROMPT='{}'",
    ),
    "fish": Shell(
        ("fish", "--no-config", "-i"),
        "bmctl completion fish >~/.config/fish/completions/bmctl.fish;"
        " set fish_complete_path ~/.config/fish/completions $fish_complete_path;"
        " function fish_prompt; echo -n '{}'; end",
    ),
}
SOURCED_BY_ZSH = Shell(
    ("zsh", "-f", "-i"),
    "autoload -Uz compinit; compinit -u -D; source <(bmctl completion zsh); unsetopt beep; PROMPT='{}'",
)


class Desk:
    """Somebody at a shell."""

    def __init__(self, terminal: Pseudoterminal) -> None:
        self._terminal = terminal

    def completes(self, keys: str) -> list[str]:
        """What bmctl is called with after ``keys``, the key that completes, and return."""
        self._terminal.drawn = b""
        self._terminal.type(f"bmctl {keys}\t\r".encode())
        called = self._terminal.until(b">.\r\n").decode().rpartition("called: <")[2]
        self._terminal.until(_PROMPT)
        return called.partition(">.\r\n")[0].split("> <")

    def lists(self, keys: str, *words: str) -> None:
        """Wait until all words are shown to choose from; nothing is called."""
        self._terminal.drawn = b""
        self._terminal.type(f"bmctl {keys}\t".encode())
        for word in words:
            self._terminal.until(word.encode())
        self._terminal.type(b"\x15\r")
        self._terminal.until(_PROMPT)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Api]:
    with serving() as api:
        api.shows(MACHINES, machine())
        for plural, name in [("servers", "server-07"), ("machineimages", "debian-12"), ("networks", "blue")]:
            api.shows(f"/apis/metalplane.io/v1alpha1/{plural}", {"metadata": {"name": name}})
        yield api


@contextmanager
def sitting_at(shell: Shell, cluster: Api, home: Path) -> Iterator[Desk]:
    """At a shell that is ready, in a home of one's own."""
    for directory in ("bin", ".zfunc", ".config/fish/completions"):
        (home / directory).mkdir(parents=True)
    (home / "bin/bmctl").write_text(_BMCTL.format(python=sys.executable))
    (home / "bin/bmctl").chmod(0o755)
    kubeconfig = cluster.kubeconfig(home)
    document = json.loads(kubeconfig.read_text())
    document["contexts"].append({"name": _CONTEXT, "context": document["contexts"][0]["context"]})
    kubeconfig.write_text(json.dumps(document))
    environment = {
        "HOME": str(home),
        "KUBECONFIG": str(kubeconfig),
        "PATH": f"{home / 'bin'}:/usr/bin:/bin",
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "LANG": "C.UTF-8",
    }
    with Pseudoterminal(("setsid", "--ctty", "--wait", *shell.argv), environment, directory=home) as terminal:
        # The prompt's own words are not on the line that asks for it.
        terminal.type(shell.install.format("r''eady> ").encode() + b"\r")
        terminal.until(_PROMPT)
        yield Desk(terminal)
        terminal.type(b"exit\r")
        terminal.end()


@pytest.fixture(scope="module", params=list(SHELLS))
def desk(request: pytest.FixtureRequest, cluster: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with sitting_at(SHELLS[request.param], cluster, tmp_path_factory.mktemp("home")) as desk:
        yield desk


@pytest.mark.parametrize(
    ("keys", "called"),
    [
        ("sto", ["stop"]),
        ("stop ", ["stop", "bm-01"]),
        ("stop b", ["stop", "bm-01"]),
        ("-n tenant-a stop b", ["-n", "tenant-a", "stop", "bm-01"]),
        ("stop bm-01 --gr", ["stop", "bm-01", "--grace-period"]),
        ("removevolume bm-01 ", ["removevolume", "bm-01", "root"]),
        ("create bm-02 --image deb", ["create", "bm-02", "--image", "debian-12"]),
        ("create bm-02 --image=deb", ["create", "bm-02", "--image=debian-12"]),
        ("create bm-02 --image=", ["create", "bm-02", "--image=debian-12"]),
        ("power serv", ["power", "server-07"]),
        ("power server-07 GracefulS", ["power", "server-07", "GracefulShutdown"]),
        ("console server/", ["console", "server/server-07"]),
        ("get --context arn:cl", ["get", "--context", _CONTEXT]),
        ("get --context=arn:cl", ["get", f"--context={_CONTEXT}"]),
        ("get --kubeconfig ./kub", ["get", "--kubeconfig", "./kubeconfig"]),
        ("get --kubeconfig=./kub", ["get", "--kubeconfig=./kubeconfig"]),
        ("get --context=x b", ["get", "--context=x", "bm-01"]),
        ("-n 'tenant-a' stop b", ["-n", "tenant-a", "stop", "bm-01"]),
        ("stop nothing", ["stop", "nothing"]),
        ("stop bm-01 ", ["stop", "bm-01"]),
    ],
)
def test_a_word_is_completed(desk: Desk, keys: str, called: list[str]) -> None:
    assert desk.completes(keys) == called


def test_words_are_shown_where_there_are_several(desk: Desk) -> None:
    desk.lists("completion ", "bash", "fish", "zsh")


def test_zsh_completes_too_where_the_script_was_sourced(cluster: Api, tmp_path: Path) -> None:
    with sitting_at(SOURCED_BY_ZSH, cluster, tmp_path) as desk:
        assert desk.completes("stop b") == ["stop", "bm-01"]
