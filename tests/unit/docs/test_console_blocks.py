"""The runner of documents: it must see when a page promises what is not printed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.console import Overdue, Shell, entries, keeps

PAGE = """\
Text, with `$ code`.

```console
$ first \\
> --more
one
> two
$ second
```

```yaml
$ no: command
```
"""


def test_commands_go_on_and_promise_what_follows_them() -> None:
    first, second = entries(PAGE)
    assert (first.line, first.command, first.promised) == (4, "first \\\n--more", ["one", "> two"])
    assert (second.line, second.command, second.promised) == (8, "second", [])


def test_output_of_no_command_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2 is the output of no command"):
        list(entries("```console\noutput\n```\n"))


@pytest.mark.parametrize(
    ("promised", "printed", "kept"),
    [
        ([], "", True),
        ([], "something\n", False),
        (["NAME  AGE", "a  ...s"], "NAME   AGE\na      12s\n", True),
        (["a ...s"], "a 12m\n", False),
        (["..."], "", True),
        (["first", "...", "last"], "first\n2\n3\nlast\n", True),
        (["first", "...", "last"], "first\n2\n", False),
        (["a.c"], "abc\n", False),
        (["a ... c"], "a b\nc\n", False),
    ],
)
def test_what_is_printed_is_held_against_what_is_promised(promised: list[str], printed: str, kept: bool) -> None:
    assert keeps(promised, printed) is kept


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path, {"PATH": os.environ["PATH"]})
    yield shell
    shell.close()


def test_a_shell_keeps_what_was_set_and_no_command_eats_the_next(shell: Shell) -> None:
    assert shell.run('say() { echo "$1"; }; export X=1', 10.0) == ("", 0)
    assert shell.run("cat; say $X >&2", 10.0) == ("1\n", 0)
    assert shell.run("cat <<EOF\na\nEOF\nfalse", 10.0) == ("a\n", 1)


def test_a_command_that_does_not_end_is_overdue(shell: Shell) -> None:
    with pytest.raises(Overdue, match="begun"):
        shell.run("echo begun; sleep 60", 0.5)
