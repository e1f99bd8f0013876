"""Parsers of command lines: the options of every verb, and what a verb's own ``declare`` adds to them.

An option of every verb may stand before the verb and after it, as kubectl has it.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from bmctl.errors import UsageError

_WIDTH = 100
_DURATION = re.compile(r"(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+(?:\.\d+)?)s?)?")
_UNIT_S = {"h": 3600.0, "m": 60.0, "s": 1.0}

DEFAULT_TIMEOUT_S = 900.0
_REQUEST_TIMEOUT_S = 30.0


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Of one width, for what is printed is also a page of the documentation."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32, width=_WIDTH)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """``-n, --namespace NAME``, which not every Python of ours says of its own."""
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {value}"


class Parser(argparse.ArgumentParser):
    """Says what is wrong by ``UsageError``; knows of some arguments what they are names of, for completion."""

    def __init__(self, prog: str, **settings: Any) -> None:
        super().__init__(prog=prog, add_help=False, allow_abbrev=False, formatter_class=_Formatter, **settings)
        self.names_of: dict[str, str] = {}
        self.takes_command = False

    def error(self, message: str) -> NoReturn:
        """Not by exit: errors are told in one place."""
        raise UsageError("Reading the arguments", message, f"`{self.prog} --help` tells what there is.")

    def named(self, noun: str, action: argparse.Action) -> None:
        """``action``'s value is the name of a ``noun``, such as machine."""
        self.names_of[action.dest] = noun

    def machine(self, **settings: Any) -> None:
        """The verb's first argument: a machine."""
        self.named("machine", self.add_argument("name", help="name of the machine", **settings))

    def server(self, **settings: Any) -> None:
        """The verb's first argument: a server. ``--server`` is the API server's URL."""
        self.named("server", self.add_argument("server_name", metavar="server", help="name of the server", **settings))


def of_everything(prog: str) -> Parser:
    """What comes before the verb, and the verb with the rest."""
    parser = Parser(prog)
    add_common(parser.add_argument_group("options of every verb"))
    parser.add_argument("verb", nargs="?")
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    return parser


def of_verb(prog: str, module: Any) -> Parser:
    """The parser of one verb; its help shows the verb's own options and leaves out those of every verb."""
    parser = Parser(prog, description=module.DESCRIPTION, epilog=_examples(prog, module.EXAMPLES))
    module.declare(parser)
    add_common(parser.add_argument_group(), shown=False)
    return parser


def _examples(prog: str, examples: Sequence[str]) -> str:
    program = prog.rpartition(" ")[0]
    lines = [f"  {line.replace('bmctl', program, 1)}" for line in examples]
    return "\n".join(["examples:", *lines, "", f"`{program} --help` lists the options of every verb, such as -n."])


def add_common(group: Any, *, shown: bool = True) -> None:
    """The options of every verb. One that is not given leaves what was given before the verb."""

    def add(*flags: str, text: str, **settings: Any) -> None:
        group.add_argument(*flags, help=text if shown else argparse.SUPPRESS, default=argparse.SUPPRESS, **settings)

    add("-n", "--namespace", metavar="NAME", text="namespace; that of the context if not given")
    add("--kubeconfig", metavar="FILE", text="the kubeconfig (default: $KUBECONFIG, then ~/.kube/config)")
    add("--context", metavar="NAME", text="context of the kubeconfig to use")
    add("--cluster", metavar="NAME", text="cluster of the kubeconfig to use in place of the context's")
    add("--user", metavar="NAME", text="user of the kubeconfig to use in place of the context's")
    add("-s", "--server", metavar="URL", text="URL of the API server in place of the kubeconfig's")
    add("--token", metavar="TOKEN", text="bearer token in place of the kubeconfig's credentials")
    add("--certificate-authority", metavar="FILE", type=Path, text="file of the API server's certificate authority")
    add("--insecure-skip-tls-verify", action="store_true", text="do not check who the API server is")
    add("--as", dest="as_user", metavar="USER", text="user to be taken for")
    add("--as-group", dest="as_groups", metavar="GROUP", action="append", text="group to be taken for a member of")
    add("--as-uid", dest="as_uid", metavar="UID", text="UID to be taken for")
    add(
        "--request-timeout",
        type=duration,
        metavar="TIME",
        text="how long one answer of the API server may take, such as 10s (default 30s; 0: for ever)",
    )
    add("-v", "--verbose", action="store_true", text="show each request on standard error")
    add("-h", "--help", action="store_true", text="show this help")


def add_output(parser: argparse.ArgumentParser, *forms: str) -> None:
    """``-o``, with those of its forms that a verb has."""
    parser.add_argument(
        "-o", "--output", metavar="FORM", default="", type=_form(forms), help=f"output: {', '.join(forms)}"
    )


def add_waiting(parser: argparse.ArgumentParser, until: str) -> None:
    """``--no-wait`` and ``--timeout`` of a verb that waits ``until`` something is so."""
    parser.add_argument("--no-wait", action="store_true", help=f"return at once and do not wait until {until}")
    parser.add_argument(
        "--timeout",
        type=duration,
        metavar="TIME",
        default=DEFAULT_TIMEOUT_S,
        help="how long to wait, such as 90s or 10m (default 15m; 0: for ever)",
    )


def _form(forms: Sequence[str]) -> Any:
    def form(text: str) -> str:
        if text and text not in forms and not (text.startswith("jsonpath=") and "jsonpath=EXPR" in forms):
            raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(forms)}")
        return text

    return form


def duration(text: str) -> float | None:
    """Seconds of ``90s``, ``10m``, ``1h30m`` or ``45``; None for 0, which is no limit."""
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time: write one such as 90s or 10m")
    seconds = sum(float(value) * _UNIT_S[unit] for unit, value in match.groupdict().items() if value)
    return seconds or None


def tell_request(method: str, target: str, status: int, seconds: float) -> None:
    """What ``-v`` shows: never a header, for tokens are there."""
    print(f"{method} {target} {status} {seconds * 1000:.0f} ms", file=sys.stderr)


def connect(args: argparse.Namespace) -> Any:
    """The ``Cluster`` that the options name."""
    from bmctl.cluster import Cluster, ClusterOptions
    from provider.runtime.kubeconfig import Impersonation, Overrides

    def given(name: str) -> Any:
        return getattr(args, name, None)

    if (given("as_groups") or given("as_uid")) and not given("as_user"):
        raise UsageError("Reading the arguments", "--as-group and --as-uid need a user", "Name one with --as.")
    overrides = Overrides(
        context=given("context"),
        cluster=given("cluster"),
        user=given("user"),
        namespace=given("namespace"),
        server=given("server"),
        token=given("token"),
        ca_file=given("certificate_authority"),
        insecure=bool(given("insecure_skip_tls_verify")),
        impersonation=Impersonation(given("as_user"), tuple(given("as_groups") or ()), given("as_uid")),
    )
    return Cluster(
        ClusterOptions(
            kubeconfig=given("kubeconfig"),
            overrides=overrides,
            request_timeout_s=getattr(args, "request_timeout", _REQUEST_TIMEOUT_S),
            told=tell_request if given("verbose") else None,
        )
    )
