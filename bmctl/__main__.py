"""The command tree, and the one place where errors become exit codes."""

import sys
from pathlib import Path

import typer

from bmctl.commands.completion import completion
from bmctl.commands.describe import describe
from bmctl.commands.get import get
from bmctl.commands.trace import trace
from bmctl.commands.version import version
from bmctl.errors import BmctlError

EPILOG = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no such object, 4 not allowed, 5 the API server did not answer."
)

app = typer.Typer(
    name="bmctl",
    help="Bare-metal machines on DPUs, in the manner of kubectl.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (get, describe, trace, version, completion):
    app.command()(verb)


def main() -> None:
    """Run bmctl: the entry point of the scripts ``bmctl`` and ``kubectl-bm``."""
    try:
        app(prog_name="kubectl bm" if Path(sys.argv[0]).name == "kubectl-bm" else "bmctl")
    except BmctlError as error:
        typer.echo(f"error: {error.attempt}: {error.cause}", err=True)
        if error.next_step:
            typer.echo(f"       {error.next_step}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        typer.echo(f"error: Reading or writing {error.filename or 'the output'}: {error.strerror}", err=True)
        sys.exit(BmctlError.exit_code)


if __name__ == "__main__":
    main()
