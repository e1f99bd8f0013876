"""From a command line to a verb, and the one place where errors become exit codes."""

import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import suppress

from bmctl import arguments, verbs
from bmctl.errors import EXIT_CODES, BmctlError, UsageError

_INTERRUPTED = 130
_READER_GONE = 141
"""As a shell has it for SIGPIPE."""


def main() -> None:
    """Run bmctl: the entry point of the scripts ``bmctl`` and ``kubectl-bm``."""
    program = "kubectl bm" if os.path.basename(sys.argv[0]) == "kubectl-bm" else "bmctl"  # noqa: PTH119 (pathlib: 5 ms)
    sys.exit(_code(program, sys.argv[1:]))


def _code(program: str, argv: list[str]) -> int:
    try:
        _run(program, argv)
        sys.stdout.flush()
    except BmctlError as error:
        _complain(error.attempt, error.cause, error.next_step)
        return error.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read has enough. What Python flushes at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _READER_GONE
    except OSError as error:
        _complain(f"Reading or writing {error.filename or 'the output'}", error.strerror or str(error))
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BmctlError.exit_code
    except Exception as error:
        # No stack trace reaches a user, whatever nobody thought of.
        place = _place(error)
        _complain(
            "Running bmctl",
            f"{type(error).__name__}: {error} ({place})",
            "This should not be: report it with this line and the command.",
        )
        return BmctlError.exit_code
    return 0


def _place(error: BaseException) -> str:
    """File and line of ours where it happened, for a report."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if f"{os.sep}bmctl{os.sep}" in code.co_filename:
            place = f"{code.co_filename.rpartition(f'{os.sep}bmctl{os.sep}')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _complain(attempt: str, cause: str, next_step: str = "") -> None:
    with suppress(OSError):
        sys.stdout.flush()
    print(f"error: {attempt}: {cause}", file=sys.stderr)
    if next_step:
        print(f"       {next_step}", file=sys.stderr)


def _run(program: str, argv: list[str]) -> None:
    if argv and argv[0] == "__complete":
        from bmctl.commands import complete

        complete.run(argv[1:])
        return
    first = arguments.of_everything(program).parse_args(argv)
    if first.verb is None or (first.verb == "help" and not first.rest):
        print("\n".join(overview(program)))
        return
    name, rest = (first.rest[0], ["--help"]) if first.verb == "help" else (first.verb, first.rest)
    verb = verbs.find(name)
    if verb is None:
        raise UsageError("Reading the arguments", f"there is no verb {name!r}", f"`{program} --help` lists them.")
    module = verb.load()
    parser = arguments.of_verb(f"{program} {name}", module)
    if "--help" in (given := _before_dashes(rest)) or "-h" in given or hasattr(first, "help"):
        print(parser.format_help().rstrip())
        return
    module.run(_parsed(parser, rest, first))


def _parsed(parser: arguments.Parser, rest: list[str], first: Namespace) -> Namespace:
    """A verb that runs a command of the user's takes what follows ``--`` as it stands."""
    given = _before_dashes(rest) if parser.takes_command else rest
    args = parser.parse_intermixed_args(given, first)
    args.command = rest[len(given) + 1 :]
    return args


def _before_dashes(rest: list[str]) -> list[str]:
    return rest[: rest.index("--")] if "--" in rest else rest


def overview(program: str) -> Iterator[str]:
    """What ``bmctl --help`` prints."""
    yield f"usage: {program} VERB [ARGUMENTS] [OPTIONS]"
    yield ""
    yield "Bare-metal machines on DPUs, in the manner of kubectl."
    for title, members in verbs.GROUPS.items():
        yield f"\n{title}:"
        for verb in members:
            yield f"  {verb.name:<16}{verb.line}"
    yield ""
    parser = arguments.Parser(program, usage="")
    arguments.add_common(parser.add_argument_group("Options of every verb"))
    yield parser.format_help().partition("\n\n")[2].rstrip()
    yield ""
    yield "Exit codes:"
    yield from (f"  {code:<16}{meaning}" for code, meaning in EXIT_CODES)
    yield ""
    yield f"`{program} VERB --help` has each verb's own options, and examples."


if __name__ == "__main__":
    main()
