"""``bmctl completion``: the shell's completion script, on standard output."""

from enum import StrEnum
from typing import Annotated

import typer


class Shell(StrEnum):
    """Shells that completion is made for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="The shell to complete for.")]) -> None:
    """Print the completion script for a shell; it completes verbs, options and names of machines.

    \b
    Examples:
      source <(bmctl completion bash)
      bmctl completion fish > ~/.config/fish/completions/bmctl.fish
    """
    # Typer documents the function but does not list it in __all__.
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    typer.echo(get_completion_script(prog_name="bmctl", complete_var="_BMCTL_COMPLETE", shell=shell.value))
