"""``python -m bmctl.reference [--check]``: write docs/bmctl.md from the help, or say that it is out of date."""

import sys
from collections.abc import Iterator
from pathlib import Path

from bmctl import arguments, verbs
from bmctl.errors import EXIT_CODES
from provider.api.generation.page import refresh_page

PAGE = Path(__file__).parent.parent / "docs" / "bmctl.md"
_TOP = """\
# bmctl

Generated from its help by `python -m bmctl.reference`; do not edit.

The command line for bare-metal machines, in the manner of kubectl. It asks the Kubernetes API for everything, as the
user that the kubeconfig names: what that user may not do, bmctl cannot do either. Verbs that change a machine are asked
of the aggregated API `subresources.metalplane.io` (`POST .../baremetalmachines/NAME/VERB`), and every user who has the
right can ask for them with `kubectl create --raw` too.

Under the name `kubectl-bm` on the PATH it is kubectl's plugin: `kubectl bm get`. With `kubectl_complete-bm` beside it,
kubectl's own completion completes its words.

Work that takes long is followed until it is done: on a terminal live, with the step, how long it has taken, and what it
waits for; in a pipe by a line for each change. That goes to standard error, the result to standard output. What was
asked for goes on when bmctl is interrupted or gives up after `--timeout`; `--no-wait` does not follow it at all.
"""


def main() -> int:
    """Run the command; returns its exit code."""
    return refresh_page("bmctl.reference", PAGE, page())


def page() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _TOP
    yield from ("| verb | |", "|---|---|")
    for members in verbs.GROUPS.values():
        yield from (f"| [{verb.name}](#{verb.name}) | {verb.line} |" for verb in members)
    yield from ("", "## Options of every verb", "They may stand before the verb and after it.", "```")
    common = arguments.Parser("bmctl", usage="")
    arguments.add_common(common.add_argument_group("options"))
    yield common.format_help().partition("options:\n")[2].rstrip()
    yield from ("```", "", "## Exit codes", "| code | meaning |", "|---|---|")
    yield from (f"| {code} | {meaning} |" for code, meaning in EXIT_CODES)
    for title, members in verbs.GROUPS.items():
        yield from ("", f"## {title}")
        for verb in members:
            yield from _verb(verb)


def _verb(verb: verbs.Verb) -> Iterator[str]:
    module = verb.load()
    yield from ("", f"### {verb.name}", module.DESCRIPTION, "```")
    yield from (f"$ {line}" for line in module.EXAMPLES)
    yield from ("```", "```")
    help_text = arguments.of_verb(f"bmctl {verb.name}", module).format_help()
    usage, _, rest = help_text.partition("\n\n")
    options = rest.partition("\n\n")[2].partition("examples:\n")[0].rstrip()
    yield usage
    if options:
        yield from ("", options)
    yield "```"


if __name__ == "__main__":
    sys.exit(main())
